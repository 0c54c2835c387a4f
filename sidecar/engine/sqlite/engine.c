// SPDX-License-Identifier: Apache-2.0
// Opening and closing, in order and in reverse; workspaces.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/mem.h"
#include "sidecar/engine/sqlite/sqlite.h"
#include "sidecar/engine/sqlite/store.h"

#define READERS 8
#define WORKERS 4

char *copy_blob(const void *data, size_t len) {
    char *copy = mem_alloc(len + 1);
    if (!copy)
        return NULL;
    if (len > 0)
        memcpy(copy, data, len);
    copy[len] = '\0';
    return copy;
}

int call_not_found(struct engine_call *call, enum container_kind kind, const char *name) {
    return err_set(&call->err, -ENOENT, "no %s '%s'", container_kind_name(kind), name);
}

// ---- workspaces ----

static int usage(void *self, const char *workspace, struct workspace_usage *ret, struct err *err) {
    struct store *s = self;
    struct reader *reader cleanup_reader = reader_get(s);
    sqlite3_stmt *q cleanup_reset = db_bind(&reader->db, SQL_WORKSPACE_USAGE, "t", workspace);
    *ret = (struct workspace_usage){0};
    int r = db_step(&reader->db, q, err);
    if (r > 0)
        *ret = (struct workspace_usage){db_int(q, 0), db_int(q, 1), db_int(q, 2),
                                        db_int(q, 3), db_int(q, 4), db_int(q, 5)};
    return r < 0 ? r : 0;
}

static int quota_apply(void *self, struct engine_call *call) {
    struct store *s = self;
    struct workspace *w;
    int r = catalog_workspace(&s->catalog, &s->writer.db, call->workspace, &w, &call->err);
    if (r < 0)
        return r;
    catalog_set_quota(&s->catalog, w, call->arg);
    return 0;
}

static int set_quota(void *self, const char *workspace, const struct quota *quota, struct err *err) {
    if (quota->namespaces < 0 || quota->queues < 0 || quota->bytes < 0)
        return err_set(err, -EINVAL, "a quota cannot be negative (0 is no limit)");
    return writer_run(self, quota_apply, (void *)(uintptr_t)quota, workspace, err);
}

static int probe(void *self, struct err *err) {
    struct store *s = self;
    if (atomic_load(&s->writer.broken))
        return err_set(err, -EIO, "the store had an error and refuses writes: see its log, then restart it");
    struct workspace_usage unused;
    return usage(s, "", &unused, err);
}

static void drain(void *self) {
    struct store *s = self;
    atomic_store(&s->writer.draining, true);
    (void)history_overdue(s, 0, true);
    writer_wake(s);
}

void sqlite_engine_poke(const struct engine *engine) {
    struct store *s = engine->self;
    atomic_store(&s->writer.poked, true);
    writer_wake(s);
}

// ---- open and close ----

static struct store *store_free(struct store *s) {
    if (!s)
        return NULL;
    if (s->workers) {
        atomic_store(&s->closing, true);
        drain(s);
        const struct timespec pause = {.tv_nsec = 1000000};
        while (workq_pending(s->workers) > 0) // each has its own end
            (void)nanosleep(&pause, NULL);
    }
    writer_stop(s);
    s->workers = workq_free(s->workers);
    checkpointer_stop(s);
    readers_close(s);
    db_close(&s->writer.db); // the last one: writes everything back and removes the log
    histories_done(&s->histories);
    catalog_done(&s->catalog);
    object_room_done(&s->uploads);
    (void)pthread_mutex_destroy(&s->new_folders.lock);
    object_files_close(s);
    free(s->folder);
    free(s->db_path);
    free(s);
    return NULL;
}

static int meta(struct db *db, const char *name, int64_t *ret, struct err *err) {
    sqlite3_stmt *q cleanup_reset = db_bind(db, SQL_META_GET, "t", name);
    int r = db_step(db, q, err);
    *ret = r > 0 ? db_int(q, 0) : 1;
    return r < 0 ? r : 0;
}

// With a connection of its own, before there are threads.
static int prepare(struct store *s, bool check, struct err *err) {
    struct db db;
    int r = db_open(s->db_path, 256, &db, err);
    if (r < 0)
        return r == -EIO ? err_wrap(err, r, "the store is damaged or unreadable: restore the newest backup") : r;
    if (check)
        r = db_check(&db, s->db_path, err);
    if (r == 0)
        r = db_migrate(&db, err);
    if (r == 0)
        r = meta(&db, "epoch", &s->epoch, err);
    if (r == 0)
        r = meta(&db, "clean", &s->clean, err);
    s->epoch++;
    if (r == 0)
        r = db_run(&db, err, SQL_META_SET, "ti", "epoch", s->epoch);
    db_close(&db);
    return r;
}

static int start(struct store *s, const struct sqlite_engine_options *options, struct err *err) {
    if (mkdir(s->folder, 0700) < 0 && errno != EEXIST)
        return err_set(err, -errno, "cannot make %s: %s", s->folder, err_name(errno));
    int r = prepare(s, !options->skip_check, err);
    if (r == 0)
        r = object_files_open(s, err);
    if (r == 0)
        r = workq_new("store-worker", WORKERS, &s->workers, err);
    if (r == 0)
        r = writer_open(s, err);
    if (r == 0)
        r = readers_open(s, err);
    if (r == 0)
        r = checkpointer_start(s, err);
    if (r == 0)
        r = writer_start(s, err);
    return r;
}

int sqlite_engine_open(const struct sqlite_engine_options *options, struct engine *ret, struct err *err) {
    struct store *s = mem_zalloc(sizeof *s);
    if (!s)
        return err_set(err, -ENOMEM, "no memory for the store");
    s->clock = options->clock ? options->clock : &clock_system;
    s->reader_count = options->readers > 0 && options->readers <= READERS_MAX ? options->readers : READERS;
    s->objects_fd = -1;
    s->folder = mem_strdup(options->folder);
    s->db_path = mem_printf("%s/store.db", options->folder);
    (void)pthread_rwlock_init(&s->catalog.lock, NULL);
    (void)pthread_mutex_init(&s->histories.lock, NULL);
    (void)pthread_mutex_init(&s->uploads.lock, NULL);
    (void)pthread_mutex_init(&s->new_folders.lock, NULL);
    atomic_init(&s->histories.next_ns, TIME_NEVER);
    writer_init(&s->writer);
    int r = s->folder && s->db_path ? start(s, options, err) : err_set(err, -ENOMEM, "no memory for the store");
    if (r < 0) {
        (void)store_free(s);
        return r;
    }
    *ret = (struct engine){.kv = &sqlite_kv,
                           .queue = &sqlite_queue,
                           .object = &sqlite_object,
                           .self = s,
                           .usage = usage,
                           .set_quota = set_quota,
                           .probe = probe,
                           .drain = drain};
    return 0;
}

void sqlite_engine_close(struct engine *engine) {
    (void)store_free(engine->self);
    *engine = (struct engine){0};
}
