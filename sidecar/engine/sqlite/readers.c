// SPDX-License-Identifier: Apache-2.0
// Connections for reading: one a thread while there are enough, else shared one after the other.
#include <errno.h>
#include <stdint.h>

#include "lib/base/mem.h"
#include "sidecar/engine/sqlite/store.h"

#define READER_CACHE_KIB 4096 // of one that is busy: the inner pages of 100,000 keys

int readers_open(struct store *s, struct err *err) {
    for (unsigned i = 0; i < s->reader_count; i++)
        (void)pthread_mutex_init(&s->readers[i].lock, NULL);
    struct reader *first cleanup_reader = reader_get(s); // proves that it works; the others are opened when needed
    return first->db.handle ? 0 : err_set(err, -ENOMEM, "cannot open %s for reading", s->db_path);
}

void readers_close(struct store *s) {
    for (unsigned i = 0; i < s->reader_count; i++)
        if (s->readers[i].db.handle)
            db_close(&s->readers[i].db);
}

void readers_rest(struct store *s) {
    for (unsigned i = 0; i < s->reader_count; i++)
        if (pthread_mutex_trylock(&s->readers[i].lock) == 0) {
            if (s->readers[i].db.handle)
                (void)sqlite3_db_release_memory(s->readers[i].db.handle);
            reader_put(&s->readers[i]);
        }
}

struct reader *reader_get(struct store *s) {
    static _Atomic unsigned threads;
    static _Thread_local unsigned home = UINT32_MAX;
    if (home == UINT32_MAX)
        home = atomic_fetch_add(&threads, 1);
    struct reader *reader = NULL;
    for (unsigned i = 0; i < s->reader_count && !reader; i++) {
        struct reader *candidate = &s->readers[(home + i) % s->reader_count];
        if (pthread_mutex_trylock(&candidate->lock) == 0)
            reader = candidate;
    }
    if (!reader) {
        reader = &s->readers[home % s->reader_count];
        (void)pthread_mutex_lock(&reader->lock);
    }
    reader->db.failed = 0;
    struct err err;
    if (!reader->db.handle && db_open(s->db_path, READER_CACHE_KIB, &reader->db, &err) < 0)
        reader->db.handle = NULL; // its statements fail
    return reader;
}

void reader_put(struct reader *reader) {
    (void)pthread_mutex_unlock(&reader->lock);
}
