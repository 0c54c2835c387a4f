// SPDX-License-Identifier: Apache-2.0
// What the store says of a namespace that is shown as files: on a loop's thread, under the projector's lock.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/projection/limits.h"
#include "sidecar/remote/projection.h"

#define SILENCE_S 6 // without a byte, though a heartbeat was to come every WATCH_HEARTBEAT_S
#define LOOK_MAX 4096U
#define WAITING_SLACK (1 << 20) // bytes

static void answered(void *arg, unsigned status) {
    struct projection *p = arg;
    projector_lock(p->projector);
    p->status = status;
    projector_unlock(p->projector);
}

static void ended(void *arg) {
    struct projection *p = arg;
    projector_lock(p->projector);
    p->ended = true;
    projector_wake(p->projector);
    projector_unlock(p->projector);
}

// ---- a look -----------------------------------------------------------------------------------------------------------

static int take_body(void *arg, const char *data, size_t len) {
    struct projection *p = arg;
    projector_lock(p->projector);
    int r = p->body.len + len > LOOK_MAX ? -EMSGSIZE : str_append_bytes(&p->body, data, len);
    projector_unlock(p->projector);
    return r;
}

static int begin(struct projection *p, enum projection_stage stage, const char *query, const char *fields,
                 const struct http_subscriber *subscriber) {
    char target[160];
    (void)snprintf(target, sizeof target, "/api/v1/kv/namespaces/%s%s", p->spec.ns, query);
    projector_lock(p->projector);
    p->stage = stage;
    p->status = 0;
    p->ended = p->cancelled = p->overflow = false;
    str_done(&p->body);
    watch_reader_done(&p->reader);
    projector_unlock(p->projector);
    int r = projector_ask(p->projector, target, fields, subscriber, p);
    if (r < 0)
        p->stage = PROJECTION_IDLE;
    return r;
}

int projection_look(struct projection *p) {
    static const struct http_subscriber subscriber = {
        .answered = answered, .bytes = take_body, .ended = ended, .silence_s = SILENCE_S};
    return begin(p, PROJECTION_LOOK, "", "", &subscriber);
}

// ---- the stream ---------------------------------------------------------------------------------------------------------

static int take_change(void *arg, const struct json *event) {
    struct projection *p = arg;
    struct watch_bytes key cleanup(watch_bytes_done) = {0}, value cleanup(watch_bytes_done) = {0};
    char *copy = NULL;
    if (watch_bytes_get(event, "key", &key) < 0)
        return -EBADMSG;
    int r = watch_bytes_get(event, "value", &value);
    if (r < 0 && (r != -ENOENT || !json_get_bool(event, "removed", false)))
        return -EBADMSG;
    if (r == 0) {
        copy = mem_alloc(value.len + 1);
        if (!copy)
            return -ENOMEM;
        memcpy(copy, value.data, value.len);
    }
    r = batch_put(&p->told, key.data, copy, value.len);
    // What waits is of as many bytes as may be shown at most, but for keys that are removed again and again.
    int64_t waiting = p->told.bytes + p->settled.bytes, keys = (int64_t)(p->told.changes.len + p->settled.changes.len);
    if (r == 0 && (waiting > 2 * p->bytes_max + WAITING_SLACK || keys > 4 * projection_keys_max(p->bytes_max))) {
        p->overflow = true;
        r = -EMSGSIZE;
    }
    return r;
}

static int take_settled(void *arg, const char *id) {
    struct projection *p = arg;
    int64_t now = clock_monotonic(&clock_system), due = p->settled.due_ns;
    (void)snprintf(p->told.id, sizeof p->told.id, "%s", id);
    int r = batch_move(&p->settled, &p->told);
    p->settled.due_ns = due ? due : now;
    projector_wake(p->projector);
    return r;
}

static int take_stream(void *arg, const char *data, size_t len) {
    static const struct watch_ops ops = {take_change, take_settled};
    struct projection *p = arg;
    projector_lock(p->projector);
    int r = p->cancelled ? -ECANCELED : watch_read(&p->reader, data, len, &ops, p);
    projector_unlock(p->projector);
    return r;
}

int projection_watch(struct projection *p) {
    static const struct http_subscriber subscriber = {
        .answered = answered, .bytes = take_stream, .ended = ended, .silence_s = SILENCE_S};
    char query[64], fields[128] = "";
    bool whole = !p->id[0];
    (void)snprintf(query, sizeof query, "/watch?%sheartbeat=%d", whole ? "since=all&" : "", WATCH_HEARTBEAT_S);
    if (!whole)
        (void)snprintf(fields, sizeof fields, "Last-Event-ID: %s\r\n", p->id);
    projector_lock(p->projector);
    batch_done(&p->told);
    p->told.whole = whole;
    projector_unlock(p->projector);
    char all[192];
    (void)snprintf(all, sizeof all, "Accept: text/event-stream\r\n%s", fields);
    return begin(p, PROJECTION_WATCH, query, all, &subscriber);
}
