// SPDX-License-Identifier: Apache-2.0
// Writing back: brings what stands in the write-ahead log into the database, so that the log can start anew.
//
// Why:     a thread of its own copies while commits go on; only the few pages that came meanwhile are left to the writer,
//          which then starts the log from its beginning. So no commit waits for the bulk, and the log stays bounded.
#include <errno.h>
#include <time.h>

#include "sidecar/engine/sqlite/store.h"

#define WAL_PAGES 8192      // begin to write back above this: 32 MiB
#define WAL_REST 512        // pages the writer may be asked to write back by itself
#define WAL_PAGES_MAX 32768 // above this the writer does it whatever the rest is
#define PASSES 4

static void *checkpoint_thread(void *arg) {
    struct store *s = arg;
    struct checkpointer *c = &s->checkpointer;
    (void)pthread_setname_np(pthread_self(), "store-checkpnt");
    (void)pthread_mutex_lock(&c->lock);
    while (!c->stopping) {
        if (!c->wanted) {
            (void)pthread_cond_wait(&c->wake, &c->lock);
            continue;
        }
        c->wanted = false;
        (void)pthread_mutex_unlock(&c->lock);
        int pages = 0, copied = 0, rc = SQLITE_OK;
        for (int i = 0; i < PASSES && rc == SQLITE_OK && (i == 0 || pages - copied > WAL_REST); i++)
            rc = sqlite3_wal_checkpoint_v2(c->db.handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &copied);
        (void)sqlite3_db_release_memory(c->db.handle);
        if (rc == SQLITE_OK) {
            atomic_store(&c->finish, true);
            writer_wake(s);
        }
        (void)pthread_mutex_lock(&c->lock);
    }
    (void)pthread_mutex_unlock(&c->lock);
    return NULL;
}

static int count_pages(void *arg, sqlite3 *handle, const char *name, int pages) {
    (void)handle;
    (void)name;
    ((struct store *)arg)->writer.wal_pages = pages;
    return SQLITE_OK;
}

void checkpoint_count(struct store *s) {
    (void)sqlite3_wal_hook(s->writer.db.handle, count_pages, s);
}

static int short_wait(void *arg, int tries) {
    (void)arg;
    const struct timespec pause = {.tv_nsec = 500000};
    (void)nanosleep(&pause, NULL);
    return tries < 20; // readers that began on the old log end soon; if not, the next time will do
}

void checkpoint_after_commit(struct store *s) {
    struct checkpointer *c = &s->checkpointer;
    struct writer *w = &s->writer;
    if (atomic_exchange(&c->finish, false) || w->wal_pages > WAL_PAGES_MAX) {
        (void)sqlite3_busy_handler(w->db.handle, short_wait, NULL);
        int rc = sqlite3_wal_checkpoint_v2(w->db.handle, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
        (void)sqlite3_busy_handler(w->db.handle, NULL, NULL);
        w->wal_pages = rc == SQLITE_OK ? 0 : w->wal_pages / 2;
    } else if (w->wal_pages > WAL_PAGES) {
        LOCK_SCOPE(&c->lock);
        if (!c->wanted) {
            c->wanted = true;
            (void)pthread_cond_signal(&c->wake);
        }
    }
}

int checkpointer_start(struct store *s, struct err *err) {
    struct checkpointer *c = &s->checkpointer;
    int r = db_open(s->db_path, 64, &c->db, err);
    if (r < 0)
        return r;
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_cond_init(&c->wake, NULL);
    r = -pthread_create(&c->thread, NULL, checkpoint_thread, s);
    if (r < 0)
        return err_set(err, r, "cannot start the thread that writes back");
    c->started = true;
    return 0;
}

void checkpointer_stop(struct store *s) {
    struct checkpointer *c = &s->checkpointer;
    if (c->started) {
        (void)pthread_mutex_lock(&c->lock);
        c->stopping = true;
        (void)pthread_cond_signal(&c->wake);
        (void)pthread_mutex_unlock(&c->lock);
        (void)pthread_join(c->thread, NULL);
    }
    db_close(&c->db);
}
