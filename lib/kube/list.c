// SPDX-License-Identifier: Apache-2.0
// All objects of a kind, page by page, so that memory does not grow with how many there are.
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/http/client.h"
#include "lib/kube/kube.h"

#define PAGE 100

struct list {
    const struct kube *kube;
    const struct kube_list_options *options;
    int (*emit)(void *arg, const struct json *object, struct err *err);
    void *arg;
    uint32_t page;
    char *next;    // where the next page begins; NULL: at the start
    char *version; // of the list
};

static void list_done(struct list *list) {
    free(list->next);
    free(list->version);
}

static char *page_path(const struct list *list) {
    struct str path cleanup_str = {0};
    const char *selector = list->options->selector;
    (void)str_printf(&path, "%s?limit=%u", list->options->collection, list->page);
    if (selector) {
        (void)str_append(&path, "&labelSelector=");
        (void)http_append_encoded(&path, selector, strlen(selector), false);
    }
    if (list->next) {
        (void)str_append(&path, "&continue=");
        (void)http_append_encoded(&path, list->next, strlen(list->next), false);
    }
    return str_take(&path);
}

static bool cancelled(void *arg) {
    const struct kube_list_options *options = arg;
    return options->cancelled && options->cancelled(options->cancel_arg);
}

// Fewer objects at a time where they are large.
static int fetch(struct list *list, struct json **ret, struct err *err) {
    for (;;) {
        struct str body cleanup_str = {0};
        char *path cleanup_free = page_path(list);
        if (!path)
            return err_set(err, -ENOMEM, "out of memory");
        const struct kube_request request = {
            .method = "GET", .path = path, .cancelled = cancelled, .arg = (void *)(uintptr_t)list->options};
        int r = kube_send(list->kube, &request, &body, err);
        if (r == -EMSGSIZE && list->page > 1) {
            list->page = list->page / 8 ? list->page / 8 : 1;
            continue;
        }
        return r < 0 ? r : json_parse_body(str_text(&body), body.len, KUBE_ANSWER_MAX, ret, err);
    }
}

static int keep_text(const char *text, char **ret, struct err *err) {
    free(*ret);
    *ret = str_empty(text) ? NULL : mem_strdup(text);
    return str_empty(text) || *ret ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int take_page(struct list *list, struct err *err) {
    struct json *answer cleanup(json_freep) = NULL;
    int r = fetch(list, &answer, err);
    if (r < 0)
        return r;
    const struct json *metadata = json_get(answer, "metadata"), *items = json_get(answer, "items");
    if (!metadata || !json_get_text(metadata, "resourceVersion"))
        return err_set(err, -EBADMSG, "%.120s: the answer is no list", list->options->collection);
    for (size_t i = 0; r == 0 && items && i < json_length(items); i++)
        r = list->emit(list->arg, json_at(items, i), err);
    if (r == 0)
        r = keep_text(json_get_text(metadata, "resourceVersion"), &list->version, err);
    if (r == 0)
        r = keep_text(json_get_text(metadata, "continue"), &list->next, err);
    return r;
}

int kube_list(const struct kube *kube, const struct kube_list_options *options,
              int (*emit)(void *arg, const struct json *object, struct err *err), void *arg, char **ret_version,
              struct err *err) {
    struct list list cleanup(list_done) = {
        .kube = kube, .options = options, .emit = emit, .arg = arg, .page = options->page ? options->page : PAGE};
    int r;
    do
        r = take_page(&list, err);
    while (r == 0 && list.next);
    if (r == 0)
        *ret_version = take_ptr(list.version);
    return r;
}
