// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/watch.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/http/client.h"
#include "lib/kube/backoff.h"
#include "lib/kube/object.h"

// A server ends a watch after what it was asked for, here 40 to 60 s; bookmarks come once a minute at best, so silence for that
// long is nothing unusual, and silence for longer is a server that is gone.
#define STREAM_S 40
#define STREAM_SPREAD_S 20
#define SILENCE_S 75
#define SHORT_NS NS_PER_S // a stream that ends sooner without an event counts as a failure
#define PAUSE_FIRST_MS 250
#define PAUSE_MOST_MS 30000

struct kube_watch {
    struct kube_watch_options options;
    char *collection, *selector;
    char *version;   // of the last event; NULL: list first
    struct str line; // of the stream, as far as it has come
    unsigned events; // of this stream
    struct backoff backoff;
    uint32_t pause_ms;
};

int kube_watch_new(const struct kube_watch_options *options, struct kube_watch **ret, struct err *err) {
    struct kube_watch *watch cleanup(kube_watch_freep) = mem_zalloc(sizeof *watch);
    if (!watch)
        return err_set(err, -ENOMEM, "out of memory");
    watch->options = *options;
    watch->options.clock = options->clock ? options->clock : &clock_system;
    watch->backoff = (struct backoff){.first_ms = PAUSE_FIRST_MS, .most_ms = PAUSE_MOST_MS};
    watch->options.collection = watch->collection = mem_strdup(options->collection);
    watch->options.selector = watch->selector = mem_strdup(options->selector);
    if (!watch->collection || (options->selector && !watch->selector))
        return err_set(err, -ENOMEM, "out of memory");
    *ret = take_ptr(watch);
    return 0;
}

struct kube_watch *kube_watch_free(struct kube_watch *watch) {
    if (!watch)
        return NULL;
    free(watch->collection);
    free(watch->selector);
    free(watch->version);
    str_done(&watch->line);
    free(watch);
    return NULL;
}

const char *kube_watch_collection(const struct kube_watch *watch) {
    return watch->collection;
}

uint32_t kube_watch_pause_ms(const struct kube_watch *watch) {
    return watch->pause_ms;
}

static bool is_cancelled(void *arg) {
    struct kube_watch *watch = arg;
    return watch->options.cancelled && watch->options.cancelled(watch->options.cancel_arg);
}

// ---- the list --------------------------------------------------------------------------------------------------------

static int on_listed(void *arg, const struct json *object, struct err *err) {
    struct kube_watch *watch = arg;
    return watch->options.sink->object(watch->options.arg, object, false, err);
}

static int list(struct kube_watch *watch, struct err *err) {
    const struct kube_list_options options = {.collection = watch->collection,
                                              .selector = watch->selector,
                                              .page = watch->options.page,
                                              .cancelled = is_cancelled,
                                              .cancel_arg = watch};
    watch->options.sink->begin(watch->options.arg);
    int r = kube_list(watch->options.kube, &options, on_listed, watch, &watch->version, err);
    return r < 0 ? r : watch->options.sink->whole(watch->options.arg, err);
}

// ---- the stream ------------------------------------------------------------------------------------------------------

static int keep_version(struct kube_watch *watch, const struct json *object, struct err *err) {
    const char *version = kube_text(object, "metadata.resourceVersion");
    if (str_empty(version))
        return err_set(err, -EBADMSG, "an object without a version");
    char *copy = mem_strdup(version);
    if (!copy)
        return err_set(err, -ENOMEM, "out of memory");
    free(watch->version);
    watch->version = copy;
    return 0;
}

// An ERROR event carries a Status; 410 is "too old", whatever its reason is called.
static int told_error(const struct json *status, struct err *err) {
    const char *message = json_get_text(status, "message");
    int64_t code = json_get_int(status, "code", 0);
    return err_set(err, code == 410 ? -ESTALE : -EIO, "the watch ended: %.160s", message ? message : "no reason told");
}

static int on_event(struct kube_watch *watch, const struct json *event, struct err *err) {
    const char *type = json_get_text(event, "type");
    const struct json *object = json_get(event, "object");
    if (str_empty(type) || !object || !json_is_an_object(object))
        return err_set(err, -EBADMSG, "what came is no event");
    if (str_eq(type, "ERROR"))
        return told_error(object, err);
    bool gone = str_eq(type, "DELETED");
    int r = 0;
    watch->events++;
    if (gone || str_eq(type, "ADDED") || str_eq(type, "MODIFIED"))
        r = watch->options.sink->object(watch->options.arg, object, gone, err);
    return r < 0 ? r : keep_version(watch, object, err); // BOOKMARK, and what may come in later versions
}

static int on_line(struct kube_watch *watch, struct err *err) {
    struct json *event cleanup(json_freep) = NULL;
    if (watch->line.len == 0)
        return 0;
    int r = json_parse_body(watch->line.data, watch->line.len, KUBE_ANSWER_MAX, &event, err);
    watch->line.len = 0;
    return r < 0 ? r : on_event(watch, event, err);
}

static int on_chunk(void *arg, const char *data, size_t len, struct err *err) {
    struct kube_watch *watch = arg;
    int r = 0;
    while (r == 0 && len) {
        const char *end = memchr(data, '\n', len);
        size_t part = end ? (size_t)(end - data) : len;
        if (part > KUBE_ANSWER_MAX - watch->line.len)
            return err_set(err, -EMSGSIZE, "an event has more than %u bytes", KUBE_ANSWER_MAX);
        if (str_append_bytes(&watch->line, data, part) < 0)
            return err_set(err, -ENOMEM, "out of memory");
        if (end)
            r = on_line(watch, err);
        data += part + (end != NULL);
        len -= part + (end != NULL);
    }
    return r;
}

static char *stream_path(const struct kube_watch *watch) {
    struct str path cleanup_str = {0};
    uint32_t random;
    clock_random(watch->options.clock, &random, sizeof random);
    (void)str_printf(&path, "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=%u&resourceVersion=", watch->collection,
                     STREAM_S + random % STREAM_SPREAD_S);
    (void)http_append_encoded(&path, watch->version, strlen(watch->version), false);
    if (watch->selector) {
        (void)str_append(&path, "&labelSelector=");
        (void)http_append_encoded(&path, watch->selector, strlen(watch->selector), false);
    }
    return str_take(&path);
}

static int follow(struct kube_watch *watch, struct err *err) {
    struct str rest cleanup_str = {0};
    char *path cleanup_free = stream_path(watch);
    if (!path)
        return err_set(err, -ENOMEM, "out of memory");
    const struct kube_request request = {.method = "GET",
                                         .path = path,
                                         .chunk = on_chunk,
                                         .cancelled = is_cancelled,
                                         .arg = watch,
                                         .timeout_s = SILENCE_S};
    int64_t began_ns = clock_monotonic(watch->options.clock);
    watch->events = 0;
    int r = kube_send(watch->options.kube, &request, &rest, err);
    str_done(&watch->line); // half a line comes again whole; and the room of a large one is given back
    if (r == 0 && watch->events == 0 && clock_monotonic(watch->options.clock) - began_ns < SHORT_NS)
        r = err_set(err, -EIO, "%.120s: the watch ended at once", watch->collection);
    return r;
}

// After these, what is known may have holes, or going on from here would meet the same again.
static bool must_list(int r) {
    return r == -ESTALE || r == -EBADMSG || r == -EMSGSIZE || r == -ENOMEM || r == -EINVAL || r == -ENOENT;
}

int kube_watch_step(struct kube_watch *watch, struct err *err) {
    bool listed = watch->version != NULL;
    int r = listed ? 0 : list(watch, err);
    if (r == 0)
        r = follow(watch, err);
    if (r < 0 && must_list(r)) {
        free(watch->version);
        watch->version = NULL;
    }
    // A version that is too old is the course of things, but a server that says so for a fresh list is not.
    if (r == 0 || (watch->events && r != -EMSGSIZE) || (r == -ESTALE && listed))
        backoff_reset(&watch->backoff);
    watch->pause_ms = r == 0 ? 0 : backoff_next(&watch->backoff, watch->options.clock);
    return r;
}
