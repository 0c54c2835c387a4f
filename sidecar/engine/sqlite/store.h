// SPDX-License-Identifier: Apache-2.0
// The parts of the engine, tied together: what its files share.
//
// Threads: `writer` tells which fields are the writer thread's alone.
#pragma once

#include <stdatomic.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "lib/base/workq.h"
#include "sidecar/engine/sqlite/catalog.h"
#include "sidecar/engine/sqlite/history.h"

#define READERS_MAX 32
#define OBJECT_INLINE_MAX (32 * 1024) // bytes kept in the database: one sync for the batch instead of one a file

enum { CALL_WAITS = 1 }; // of engine_call.apply: parked, `done` comes later

struct reader {
    pthread_mutex_t lock;
    struct db db;
};

struct writer { // writer.c
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    _Atomic(struct engine_call *) submitted; // newest first
    atomic_bool stopping, draining, poked, broken;
    // the writer thread's
    struct db db;
    int64_t now_ms;             // of this batch, since 1970
    int64_t next_ms;            // earliest time something falls due
    int64_t resume_ms;          // after a failure: its own work not before this
    int64_t next_ns;            // earliest end of a receive's wait
    struct engine_call *served; // receives that waited and were answered in this batch
    int64_t sweep_queue;        // where the removal of old dedup entries goes on
    unsigned char sweep_hash[16];
    bool sweep_seen; // entries in this walk
    int64_t next_sweep_ms;
    bool doomed;  // rows to remove piece by piece
    bool garbage; // files that no object needs since this transaction
    int wal_pages;
};

struct checkpointer { // checkpoint.c
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping, wanted;
    atomic_bool finish; // the writer is to write back the rest
    struct db db;
};

struct uploads { // object_room.c
    pthread_mutex_t lock;
    struct strmap held; // workspace -> int64_t: bytes of its uploads under way
};

struct new_folders { // object_files.c
    pthread_mutex_t lock;
    bool unsynced; // one was made since their parent was synced
};

struct store {
    char *folder, *db_path;
    const struct clock *clock;
    struct catalog catalog;
    struct writer writer;
    struct checkpointer checkpointer;
    struct reader readers[READERS_MAX];
    unsigned reader_count;
    struct histories histories;
    struct workq *workers; // watches that woke, files that are synced
    struct work garbage_work;
    atomic_bool garbage_busy;
    int objects_fd;
    struct new_folders new_folders;
    struct uploads uploads;
    int64_t epoch; // counts openings: part of the names of files
    int64_t clean; // files of epochs before this one are all known
    atomic_bool closing;
    _Atomic int64_t next_file;
    atomic_int holds; // backups that still need files nobody else does
    atomic_bool backing_up;
};

static inline int64_t store_now_ms(const struct store *s) {
    return clock_wall(s->clock) / NS_PER_MS;
}
static inline void call_end(struct engine_call *call, int code) {
    call->err.code = code;
    call->done(call);
}

// ---- writer.c ----
void writer_init(struct writer *w);
int writer_open(struct store *s, struct err *err) must_check; // its connection, and the catalog
int writer_start(struct store *s, struct err *err) must_check;
void writer_stop(struct store *s);
// Hands a write to the writer thread, which calls `apply` inside a transaction. It gives 0, a negative errno with nothing
// changed, or CALL_WAITS. It may run again when its neighbours failed, so it starts by clearing its results.
void writer_submit(struct store *s, struct engine_call *call, int (*apply)(void *self, struct engine_call *call));
void writer_wake(struct store *s);
// The same, and waits for its end; for callers that have a thread to spare.
int writer_run(struct store *s, int (*apply)(void *self, struct engine_call *call), void *arg, const char *workspace,
               struct err *err);

// ---- readers.c ----
int readers_open(struct store *s, struct err *err) must_check;
void readers_close(struct store *s);
void readers_rest(struct store *s); // gives their caches back
struct reader *reader_get(struct store *s);
void reader_put(struct reader *reader);
static inline void reader_putp(struct reader **reader) {
    if (*reader)
        reader_put(*reader);
}
#define cleanup_reader cleanup(reader_putp)

// ---- checkpoint.c ----
int checkpointer_start(struct store *s, struct err *err) must_check;
void checkpointer_stop(struct store *s);
void checkpoint_count(struct store *s);        // before the writer's first commit
void checkpoint_after_commit(struct store *s); // writer thread

// ---- what the writer does by itself, inside a transaction; sets changed ----
int kv_expire(struct store *s, struct err *err) must_check;
int queue_tick(struct store *s, struct err *err) must_check;
int dedup_sweep(struct store *s, struct err *err) must_check;
int doomed_step(struct store *s, struct err *err) must_check;
void queue_waits_over(struct store *s, bool all); // ends receives whose time is over
void queue_park(struct store *s, struct container *c, struct engine_call *call);

extern const struct kv_ops sqlite_kv;
extern const struct queue_ops sqlite_queue;
extern const struct object_ops sqlite_object;

// ---- objects ----
int object_files_open(struct store *s, struct err *err) must_check;
void object_files_close(struct store *s);
void object_room_done(struct uploads *uploads);
// The path of a file below the folder of objects.
void object_file_path(int64_t file, char ret[static 64]);
void object_garbage(struct store *s); // after a commit: has the garbage removed on a worker

int call_not_found(struct engine_call *call, enum container_kind kind, const char *name);
char *copy_blob(const void *data, size_t len) must_check; // with a NUL behind; NULL: out of memory
