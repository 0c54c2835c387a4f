// SPDX-License-Identifier: Apache-2.0
#include "sidecar/kv_stream.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "lib/base/mem.h"
#include "sidecar/access.h"
#include "sidecar/kv_entry.h"

#define PAGE 100 // changes or keys fetched at once

struct kv_stream {
    struct service *service;
    struct http_request *request;
    char *ns, *prefix;
    char workspace[ENGINE_NAME_MAX + 1];
    size_t prefix_len;
    pthread_mutex_t lock; // of what follows
    union {
        struct kv_watch watch;
        struct kv_list list; // while `listing`
    };
    struct blob after; // the last key that was listed
    struct str text;   // to be sent
    size_t sent;
    bool in_flight, closed, ending, waiting; // waiting: the connection is to be resumed when there is text
    bool listing, begun;
    struct kv_position at;
    int64_t until, settled, heartbeat_ns; // settled: the version of which it was told last
};

struct json *kv_event_json(const struct kv_event *event) {
    struct json *object cleanup(json_freep) = json_object_new();
    int r = kv_set_bytes(object, "key", event->key, event->key_len);
    if (r == 0)
        r = event->value ? kv_set_bytes(object, "value", event->value, event->value_len)
                         : json_set_bool(object, "removed", true);
    if (r == 0)
        r = json_set_int(object, "version", event->version);
    return r == 0 ? take_ptr(object) : NULL;
}

static struct kv_stream *kv_stream_free(struct kv_stream *stream) {
    if (!stream)
        return NULL;
    str_done(&stream->text);
    free((char *)(uintptr_t)stream->after.data);
    free(stream->ns);
    free(stream->prefix);
    (void)pthread_mutex_destroy(&stream->lock);
    free(stream);
    return NULL;
}
DEFINE_CLEANUP(kv_stream)

// Listed keys have no id: who comes back with one would miss the others.
static void append_event(struct str *out, const struct kv_event *event, bool listed) {
    struct json *object cleanup(json_freep) = kv_event_json(event);
    char *text cleanup_free = object ? json_dump(object, false) : NULL;
    if (!text)
        out->failed = true;
    else if (listed)
        (void)str_printf(out, "event: change\ndata: %s\n\n", text);
    else
        (void)str_printf(out, "id: %" PRId64 "\nevent: change\ndata: %s\n\n", event->version, text);
}

// The client learns why, and by the last id where it stood; then the stream ends.
static void append_error(struct kv_stream *stream, const struct err *err) {
    (void)str_append(&stream->text, "event: error\ndata: ");
    (void)json_append_quoted(&stream->text, err_text(err));
    (void)str_append(&stream->text, "\n\n");
    stream->ending = true;
}

static int take_page(struct kv_stream *stream, struct err *err) {
    const struct kv_list *list = &stream->list;
    if (stream->at.incarnation && stream->at.incarnation != list->ret_incarnation)
        return err_set(err, -ESTALE, "'%s' was removed and made again: list it again", stream->ns);
    for (size_t i = 0; i < list->ret_count; i++) {
        const struct kv_entry *entry = &list->ret[i];
        const struct kv_event event = {entry->key, entry->key_len, entry->value, entry->value_len, entry->version};
        append_event(&stream->text, &event, true);
    }
    if (stream->at.since == KV_STREAM_ALL)
        stream->at = (struct kv_position){list->ret_since, list->ret_incarnation};
    stream->until = list->ret_until;
    stream->listing = list->ret_more;
    if (!list->ret_more)
        return 0;
    const struct kv_entry *last = &list->ret[list->ret_count - 1];
    char *copy = mem_alloc(last->key_len + 1);
    if (!copy)
        return err_set(err, -ENOMEM, "out of memory; try again later");
    memcpy(copy, last->key, last->key_len);
    free((char *)(uintptr_t)stream->after.data);
    stream->after = (struct blob){copy, last->key_len};
    return 0;
}

static void take_changes(struct kv_stream *stream) {
    const struct kv_watch *watch = &stream->watch;
    if (watch->ret_count == 0)
        (void)str_append(&stream->text, watch->ret_drained ? ": the server is stopping\n\n" : ": nothing changed\n\n");
    for (size_t i = 0; i < watch->ret_count; i++)
        append_event(&stream->text, &watch->ret[i], false);
    if (watch->ret_settled && watch->ret_version != stream->settled) {
        (void)str_printf(&stream->text, "id: %" PRId64 "-%" PRId64 "\n\n", watch->ret_version, watch->ret_incarnation);
        stream->settled = watch->ret_version;
    }
    stream->at = (struct kv_position){watch->ret_version, watch->ret_incarnation};
    stream->until = watch->until;
    stream->begun = true;
    stream->ending = watch->ret_drained && watch->ret_count == 0; // another watch would end at once too, and again
}

static void append_result(struct kv_stream *stream, const struct engine_call *call) {
    struct err err = call->err;
    // Looked at when there is something to tell, so that nothing is told to a token that does not hold any more.
    int r = err.code ? err.code : access_holds(stream->service, stream->request, &err);
    if (r == 0 && stream->listing)
        r = take_page(stream, &err);
    else if (r == 0)
        take_changes(stream);
    if (r < 0)
        append_error(stream, &err);
}

static void fetched(struct engine_call *call) {
    struct kv_stream *stream = call->arg;
    (void)pthread_mutex_lock(&stream->lock);
    stream->in_flight = false;
    bool closed = stream->closed;
    if (!closed)
        append_result(stream, call);
    engine_call_release(call);
    if (!closed && stream->waiting) {
        stream->waiting = false;
        http_request_resume(stream->request); // under the lock, so that it is not closed meanwhile
    }
    (void)pthread_mutex_unlock(&stream->lock);
    if (closed)
        (void)kv_stream_free(stream);
}

static struct engine_call call_until(struct kv_stream *stream, int64_t ns) {
    return (struct engine_call){
        .workspace = stream->workspace, .deadline_ns = ns + SERVICE_CALL_S * NS_PER_S, .done = fetched, .arg = stream};
}

static void fetch_page(struct kv_stream *stream) {
    stream->list = (struct kv_list){
        .call = call_until(stream, clock_monotonic(stream->service->clock)),
        .ns = stream->ns,
        .prefix = {stream->prefix, stream->prefix_len},
        .after = stream->after,
        .limit = PAGE,
        .values = true,
    };
    stream->service->engine->kv->list(stream->service->engine->self, &stream->list);
}

static void fetch_changes(struct kv_stream *stream) {
    // The first is answered at once: it says that the stream has begun, and whether there is more than was known.
    int64_t until = clock_monotonic(stream->service->clock) + (stream->begun ? stream->heartbeat_ns : 0);
    stream->watch = (struct kv_watch){
        .call = call_until(stream, until),
        .ns = stream->ns,
        .prefix = {stream->prefix, stream->prefix_len},
        .since = stream->at.since,
        .incarnation = stream->at.incarnation,
        .until = stream->until,
        .wait_until_ns = until,
        .limit = PAGE,
    };
    stream->service->engine->kv->watch(stream->service->engine->self, &stream->watch);
}

static int64_t take_text(struct kv_stream *stream, char *buf, size_t len) {
    size_t left = stream->text.len - stream->sent, n = left < len ? left : len;
    memcpy(buf, stream->text.data + stream->sent, n);
    stream->sent += n;
    if (stream->sent == stream->text.len) {
        str_done(&stream->text);
        stream->sent = 0;
    }
    return (int64_t)n;
}

static int64_t read_stream(void *arg, void *buf, size_t len) {
    struct kv_stream *stream = arg;
    (void)pthread_mutex_lock(&stream->lock);
    int64_t n = stream->text.failed ? -ENOMEM
                : stream->text.len  ? take_text(stream, buf, len)
                : stream->ending    ? 0
                                    : -EAGAIN;
    bool start = n == -EAGAIN && !stream->in_flight;
    if (n == -EAGAIN)
        stream->waiting = true;
    if (start)
        stream->in_flight = true;
    (void)pthread_mutex_unlock(&stream->lock);
    if (start)
        (stream->listing ? fetch_page : fetch_changes)(stream); // not under the lock: it may end before it returns
    return n;
}

static void close_stream(void *arg) {
    struct kv_stream *stream = arg;
    (void)pthread_mutex_lock(&stream->lock);
    stream->closed = true;
    bool in_flight = stream->in_flight;
    (void)pthread_mutex_unlock(&stream->lock);
    if (!in_flight)
        (void)kv_stream_free(stream);
}

int kv_position_parse(const char *id, struct kv_position *ret) {
    const char *dash = strchr(id, '-');
    char *version cleanup_free = mem_strndup(id, dash ? (size_t)(dash - id) : strlen(id));
    struct kv_position position = {0};
    if (!version)
        return -ENOMEM;
    if (str_to_i64(version, 0, INT64_MAX, &position.since) < 0 ||
        (dash && str_to_i64(dash + 1, 1, INT64_MAX, &position.incarnation) < 0))
        return -EINVAL;
    *ret = position;
    return 0;
}

void kv_stream_start(struct service *service, struct http_request *request, const struct kv_position *from,
                     int64_t heartbeat_s) {
    static const struct http_source source = {.read = read_stream, .close = close_stream};
    struct blob prefix = query_blob(request, "prefix");
    struct kv_stream *stream cleanup(kv_stream_freep) = mem_zalloc(sizeof *stream);
    if (!stream) {
        reply_out_of_memory(request);
        return;
    }
    (void)pthread_mutex_init(&stream->lock, NULL);
    stream->service = service;
    stream->request = request;
    stream->at = *from;
    stream->listing = from->since == KV_STREAM_ALL;
    stream->settled = -1;
    stream->heartbeat_ns = heartbeat_s * NS_PER_S;
    stream->ns = mem_strdup(http_request_arg(request, "ns", NULL));
    stream->prefix = mem_alloc(prefix.len + 1);
    if (!stream->ns || !stream->prefix) {
        reply_out_of_memory(request);
        return;
    }
    memcpy(stream->prefix, prefix.data, prefix.len);
    stream->prefix_len = prefix.len;
    memcpy(stream->workspace, request_principal(request)->workspace, sizeof stream->workspace);
    reply_header(request, "Cache-Control", "no-store");
    http_reply_source(request, 200, "text/event-stream", &source, take_ptr(stream));
}
