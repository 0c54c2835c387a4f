// SPDX-License-Identifier: Apache-2.0
// Queues: reads, on the caller's thread.
#include <errno.h>

#include "lib/base/mem.h"
#include "sidecar/engine/sqlite/queue.h"

void queue_release(struct engine_call *call) {
    struct queue_receive *receive = (struct queue_receive *)call;
    for (size_t i = 0; i < receive->ret_count; i++)
        free(receive->ret[i].body);
    free(receive->ret);
    receive->ret = NULL;
    receive->ret_count = 0;
}

static int add_delivery(struct queue_receive *receive, sqlite3_stmt *row) {
    if ((receive->ret_count & (receive->ret_count - 1)) == 0) { // full at every power of two
        size_t cap = receive->ret_count ? receive->ret_count * 2 : 1;
        struct queue_delivery *grown = mem_realloc(receive->ret, cap, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        receive->ret = grown;
    }
    receive->call.release = queue_release;
    struct queue_delivery *d = &receive->ret[receive->ret_count];
    const void *body = sqlite3_column_blob(row, 4);
    *d = (struct queue_delivery){.id = db_int(row, 0), .sent_ms = db_int(row, 1), .receives = (int32_t)db_int(row, 2)};
    d->len = (size_t)sqlite3_column_bytes(row, 4);
    d->body = copy_blob(body, d->len);
    if (!d->body)
        return -ENOMEM;
    receive->ret_count++;
    return 0;
}

int queue_collect(struct db *db, sqlite3_stmt *rows, struct queue_receive *receive, struct err *err) {
    size_t bytes = 0;
    int r;
    while ((r = db_step(db, rows, err)) > 0) {
        bytes += (size_t)sqlite3_column_bytes(rows, 4);
        if (receive->ret_count > 0 && bytes > PAGE_BYTES_MAX)
            return 0;
        if (add_delivery(receive, rows) < 0)
            return err_set(err, -ENOMEM, "no memory for messages");
    }
    return r;
}

static int peek(struct store *s, struct queue_receive *receive) {
    struct err *err = &receive->call.err;
    int64_t id = catalog_lookup(&s->catalog, CONTAINER_QUEUE, receive->call.workspace, receive->queue);
    if (id == 0)
        return call_not_found(&receive->call, CONTAINER_QUEUE, receive->queue);
    struct reader *reader cleanup_reader = reader_get(s);
    sqlite3_stmt *q cleanup_reset =
        db_bind(&reader->db, SQL_MESSAGE_PEEK, "iii", id, (int64_t)receive->max, INT64_C(-1));
    return queue_collect(&reader->db, q, receive, err);
}

void queue_peek(struct store *s, struct queue_receive *call) {
    call_end(&call->call, peek(s, call));
}

// ---- describe ----

static void describe_release(struct engine_call *call) {
    struct queue_describe *d = (struct queue_describe *)call;
    for (size_t i = 0; i < d->ret_count; i++) {
        free(d->ret[i].name);
        free((char *)(uintptr_t)d->ret[i].settings.dead_letter);
    }
    free(d->ret);
    d->ret = NULL;
    d->ret_count = 0;
}

// Leaves out the ready messages that are too old and not yet removed.
static int without_old(struct db *db, int64_t id, int64_t cutoff, struct queue_info *info, struct err *err) {
    sqlite3_stmt *q cleanup_reset = db_bind(db, SQL_MESSAGE_HEAD, "i", id);
    int r;
    while ((r = db_step(db, q, err)) > 0 && db_int(q, 0) <= cutoff) {
        info->ready--;
        info->bytes -= db_int(q, 1);
    }
    return r < 0 ? r : 0;
}

// The counters are of the last commit; time may have gone on since.
static int as_of_now(struct db *db, int64_t id, int64_t now_ms, struct queue_info *info, struct err *err) {
    int64_t cutoff = queue_cutoff(&info->settings, now_ms);
    int r = cutoff >= 0 ? without_old(db, id, cutoff, info, err) : 0;
    if (r == 0 && info->leased + info->delayed > 0) {
        sqlite3_stmt *old cleanup_reset = db_bind(db, SQL_MESSAGE_OLD_SUM, "ii", id, cutoff);
        r = db_step(db, old, err);
        if (r > 0) {
            info->leased -= db_int(old, 0);
            info->delayed -= db_int(old, 1);
            info->bytes -= db_int(old, 2);
        }
        sqlite3_stmt *due cleanup_reset = db_bind(db, SQL_MESSAGE_DUE_SUM, "iii", id, now_ms, cutoff);
        r = r < 0 ? r : db_step(db, due, err);
        if (r > 0) {
            info->leased -= db_int(due, 0);
            info->delayed -= db_int(due, 1);
            info->ready += db_int(due, 0) + db_int(due, 1);
        }
    }
    sqlite3_stmt *oldest cleanup_reset = db_bind(db, SQL_MESSAGE_OLDEST, "i", id);
    r = r < 0 ? r : db_step(db, oldest, err);
    if (r > 0 && sqlite3_column_type(oldest, 0) != SQLITE_NULL)
        info->oldest_ms = now_ms - db_int(oldest, 0);
    return r < 0 ? r : 0;
}

static int add_queue(struct store *s, struct queue_describe *d, struct db *db, sqlite3_stmt *q) {
    struct queue_info *grown = mem_realloc(d->ret, d->ret_count + 1, sizeof *grown);
    if (!grown)
        return err_set(&d->call.err, -ENOMEM, "no memory for the queues");
    d->ret = grown;
    struct queue_info *info = &d->ret[d->ret_count++];
    *info = (struct queue_info){.bytes = db_int(q, 3),
                                .settings = {.dedup_ms = db_int(q, 5),
                                             .visibility_ms = db_int(q, 6),
                                             .delay_ms = db_int(q, 7),
                                             .retention_ms = db_int(q, 8),
                                             .max_receives = (int32_t)db_int(q, 9)},
                                .leased = db_int(q, 11),
                                .delayed = db_int(q, 12)};
    info->ready = db_int(q, 2) - info->leased - info->delayed;
    info->name = mem_strdup((const char *)sqlite3_column_text(q, 1));
    info->settings.dead_letter = mem_strdup((const char *)sqlite3_column_text(q, 10));
    if (!info->name || !info->settings.dead_letter)
        return err_set(&d->call.err, -ENOMEM, "no memory for the queues");
    return as_of_now(db, db_int(q, 0), store_now_ms(s), info, &d->call.err);
}

static int describe(struct store *s, struct queue_describe *d) {
    struct reader *reader cleanup_reader = reader_get(s);
    d->call.release = describe_release;
    sqlite3_stmt *q cleanup_reset =
        db_bind(&reader->db, SQL_CONTAINER_LIST, "tit", d->call.workspace, (int64_t)CONTAINER_QUEUE, d->name);
    int r;
    // The list is one open read, so all that is read meanwhile is of the same commit.
    while ((r = db_step(&reader->db, q, &d->call.err)) > 0) {
        r = add_queue(s, d, &reader->db, q);
        if (r < 0)
            return r;
    }
    if (r == 0 && d->name && d->ret_count == 0)
        return call_not_found(&d->call, CONTAINER_QUEUE, d->name);
    return r;
}

void queue_describe(void *self, struct queue_describe *call) {
    call->ret = NULL;
    call->ret_count = 0;
    call_end(&call->call, describe(self, call));
}
