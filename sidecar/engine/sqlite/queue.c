// SPDX-License-Identifier: Apache-2.0
// Queues: making, configuring, purging, sending.
#include "sidecar/engine/sqlite/queue.h"

#include <errno.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/mem.h"

static const struct {
    size_t offset;
    int64_t fallback, max;
    const char *name;
} settings_rows[] = {
    {offsetof(struct queue_settings, dedup_ms), QUEUE_DEDUP_MS, INT64_C(24) * 3600 * 1000, "dedup window"},
    {offsetof(struct queue_settings, visibility_ms), 30 * 1000, INT64_C(12) * 3600 * 1000, "visibility timeout"},
    {offsetof(struct queue_settings, delay_ms), 0, 15 * 60 * 1000, "delay"},
    {offsetof(struct queue_settings, retention_ms), 0, INT64_C(10) * 365 * 24 * 3600 * 1000, "retention"},
};

static int64_t *setting(struct queue_settings *settings, size_t row) {
    return (int64_t *)(void *)((char *)settings + settings_rows[row].offset);
}

static int check_settings(struct queue_settings *settings, struct err *err) {
    for (size_t i = 0; i < ARRAY_SIZE(settings_rows); i++) {
        int64_t value = *setting(settings, i);
        if (value < -1 || value > settings_rows[i].max)
            return err_set(err, -EINVAL, "the %s is %lld ms, and can be 0 to %lld ms", settings_rows[i].name,
                           (long long)value, (long long)settings_rows[i].max);
    }
    if (settings->max_receives < -1)
        return err_set(err, -EINVAL, "the number of receives cannot be negative");
    return 0;
}

static int check_dead_letter(struct store *s, const struct queue_describe *d, struct err *err) {
    const char *name = d->settings.dead_letter;
    if (!name || !*name)
        return 0;
    if (strcmp(name, d->name) == 0)
        return err_set(err, -EINVAL, "queue '%s' cannot be its own dead-letter queue", d->name);
    if (!catalog_find(&s->catalog, CONTAINER_QUEUE, d->call.workspace, name))
        return err_set(err, -ENOENT, "no queue '%s' for the dead letters: create it first", name);
    return 0;
}

static int save_settings(struct store *s, struct container *c, struct queue_settings *wanted, bool made,
                         struct err *err) {
    struct queue_settings *now = &c->settings;
    for (size_t i = 0; i < ARRAY_SIZE(settings_rows); i++) {
        int64_t value = *setting(wanted, i);
        if (value >= 0 || made)
            *setting(now, i) = value >= 0 ? value : settings_rows[i].fallback;
    }
    if (wanted->max_receives >= 0)
        now->max_receives = wanted->max_receives;
    if (wanted->dead_letter) {
        char *copy = mem_strdup(wanted->dead_letter);
        if (!copy)
            return s->writer.db.failed = err_set(err, -ENOMEM, "no memory for the settings of '%s'", c->name);
        free((char *)(uintptr_t)now->dead_letter);
        now->dead_letter = copy;
    }
    queue_look_at(s, c, s->writer.now_ms); // a shorter retention counts at once
    return db_run(&s->writer.db, err, SQL_CONTAINER_SETTINGS, "iiiiiit", c->id, now->dedup_ms, now->visibility_ms,
                  now->delay_ms, now->retention_ms, (int64_t)now->max_receives, now->dead_letter);
}

static int create_apply(void *self, struct engine_call *call) {
    struct store *s = self;
    struct queue_describe *create = (struct queue_describe *)call;
    struct container *c = catalog_find(&s->catalog, CONTAINER_QUEUE, call->workspace, create->name);
    int r = check_dead_letter(s, create, &call->err);
    create->ret_created = !c;
    if (r == 0 && !c)
        r = catalog_add(&s->catalog, &s->writer.db, CONTAINER_QUEUE, call->workspace, create->name, &c, &call->err);
    return r < 0 ? r : save_settings(s, c, &create->settings, create->ret_created, &call->err);
}

static void create(void *self, struct queue_describe *call) {
    int r = check_settings(&call->settings, &call->call.err);
    if (r < 0)
        call_end(&call->call, r);
    else
        writer_submit(self, &call->call, create_apply);
}

static int remove_apply(void *self, struct engine_call *call) {
    struct store *s = self;
    const struct queue_describe *removal = (struct queue_describe *)call;
    struct container *c = catalog_find(&s->catalog, CONTAINER_QUEUE, call->workspace, removal->name);
    if (!c)
        return call_not_found(call, CONTAINER_QUEUE, removal->name);
    for (struct engine_call *next, *waiting = c->waiters; waiting; waiting = next) {
        next = waiting->next;
        waiting->err.code = call_not_found(waiting, CONTAINER_QUEUE, removal->name);
        waiting->next = s->writer.served;
        s->writer.served = waiting;
    }
    c->waiters = NULL;
    s->writer.doomed = true;
    return catalog_remove(&s->catalog, &s->writer.db, c, &call->err);
}

static void remove_queue(void *self, struct queue_describe *call) {
    writer_submit(self, &call->call, remove_apply);
}

static int purge_apply(void *self, struct engine_call *call) {
    struct store *s = self;
    struct queue_describe *purge = (struct queue_describe *)call;
    struct container *c = catalog_find(&s->catalog, CONTAINER_QUEUE, call->workspace, purge->name);
    if (!c)
        return call_not_found(call, CONTAINER_QUEUE, purge->name);
    int r = db_run(&s->writer.db, &call->err, SQL_MESSAGE_PURGE, "i", c->id);
    if (r < 0)
        return r;
    purge->ret_removed = c->items;
    c->leased = c->delayed = 0;
    catalog_count(&s->catalog, c, -c->items, -c->bytes);
    return 0;
}

static void purge(void *self, struct queue_describe *call) {
    writer_submit(self, &call->call, purge_apply);
}

// ---- sending ----

static int find_duplicate(struct store *s, const struct container *c, struct queue_message *m, struct err *err) {
    m->ret_duplicate = false;
    if (c->settings.dedup_ms == 0)
        return 0;
    sqlite3_stmt *q cleanup_reset = db_bind(&s->writer.db, SQL_DEDUP_GET, "ib", c->id, m->hash, sizeof m->hash);
    int r = db_step(&s->writer.db, q, err);
    if (r > 0 && db_int(q, 1) + c->settings.dedup_ms > s->writer.now_ms) {
        m->ret_duplicate = true;
        m->ret_id = db_int(q, 0);
    }
    return r < 0 ? r : 0;
}

static int send_one(struct store *s, struct container *c, struct queue_message *m, struct err *err) {
    int64_t now = s->writer.now_ms, delay = m->delay_ms < 0 ? c->settings.delay_ms : m->delay_ms;
    int r = find_duplicate(s, c, m, err);
    if (r < 0 || m->ret_duplicate)
        return r;
    struct message message = {
        .due = delay > 0 ? now + delay : 0, .id = ++c->version, .sent = now, .body = m->body.data, .len = m->body.len};
    r = message_put(s, c, &message, err);
    m->ret_id = message.id;
    if (r < 0 || c->settings.dedup_ms == 0)
        return r;
    if (s->writer.next_sweep_ms > now + c->settings.dedup_ms + 1000)
        s->writer.next_sweep_ms = now + c->settings.dedup_ms + 1000;
    return db_run(&s->writer.db, err, SQL_DEDUP_PUT, "ibii", c->id, m->hash, sizeof m->hash, message.id, now);
}

static int check_room(struct store *s, struct container *c, struct queue_send *send, struct err *err) {
    int64_t bytes = 0;
    int r = 0;
    if (c->workspace->quota.bytes == 0)
        return 0;
    for (size_t i = 0; r == 0 && i < send->count; i++) {
        r = find_duplicate(s, c, &send->messages[i], err);
        bytes += send->messages[i].ret_duplicate ? 0 : (int64_t)send->messages[i].body.len;
    }
    return r < 0 ? r : catalog_room(c, bytes, err);
}

static int send_apply(void *self, struct engine_call *call) {
    struct store *s = self;
    struct queue_send *send = (struct queue_send *)call;
    struct container *c = catalog_find(&s->catalog, CONTAINER_QUEUE, call->workspace, send->queue);
    if (!c)
        return call_not_found(call, CONTAINER_QUEUE, send->queue);
    int r = check_room(s, c, send, &call->err);
    for (size_t i = 0; r == 0 && i < send->count; i++)
        r = send_one(s, c, &send->messages[i], &call->err);
    return r < 0 ? r : queue_serve(s, c, &call->err);
}

static size_t characters(const struct blob *text) {
    size_t count = 0;
    for (size_t i = 0; i < text->len; i++)
        count += ((unsigned char)text->data[i] & 0xc0) != 0x80;
    return count;
}

static int check_message(struct queue_message *m, struct err *err) {
    if (m->body.len > QUEUE_MESSAGE_MAX && characters(&m->body) > QUEUE_MESSAGE_MAX)
        return err_set(err, -E2BIG, "the message has %zu characters, the limit is %d", characters(&m->body),
                       QUEUE_MESSAGE_MAX);
    if (m->body.len > (size_t)4 * QUEUE_MESSAGE_MAX)
        return err_set(err, -E2BIG, "the message has %zu bytes, the limit is %d", m->body.len, 4 * QUEUE_MESSAGE_MAX);
    if (m->delay_ms > 15 * 60 * 1000)
        return err_set(err, -EINVAL, "a message can be delayed for at most 15 minutes");
    return 0;
}

// Of the id, if there is one; the body and an id that is the same text are different things.
static void hash(struct queue_message *m) {
    unsigned char digest[HASH_SHA256];
    bool by_id = m->dedup_id.len > 0;
    const struct blob *what = by_id ? &m->dedup_id : &m->body;
    hash_sha256(what->data ? what->data : "", what->len, digest);
    memcpy(m->hash, digest, sizeof m->hash);
    m->hash[0] = (unsigned char)((m->hash[0] & 0xfe) | by_id);
}

static void send_messages(void *self, struct queue_send *call) {
    int r = 0;
    for (size_t i = 0; r == 0 && i < call->count; i++) {
        r = check_message(&call->messages[i], &call->call.err);
        hash(&call->messages[i]); // here, not in the one writer
    }
    if (r < 0)
        call_end(&call->call, r);
    else
        writer_submit(self, &call->call, send_apply);
}

const struct queue_ops sqlite_queue = {create,        remove_queue,  queue_describe, purge,
                                       send_messages, queue_receive, queue_settle,   queue_redrive};
