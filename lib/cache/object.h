// SPDX-License-Identifier: Apache-2.0
// What the files of this folder share: the cache as this process has it, and an object that it has open.
//
// Order: cache->names[] (a key's shard), then the name's lock in the index file, then cached->lock, then cache->queue_lock,
//        then cache->table_lock, then the index. Whoever has a shard only tries others (evict.c).
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/statvfs.h>

#include "lib/base/clock.h"
#include "lib/cache/index.h"
#include "lib/cache/map.h"

#define CACHE_SHARDS 64u
#define CACHE_TABLE 4096u // buckets of the open objects
#define CACHE_SICK_NS (30 * NS_PER_S)

struct cache {
    const struct cache_io *io;
    const struct clock *clock;
    int dir_fd, objects_fd;
    uint64_t boot;
    struct index *index;
    uint16_t volume;
    uint32_t volume_hash;
    unsigned char origin[32];
    unsigned keep_free;
    pthread_mutex_t names[CACHE_SHARDS];

    pthread_mutex_t table_lock;
    struct cached *table[CACHE_TABLE]; // by key; not those that were dropped or replaced

    pthread_mutex_t space_lock; // of what follows
    struct statvfs disk;        // as it was at disk_ns
    int64_t disk_ns;
    struct index_room disk_room; // likewise

    pthread_mutex_t queue_lock; // of what follows; durable.c
    pthread_cond_t queue_wake;
    struct cached *queue, *queue_last; // holds them
    size_t queue_count, queue_most;
    uint64_t queue_bytes;
    bool stopping, has_thread;
    pthread_t thread;
    int64_t walk_from_ns;

    atomic_bool unreadable; // health.c
    atomic_bool wants_room; // space.c
};

struct cached {
    struct cache *cache;
    struct cache_key key;
    int fd;
    uint64_t size;
    unsigned refs;       // table_lock
    struct cached *next; // in the table; table_lock
    bool in_table;       // table_lock
    atomic_bool complete, dropped, durable;
    _Atomic(struct map *) map; // NULL: none, or not attached yet
    _Atomic uint64_t reserved;
    _Atomic uint64_t prefix;   // blocks before it are there
    pthread_mutex_t lock;      // of rewriting the record, and of attaching the map
    struct record record;      // as it was found or made: version and nonce stay true
    struct cached *queue_next; // queue_lock
    bool queued;               // queue_lock
};

// ---- cache.c
int cache_join(const struct cache_options *options, struct cache **ret, struct err *err) must_check; // of no volume

// ---- object.c
bool object_in_use(struct cache *cache, const struct cache_key *key); // by this process
pthread_mutex_t *object_shard(struct cache *cache, const struct cache_key *key);
bool object_named(const struct cached *object); // its file is still the one at its name, as far as fstat tells
void object_forget(struct cached *object);      // takes it out of the table

// ---- cached.c
struct map *object_map(struct cached *object); // attaches when there is one by now; NULL otherwise
bool object_refresh(struct cached *object);    // whether it is complete, looking at what other processes did
int object_set_complete(struct cached *object) must_check;

// ---- evict.c
// Unlinks an object that nobody uses. -EBUSY: somebody does, -ENOENT: it was not there (and is forgotten).
int evict_object(struct cache *cache, const struct cache_key *key, uint64_t *ret_bytes);
// With the name's lock. What cannot be unlinked is not found again all the same.
int remove_name(struct cache *cache, const struct cache_key *key, bool evicted);

// ---- space.c
// Is there room for `bytes` more of this volume's, after evicting what is due? Takes it when `reserve`. -ENOSPC, -EIO
int space_take(struct cache *cache, uint64_t bytes, bool reserve) must_check;
void space_relieve(struct cache *cache); // others filled the disk: give room back
// An error of the disk: counted, storing is suspended. Returns `code`. What is not the disk's fault is only returned.
void health_look(struct cache *cache); // may wait for the disk
int space_error(struct cache *cache, int code, const char *what);

// ---- durable.c
void durable_push(struct cached *object, uint64_t bytes); // has bytes that were not synced
int durable_run(struct cache *cache);                     // syncs some of what is queued
int durable_init(struct cache *cache) must_check;
int durable_start(struct cache *cache) must_check; // the thread
void durable_stop(struct cache *cache);
void durable_abandon(struct cache *cache); // what is queued is let go, not synced

// ---- walk.c
#define WALK_END 65536u
// Takes up objects that the index does not know, `directories` of the 65,536. False: nothing was left to do.
bool walk_step(struct cache *cache, unsigned directories);
