// SPDX-License-Identifier: Apache-2.0
// What goes away piece by piece, so that no commit waits for a large removal: the rows of removed containers and old
// entries of the deduplication.
#include <errno.h>
#include <string.h>

#include "sidecar/engine/sqlite/store.h"

static int remove_rows(struct store *s, int64_t id, enum container_kind kind, struct err *err) {
    struct db *db = &s->writer.db;
    int before = sqlite3_total_changes(db->handle);
    int r = db_run(db, err, kind == CONTAINER_NAMESPACE ? SQL_KV_DOOMED : SQL_MESSAGE_DOOMED, "i", id);
    if (r == 0 && kind == CONTAINER_QUEUE && sqlite3_total_changes(db->handle) == before)
        r = db_run(db, err, SQL_DEDUP_DOOMED, "i", id);
    if (r == 0 && sqlite3_total_changes(db->handle) == before)
        r = db_run(db, err, SQL_DOOMED_REMOVE, "i", id);
    return r;
}

int doomed_step(struct store *s, struct err *err) {
    struct db *db = &s->writer.db;
    int64_t id = 0;
    enum container_kind kind = CONTAINER_NAMESPACE;
    {
        sqlite3_stmt *q cleanup_reset = db_bind(db, SQL_DOOMED_FIRST, "");
        int r = db_step(db, q, err);
        if (r < 0)
            return r;
        s->writer.doomed = r > 0;
        if (r == 0)
            return 0;
        id = db_int(q, 0);
        kind = (enum container_kind)db_int(q, 1);
    }
    return remove_rows(s, id, kind, err);
}

// ---- deduplication ----

#define SWEEP_STEP 512
#define SWEEP_FAST_MS 10
#define SWEEP_SLOW_MS 200
#define SWEEP_REST_MS 30000 // between two walks through the table

struct entry {
    int64_t queue;
    unsigned char hash[16];
};

// Collects the entries whose window is over; *ret_seen counts all that were looked at, and the walk goes on behind them.
static int find_over(struct store *s, struct entry *ret, size_t *ret_count, size_t *ret_seen, struct err *err) {
    struct writer *w = &s->writer;
    sqlite3_stmt *q cleanup_reset =
        db_bind(&w->db, SQL_DEDUP_SWEEP, "ib", w->sweep_queue, w->sweep_hash, sizeof w->sweep_hash);
    struct entry last = {0};
    int r;
    while ((r = db_step(&w->db, q, err)) > 0) {
        const struct container *c = catalog_by_id(&s->catalog, db_int(q, 0));
        last.queue = db_int(q, 0);
        memcpy(last.hash, sqlite3_column_blob(q, 1), sizeof last.hash);
        if (!c || db_int(q, 2) + c->settings.dedup_ms <= w->now_ms)
            ret[(*ret_count)++] = last;
        ++*ret_seen;
    }
    w->sweep_queue = last.queue;
    memcpy(w->sweep_hash, last.hash, sizeof last.hash);
    return r;
}

int dedup_sweep(struct store *s, struct err *err) {
    struct writer *w = &s->writer;
    struct entry over[SWEEP_STEP];
    size_t count = 0, seen = 0;
    int r = find_over(s, over, &count, &seen, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = db_run(&w->db, err, SQL_DEDUP_REMOVE, "ib", over[i].queue, over[i].hash, sizeof over[i].hash);
    bool at_end = seen < SWEEP_STEP;
    if (at_end) { // the end of the table: begin anew, later; never when there is nothing
        w->sweep_queue = 0;
        memset(w->sweep_hash, 0, sizeof w->sweep_hash);
        w->next_sweep_ms = w->now_ms + SWEEP_REST_MS;
        if (seen == 0 && !w->sweep_seen)
            w->next_sweep_ms = TIME_NEVER;
        w->sweep_seen = false;
    } else {
        w->next_sweep_ms = w->now_ms + (count * 8 >= seen ? SWEEP_FAST_MS : SWEEP_SLOW_MS);
        w->sweep_seen = true;
    }
    return r;
}
