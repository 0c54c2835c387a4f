// SPDX-License-Identifier: Apache-2.0
// Several keys in one write, and changes as they happen.
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/mem.h"
#include "sidecar/kv_entry.h"
#include "sidecar/kv_stream.h"

#define BATCH_MAX 1000                    // changes
#define BATCH_BODY_MAX (16 * 1024 * 1024) // bytes

// ---- one write of several keys ----

static void answer_batch(struct job *job) {
    struct json *object cleanup(json_freep) = json_object_new(), *versions = json_array_new();
    bool ok = versions != NULL;
    for (size_t i = 0; ok && i < job->write.count; i++) {
        struct json *item cleanup(json_freep) = json_object_new();
        const struct kv_change *change = &job->write.changes[i];
        ok = kv_set_bytes(item, "key", change->key.data, change->key.len) == 0 &&
             json_set_int(item, "version", change->ret_version) == 0 && json_append(versions, take_ptr(item)) == 0;
    }
    if (json_set(object, "changes", versions) < 0 || !ok)
        object = json_free(object);
    reply_json(job->request, 200, take_ptr(object));
}

static int read_action(const struct json *item, struct kv_change *ret, struct err *err) {
    const char *op = json_get_text(item, "op");
    if (str_eq(op, "put"))
        ret->action = KV_PUT;
    else if (str_eq(op, "remove"))
        ret->action = KV_REMOVE;
    else if (str_eq(op, "check"))
        ret->action = KV_CHECK;
    else
        return err_set(err, -EINVAL, "'op' is '%.20s'; give put, remove or check", op ? op : "");
    return 0;
}

// What base64 decodes to lives in `arena`, which is as large as the body and so always suffices.
static int take_bytes(const struct json *item, const char *name, struct blob *ret, char **arena, struct err *err) {
    char *decoded cleanup_free = NULL;
    int r = kv_get_bytes(item, name, ret, &decoded, err);
    if (r == 0 && decoded) {
        memcpy(*arena, decoded, ret->len);
        ret->data = *arena;
        *arena += ret->len;
    }
    return r == -ENOENT ? err->code = -EINVAL : r;
}

static int read_change(const struct json *item, struct kv_change *ret, char **arena, struct err *err) {
    int64_t ttl_s = 0;
    if (!json_is_an_object(item))
        return err_set(err, -EINVAL, "not an object");
    int r = read_action(item, ret, err);
    if (r == 0)
        r = take_bytes(item, "key", &ret->key, arena, err);
    if (r == 0)
        r = kv_check_key(ret->key, err);
    if (r == 0 && ret->action == KV_PUT)
        r = take_bytes(item, "value", &ret->value, arena, err);
    if (r == 0)
        r = kv_check_value(ret->value, err);
    if (r == 0)
        r = body_number(item, "ttl", 1, KV_TTL_MAX_S, 0, &ttl_s, err);
    if (r == 0)
        r = body_number(item, "if_version", 0, INT64_MAX, -1, &ret->if_version, err);
    if (r == 0 && ret->action == KV_CHECK && ret->if_version < 0)
        r = err_set(err, -EINVAL, "a check needs 'if_version'; 0: the key must not exist");
    ret->ttl_ms = ttl_s * 1000;
    return r;
}

static int read_changes(struct job *job, size_t body_len, struct err *err) {
    const struct json *list = json_get(job->body, "changes");
    size_t count = json_length(list);
    if (count == 0 || count > BATCH_MAX || json_is_an_object(list))
        return err_set(err, -EINVAL, "'changes' is no list of 1 to %d changes", BATCH_MAX);
    struct kv_change *changes = mem_array(count, sizeof *changes);
    char *arena = mem_alloc(body_len);
    job->keep[0] = changes;
    job->keep[1] = arena;
    if (!changes || !arena)
        return err_set(err, -ENOMEM, "out of memory; try again later");
    job->write.changes = changes;
    job->write.count = count;
    for (size_t i = 0; i < count; i++) {
        int r = read_change(json_at(list, i), &changes[i], &arena, err);
        if (r < 0)
            return err_wrap(err, r, "changes[%zu]", i);
    }
    return 0;
}

static void handle_batch(void *arg, struct http_request *request) {
    struct service *service = arg;
    struct err err = ERR_NONE;
    size_t len = 0;
    (void)http_request_body(request, &len);
    struct job *job = job_new(service, request, answer_batch);
    if (!job || !job_read_body(job))
        return;
    job->write.ns = http_request_arg(request, "ns", NULL);
    if (read_changes(job, len, &err) < 0)
        job_refuse(job, &err);
    else
        service->engine->kv->write(service->engine->self, &job->write);
}

// ---- changes ----

static void answer_events(struct job *job) {
    struct json *object cleanup(json_freep) = json_object_new(), *events = json_array_new();
    bool ok = events != NULL;
    for (size_t i = 0; ok && i < job->watch.ret_count; i++)
        ok = json_append(events, kv_event_json(&job->watch.ret[i])) == 0;
    if (json_set(object, "events", events) < 0 || json_set_int(object, "version", job->watch.ret_version) < 0 || !ok)
        object = json_free(object);
    reply_header(job->request, "Cache-Control", "no-store");
    reply_json(job->request, 200, take_ptr(object));
}

static void long_poll(struct service *service, struct http_request *request, int64_t since) {
    struct err err = ERR_NONE;
    int64_t wait_s = 0, limit = 0;
    struct job *job = job_new(service, request, answer_events);
    if (!job)
        return;
    if (query_number(request, "wait", 0, SERVICE_WAIT_MAX_S, 0, &wait_s, &err) < 0 ||
        query_number(request, "limit", 1, KV_EVENTS_MAX, KV_EVENTS_MAX, &limit, &err) < 0) {
        job_refuse(job, &err);
        return;
    }
    job->watch.ns = http_request_arg(request, "ns", NULL);
    job->watch.prefix = query_blob(request, "prefix");
    job->watch.since = since;
    job->watch.limit = (size_t)limit;
    job->watch.wait_until_ns = wait_s ? clock_monotonic(service->clock) + wait_s * NS_PER_S : 0;
    job->call.deadline_ns += wait_s * NS_PER_S;
    service->engine->kv->watch(service->engine->self, &job->watch);
}

static void handle_watch(void *arg, struct http_request *request) {
    struct service *service = arg;
    struct err err = ERR_NONE;
    const char *accept = http_request_header(request, "Accept"), *last = http_request_header(request, "Last-Event-ID");
    bool stream = accept && strstr(accept, "text/event-stream");
    const char *from = http_request_query(request, "since", NULL);
    struct kv_position at = {.since = str_eq(from, "all") ? KV_STREAM_ALL : KV_WATCH_NOW};
    int64_t heartbeat_s = 0;
    bool named = str_eq(from, "now") || str_eq(from, "all");
    int r = named ? 0 : query_number(request, "since", 0, INT64_MAX, 0, &at.since, &err);
    if (r == 0 && !stream && at.since == KV_STREAM_ALL)
        r = err_set(&err, -EINVAL, "since=all is for streams: add 'Accept: text/event-stream', or list the keys");
    if (r == 0)
        r = query_number(request, "heartbeat", 1, KV_HEARTBEAT_S, KV_HEARTBEAT_S, &heartbeat_s, &err);
    if (r == 0 && stream && last && kv_position_parse(last, &at) < 0)
        r = err_set(&err, -EINVAL, "Last-Event-ID: %.40s is no version", last);
    if (r < 0)
        http_reply_error(request, &err);
    else if (stream)
        kv_stream_start(service, request, &at, heartbeat_s);
    else
        long_poll(service, request, at.since);
}

static const struct http_route rows[] = {
    {HTTP_POST, "/kv/namespaces/{ns}/batch", false, HTTP_BODY_WHOLE, BATCH_BODY_MAX, handle_batch, "kv_batch",
     "Write several keys: all or nothing", ACCESS_WRITE},
    {HTTP_GET, "/kv/namespaces/{ns}/watch", false, HTTP_BODY_NONE, 0, handle_watch, "kv_watch",
     "Changes since a version: long poll, or server-sent events", ACCESS_READ},
};
const struct route_table kv_batch_routes = {rows, ARRAY_SIZE(rows)};
