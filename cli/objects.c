// SPDX-License-Identifier: Apache-2.0
#include "cli/objects.h"

#include <errno.h>
#include <stdio.h>

#include "cli/call.h"
#include "cli/output.h"
#include "lib/base/mem.h"

#define PAGE 1000 // entries a call

struct listing {
    const char *method, *filter, *value;
    struct json *all;
    char *token; // where the next page begins; NULL: at the start, or nowhere
};

static int add_page(struct cli *cli, struct listing *listing, struct err *err) {
    struct json *request cleanup(json_freep) = json_object_new();
    struct json *reply cleanup(json_freep) = NULL;
    if (!request || json_set_int(request, "max_entries", PAGE) < 0 ||
        json_set_text(request, "starting_token", listing->token) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    if (listing->filter && json_set_text(request, listing->filter, listing->value) < 0)
        return err_set(err, -EINVAL, "the id is no UTF-8 text");
    int r = call(cli, listing->method, request, &reply, err);
    const struct json *entries = json_get(reply, "entries");
    for (size_t i = 0; r == 0 && i < json_length(entries); i++)
        r = json_append(listing->all, json_ref(json_at(entries, i)));
    if (r < 0)
        return r;
    const char *next = json_get_text(reply, "next_token");
    free(listing->token);
    listing->token = str_empty(next) ? NULL : mem_strdup(next);
    return !str_empty(next) && !listing->token ? err_set(err, -ENOMEM, "out of memory") : 0;
}

int objects_list(struct cli *cli, const char *method, const char *filter, const char *value, struct json **ret,
                 struct err *err) {
    struct json *all cleanup(json_freep) = json_array_new();
    if (!all)
        return err_set(err, -ENOMEM, "out of memory");
    struct listing listing = {.method = method, .filter = filter, .value = value, .all = all};
    int r;
    do {
        r = add_page(cli, &listing, err);
    } while (r == 0 && listing.token);
    free(listing.token);
    if (r == 0)
        *ret = take_ptr(all);
    return r;
}

static int delete_one(struct cli *cli, const char *method, const char *key, const char *id, struct err *err) {
    struct json *request cleanup(json_freep) = json_object_new();
    struct json *reply cleanup(json_freep) = NULL;
    if (!request || json_set_text(request, key, id) < 0)
        return err_set(err, -EINVAL, "the id is no UTF-8 text");
    return call(cli, method, request, &reply, err);
}

int objects_delete(struct cli *cli, const char *method, const char *key, struct err *err) {
    struct json *done cleanup(json_freep) = json_array_new();
    int r = done ? 0 : err_set(err, -ENOMEM, "out of memory");
    for (int i = 0; r == 0 && i < cli->argc; i++) {
        r = delete_one(cli, method, key, cli->argv[i], err);
        if (r == 0 && !cli->options.json)
            (void)printf("deleted %s\n", cli->argv[i]);
        if (r == 0)
            r = json_append_text(done, cli->argv[i]);
    }
    return r == 0 && cli->options.json ? output_json(done, err) : r;
}
