// SPDX-License-Identifier: Apache-2.0
// Messages move: into a queue, out of it, from hidden to ready, to the dead letters, and away when they are too old.
//
//    sent ──► ready ──take──► gone             due = 0: ready, in the order of ids
//      │      │  ▲                             due > 0: hidden until then; token: by a lease
//   delay   lease └─ nack, lease or delay over
//      ▼      ▼                                too often received ──► ready in the dead-letter queue, with a new id
//     hidden ──ack──► gone
#include <errno.h>

#include "sidecar/engine/sqlite/queue.h"

void queue_look_at(struct store *s, struct container *c, int64_t ms) {
    if (ms < c->next_ms)
        c->next_ms = ms;
    if (ms < s->writer.next_ms)
        s->writer.next_ms = ms;
}

static void count_hidden(struct container *c, const struct message *m, int64_t n) {
    if (m->due > 0)
        *(m->token != 0 ? &c->leased : &c->delayed) += n;
}

int message_put(struct store *s, struct container *c, const struct message *m, struct err *err) {
    int r = db_run(&s->writer.db, err, SQL_MESSAGE_PUT, "iiiiiiib", c->id, m->due, m->id, m->sent, m->receives,
                   m->token, m->source, m->body, m->len);
    if (r < 0)
        return r;
    count_hidden(c, m, 1);
    catalog_count(&s->catalog, c, 1, (int64_t)m->len);
    if (m->due > 0)
        queue_look_at(s, c, m->due);
    if (c->settings.retention_ms > 0)
        queue_look_at(s, c, m->sent + c->settings.retention_ms);
    return 0;
}

int message_remove(struct store *s, struct container *c, const struct message *m, struct err *err) {
    int r = db_run(&s->writer.db, err, SQL_MESSAGE_REMOVE, "iii", c->id, m->due, m->id);
    if (r < 0)
        return r;
    count_hidden(c, m, -1);
    catalog_count(&s->catalog, c, -1, -(int64_t)m->len);
    return 0;
}

// The count alone decides, not how the last lease ended: a message given back with a delay has lost its token by now.
static struct container *dead_letters(struct store *s, const struct container *c, const struct message *m) {
    if (c->settings.max_receives <= 0 || m->receives < c->settings.max_receives || !*c->settings.dead_letter)
        return NULL;
    return catalog_find(&s->catalog, CONTAINER_QUEUE, c->workspace->name, c->settings.dead_letter);
}

int message_move(struct store *s, struct container *c, int64_t due, int64_t id, int64_t new_due, int64_t new_token,
                 struct err *err) {
    sqlite3_stmt *q cleanup_reset = db_bind(&s->writer.db, SQL_MESSAGE_GET, "iii", c->id, due, id);
    int r = db_step(&s->writer.db, q, err);
    if (r <= 0)
        return r;
    struct message m = {.due = due,
                        .id = id,
                        .sent = db_int(q, 0),
                        .receives = db_int(q, 1),
                        .token = db_int(q, 2),
                        .source = db_int(q, 3),
                        .body = sqlite3_column_blob(q, 4),
                        .len = (size_t)sqlite3_column_bytes(q, 4)};
    r = message_remove(s, c, &m, err);
    if (r < 0)
        return r;
    struct container *dead = new_due == 0 ? dead_letters(s, c, &m) : NULL;
    m.due = new_due;
    m.token = new_token;
    if (dead) {
        m.source = c->id;
        m.id = ++dead->version;
        m.sent = s->writer.now_ms;
        m.receives = 0;
        c = dead;
    }
    r = message_put(s, c, &m, err);
    return r < 0 || !dead ? r : queue_serve(s, dead, err);
}

// ---- by time ----

#define STEP 256
struct place {
    int64_t due, id, len, token;
};

static int find(struct store *s, enum sql sql, int64_t queue, int64_t ms, struct place *ret, struct err *err) {
    sqlite3_stmt *q cleanup_reset = db_bind(&s->writer.db, sql, "ii", queue, ms);
    int r, count = 0;
    while ((r = db_step(&s->writer.db, q, err)) > 0 && count < STEP)
        ret[count++] = (struct place){db_int(q, 0), db_int(q, 1), db_int(q, 2), db_int(q, 3)};
    return r < 0 ? r : count;
}

static int promote(struct store *s, struct container *c, struct err *err) {
    struct place places[STEP];
    int count = 1, r = 0;
    while (r == 0 && count > 0) {
        count = find(s, SQL_MESSAGE_DUE, c->id, s->writer.now_ms, places, err);
        if (count < 0)
            return count;
        for (int i = 0; r == 0 && i < count; i++)
            r = message_move(s, c, places[i].due, places[i].id, 0, 0, err);
    }
    return r;
}

static int remove_old(struct store *s, struct container *c, enum sql sql, struct err *err) {
    int64_t cutoff = queue_cutoff(&c->settings, s->writer.now_ms);
    struct place places[STEP];
    int count = cutoff >= 0, r = 0;
    while (r == 0 && count > 0) {
        count = find(s, sql, c->id, cutoff, places, err);
        if (count < 0)
            return count;
        for (int i = 0; r == 0 && i < count; i++)
            r = message_remove(
                s, c,
                &(struct message){
                    .due = places[i].due, .id = places[i].id, .token = places[i].token, .len = (size_t)places[i].len},
                err);
    }
    return r;
}

static int minimum(struct store *s, enum sql sql, int64_t queue, int64_t *ret, struct err *err) {
    sqlite3_stmt *q cleanup_reset = db_bind(&s->writer.db, sql, "i", queue);
    int r = db_step(&s->writer.db, q, err);
    if (r < 0)
        return r;
    *ret = r == 0 || sqlite3_column_type(q, 0) == SQLITE_NULL ? TIME_NEVER : db_int(q, 0);
    return 0;
}

static int tick_one(struct store *s, struct container *c, struct err *err) {
    int64_t next_ms = TIME_NEVER, oldest_ms = TIME_NEVER;
    int r = remove_old(s, c, SQL_MESSAGE_OLD, err);
    if (r == 0)
        r = remove_old(s, c, SQL_MESSAGE_OLD_HIDDEN, err);
    if (r == 0)
        r = promote(s, c, err);
    if (r == 0)
        r = queue_serve(s, c, err);
    if (r == 0)
        r = minimum(s, SQL_MESSAGE_NEXT_DUE, c->id, &next_ms, err);
    if (r == 0 && c->settings.retention_ms > 0)
        r = minimum(s, SQL_MESSAGE_OLDEST, c->id, &oldest_ms, err);
    if (oldest_ms != TIME_NEVER && oldest_ms + c->settings.retention_ms < next_ms)
        next_ms = oldest_ms + c->settings.retention_ms;
    c->next_ms = next_ms;
    return r;
}

int queue_tick(struct store *s, struct err *err) {
    const struct strmap_slot *slot;
    int r = 0;
    for (size_t i = 0; r == 0 && (slot = strmap_next(&s->catalog.containers, &i));) {
        struct container *c = slot->value;
        if (c->kind == CONTAINER_QUEUE && c->next_ms <= s->writer.now_ms)
            r = tick_one(s, c, err);
    }
    for (size_t i = 0; r == 0 && (slot = strmap_next(&s->catalog.containers, &i));) {
        const struct container *c = slot->value;
        if (c->kind == CONTAINER_QUEUE && c->next_ms < s->writer.next_ms)
            s->writer.next_ms = c->next_ms;
    }
    return r;
}
