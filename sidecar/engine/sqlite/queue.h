// SPDX-License-Identifier: Apache-2.0
// Queues: what the files that implement them share.
#pragma once

#include "sidecar/engine/sqlite/store.h"

struct message {
    int64_t due, id, sent, receives, token, source;
    const void *body;
    size_t len;
};

// queue_move.c, the writer's
int message_put(struct store *s, struct container *c, const struct message *m, struct err *err) must_check;
int message_remove(struct store *s, struct container *c, const struct message *m, struct err *err) must_check;
// Brings a hidden message to `due` with `token` (0, 0: it can be received again, or goes to the dead letters).
int message_move(struct store *s, struct container *c, int64_t due, int64_t id, int64_t new_due, int64_t new_token,
                 struct err *err) must_check;
void queue_look_at(struct store *s, struct container *c, int64_t ms);
// When the messages sent at `ms` or before are too old; -1: they never are.
static inline int64_t queue_cutoff(const struct queue_settings *settings, int64_t now_ms) {
    return settings->retention_ms > 0 ? now_ms - settings->retention_ms : -1;
}

// queue_receive.c
int queue_serve(struct store *s, struct container *c, struct err *err) must_check; // those who wait, the oldest first
void queue_receive(void *self, struct queue_receive *call);
// queue_settle.c
void queue_settle(void *self, struct queue_settle *call);
void queue_redrive(void *self, struct queue_redrive *call);
// queue_read.c
void queue_describe(void *self, struct queue_describe *call);
void queue_peek(struct store *s, struct queue_receive *call);
void queue_release(struct engine_call *call); // of a receive
// Copies the rows (id, sent, receives, source, body) until PAGE_BYTES_MAX.
int queue_collect(struct db *db, sqlite3_stmt *rows, struct queue_receive *receive, struct err *err) must_check;
