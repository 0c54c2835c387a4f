// SPDX-License-Identifier: Apache-2.0
// What becomes of leased messages, and back from the dead letters.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sidecar/engine/sqlite/queue.h"

#define LEASE_MAX_MS (INT64_C(12) * 3600 * 1000)

static bool parse_receipt(const char *text, int64_t *ret_id, int64_t *ret_token) {
    const char *dash = strchr(text, '-');
    char *end;
    if (!dash || strspn(text, "0123456789abcdef") != (size_t)(dash - text) ||
        strspn(dash + 1, "0123456789abcdef") != strlen(dash + 1) || strlen(text) > 33 || dash == text || !dash[1])
        return false;
    *ret_id = (int64_t)strtoull(text, &end, 16);
    *ret_token = (int64_t)strtoull(dash + 1, &end, 16);
    return *ret_token > 0;
}

// Finds the lease of a receipt: 1 with its message, 0 when it is over.
static int find_lease(struct store *s, const struct container *c, const char *receipt, struct message *ret,
                      struct err *err) {
    struct db *db = &s->writer.db;
    int64_t id, token;
    if (!parse_receipt(receipt, &id, &token))
        return 0;
    sqlite3_stmt *where cleanup_reset = db_bind(db, SQL_MESSAGE_HIDDEN, "ii", c->id, id);
    int r = db_step(db, where, err);
    if (r <= 0)
        return r;
    int64_t due = db_int(where, 0);
    sqlite3_stmt *q cleanup_reset = db_bind(db, SQL_MESSAGE_LEASE, "iii", c->id, due, id);
    r = db_step(db, q, err);
    if (r <= 0 || db_int(q, 0) != token || due <= s->writer.now_ms)
        return r < 0 ? r : 0;
    *ret = (struct message){.due = due, .id = id, .token = token, .len = (size_t)db_int(q, 1)};
    return 1;
}

static int settle_one(struct store *s, struct container *c, const struct queue_settle *settle, const struct message *m,
                      struct err *err) {
    int64_t later = s->writer.now_ms + settle->delay_ms;
    if (settle->action == QUEUE_ACK)
        return message_remove(s, c, m, err);
    if (settle->action == QUEUE_EXTEND)
        return message_move(s, c, m->due, m->id, later, m->token, err);
    return message_move(s, c, m->due, m->id, settle->delay_ms > 0 ? later : 0, 0, err);
}

static int settle_apply(void *self, struct engine_call *call) {
    struct store *s = self;
    struct queue_settle *settle = (struct queue_settle *)call;
    struct container *c = catalog_find(&s->catalog, CONTAINER_QUEUE, call->workspace, settle->queue);
    if (!c)
        return call_not_found(call, CONTAINER_QUEUE, settle->queue);
    int r = 0;
    for (size_t i = 0; r >= 0 && i < settle->count; i++) {
        struct message m;
        r = find_lease(s, c, settle->receipts[i], &m, &call->err);
        settle->ret_ok[i] = r > 0;
        if (r > 0)
            r = settle_one(s, c, settle, &m, &call->err);
    }
    return r < 0 ? r : queue_serve(s, c, &call->err);
}

void queue_settle(void *self, struct queue_settle *call) {
    if (call->action != QUEUE_ACK && (call->delay_ms < 0 || call->delay_ms > LEASE_MAX_MS)) {
        call_end(&call->call, err_set(&call->call.err, -EINVAL, "a message can be hidden for 0 to 12 hours"));
        return;
    }
    if (call->action == QUEUE_EXTEND && call->delay_ms == 0)
        call->action = QUEUE_NACK; // a lease that ends now
    writer_submit(self, &call->call, settle_apply);
}

// ---- back from the dead letters ----

#define STEP 64

static int redrive_one(struct store *s, struct container *dead, int64_t id, bool *ret_moved, struct err *err) {
    sqlite3_stmt *q cleanup_reset = db_bind(&s->writer.db, SQL_MESSAGE_GET, "iii", dead->id, INT64_C(0), id);
    int r = db_step(&s->writer.db, q, err);
    struct container *source = r > 0 ? catalog_by_id(&s->catalog, db_int(q, 3)) : NULL;
    if (!source)
        return r < 0 ? r : 0;
    struct message m = {.id = id, .body = sqlite3_column_blob(q, 4), .len = (size_t)sqlite3_column_bytes(q, 4)};
    r = message_remove(s, dead, &m, err);
    m.id = ++source->version;
    m.sent = s->writer.now_ms;
    if (r == 0)
        r = message_put(s, source, &m, err);
    *ret_moved = true;
    return r < 0 ? r : queue_serve(s, source, err);
}

static int redrive_apply(void *self, struct engine_call *call) {
    struct store *s = self;
    struct queue_redrive *redrive = (struct queue_redrive *)call;
    struct container *c = catalog_find(&s->catalog, CONTAINER_QUEUE, call->workspace, redrive->queue);
    if (!c)
        return call_not_found(call, CONTAINER_QUEUE, redrive->queue);
    redrive->ret_moved = 0;
    int64_t ids[STEP], last = c->version, after = 0;
    for (int r = 0, count = STEP; count == STEP;) {
        {
            sqlite3_stmt *q cleanup_reset = db_bind(&s->writer.db, SQL_MESSAGE_FROM, "ii", c->id, after);
            for (count = 0; count < STEP && (r = db_step(&s->writer.db, q, &call->err)) > 0; count++)
                ids[count] = db_int(q, 0);
        }
        for (int i = 0; r >= 0 && i < count; i++) {
            bool moved = false;
            after = ids[i];
            if (after > last || (redrive->max > 0 && (size_t)redrive->ret_moved >= redrive->max))
                return 0;
            r = redrive_one(s, c, after, &moved, &call->err);
            redrive->ret_moved += moved;
        }
        if (r < 0)
            return r;
    }
    return 0;
}

void queue_redrive(void *self, struct queue_redrive *call) {
    writer_submit(self, &call->call, redrive_apply);
}
