// SPDX-License-Identifier: Apache-2.0
// Calling durable what is: fdatasync of the data first, then the sidecar's durable bits or the record. One thread a process.
//
// What is queued is held, so its descriptor stays open and the kernel's report of a failed write reaches our fdatasync.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "lib/cache/object.h"

#define QUEUE_EVERY_S 2
#define QUEUE_BYTES (UINT64_C(64) << 20) // sooner when so much waits,
#define QUEUE_OBJECTS 512u               // or so many
#define QUEUE_MOST 4096u                 // descriptors are not endless: what does not fit is synced when opened again
#define WALK_AFTER_NS (30 * NS_PER_S)
#define WALK_DIRECTORIES 64u // each time: 10 million objects in about half an hour

static bool is_due(const struct cache *cache) {
    return cache->queue_bytes >= QUEUE_BYTES || cache->queue_count >= QUEUE_OBJECTS;
}

void durable_push(struct cached *object, uint64_t bytes) {
    struct cache *cache = object->cache;
    LOCK_SCOPE(&cache->queue_lock);
    if (!object->queued) {
        if (cache->stopping || cache->queue_count >= cache->queue_most)
            return;
        cached_hold(object);
        object->queued = true;
        object->queue_next = NULL;
        *(cache->queue_last ? &cache->queue_last->queue_next : &cache->queue) = object;
        cache->queue_last = object;
        cache->queue_count++;
    }
    cache->queue_bytes += bytes;
    if (is_due(cache))
        (void)pthread_cond_signal(&cache->queue_wake);
}

static size_t pop_some(struct cache *cache, struct cached *ret[static QUEUE_OBJECTS]) {
    LOCK_SCOPE(&cache->queue_lock);
    size_t count = 0;
    while (cache->queue && count < QUEUE_OBJECTS) {
        struct cached *object = cache->queue;
        cache->queue = object->queue_next;
        object->queued = false; // what is stored from now on is queued anew, even while this one is synced
        ret[count++] = object;
    }
    if (!cache->queue)
        cache->queue_last = NULL;
    cache->queue_count -= count;
    cache->queue_bytes = 0;
    return count;
}

static int record_durable(struct cached *object) {
    struct cache *cache = object->cache;
    LOCK_SCOPE(&object->lock);
    struct record now;
    int r = record_read(cache->io, object->fd, &now);
    if (r < 0)
        return r == -EBADMSG || r == -ENODATA ? -EIO : r;
    if (now.durable || now.boot != cache->boot) // or spoilt by cached_drop of another process
        return 0;
    now.state = RECORD_COMPLETE;
    now.durable = true;
    r = record_write(cache->io, object->fd, &now);
    if (r < 0)
        return r;
    object->durable = true;
    return 0;
}

static int sync_complete(struct cached *object) {
    struct cache *cache = object->cache;
    int r = io_sync(cache->io, object->fd);
    if (r == 0)
        r = record_durable(object);
    if (r < 0 || !object->durable || !object_map(object))
        return r;
    char name[OBJECT_NAME_MAX];
    key_map_name(&object->key, name);
    if (object_named(object)) // it has told all it had to; those who have it mapped keep it
        (void)io_unlink(cache->io, cache->objects_fd, name);
    return 0;
}

static int sync_partial(struct cached *object) {
    struct map *map = object_map(object);
    if (!map)
        return 0;
    uint64_t *bits cleanup_free = NULL;
    int r = map_snapshot(map, &bits); // before: what is set while the disk works is not covered
    if (r == 0)
        r = io_sync(object->cache->io, object->fd);
    if (r == 0)
        map_set_durable(map, bits);
    return r;
}

// Data that could not be synced may be lost already, whatever the page cache shows: the object must not be found again.
static int sync_object(struct cached *object) {
    if (object->dropped || object->durable)
        return 0;
    int r = object_refresh(object) ? sync_complete(object) : sync_partial(object);
    if (r == 0 || r == -ENOMEM)
        return r;
    (void)space_error(object->cache, r, "sync");
    cached_drop(object);
    return r;
}

int durable_run(struct cache *cache) {
    struct cached *some[QUEUE_OBJECTS];
    size_t count = pop_some(cache, some);
    // All writing begins before the first is waited for: then one commit of the journal serves many.
    for (size_t i = 0; i < count; i++)
        if (!some[i]->durable && count > 1)
            (void)sync_file_range(some[i]->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        int r = sync_object(some[i]);
        result = result ? result : r;
        (void)cached_put(some[i]);
    }
    return result;
}

// ---- the thread

static bool wait_for_work(struct cache *cache) {
    LOCK_SCOPE(&cache->queue_lock);
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += QUEUE_EVERY_S;
    int r = 0;
    while (!cache->stopping && !is_due(cache) && r != ETIMEDOUT)
        r = pthread_cond_timedwait(&cache->queue_wake, &cache->queue_lock, &until);
    return !cache->stopping;
}

static void walk_some(struct cache *cache) {
    if (index_walk_next(cache->index) >= WALK_END || clock_monotonic(cache->clock) < cache->walk_from_ns ||
        !index_walk_lock(cache->index))
        return;
    (void)walk_step(cache, WALK_DIRECTORIES);
    index_walk_unlock(cache->index);
}

static void *run_thread(void *data) {
    struct cache *cache = data;
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 10); // Linux: of this thread alone
    while (wait_for_work(cache)) {
        health_look(cache);
        (void)durable_run(cache);
        space_relieve(cache);
        walk_some(cache);
    }
    return NULL;
}

static int init_wake(struct cache *cache) {
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return -ENOMEM;
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    int r = -pthread_cond_init(&cache->queue_wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    return r;
}

int durable_init(struct cache *cache) {
    (void)pthread_mutex_init(&cache->queue_lock, NULL);
    struct rlimit files;
    cache->queue_most = QUEUE_MOST;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur / 4 < QUEUE_MOST)
        cache->queue_most = (size_t)files.rlim_cur / 4;
    cache->walk_from_ns = clock_monotonic(cache->clock) + WALK_AFTER_NS;
    return init_wake(cache);
}

int durable_start(struct cache *cache) {
    sigset_t all, old;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old); // signals are the process's
    int r = -pthread_create(&cache->thread, NULL, run_thread, cache);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    cache->has_thread = r == 0;
    return r;
}

void durable_stop(struct cache *cache) {
    {
        LOCK_SCOPE(&cache->queue_lock);
        cache->stopping = true;
        (void)pthread_cond_signal(&cache->queue_wake);
    }
    if (cache->has_thread)
        (void)pthread_join(cache->thread, NULL);
}

void durable_abandon(struct cache *cache) {
    struct cached *some[QUEUE_OBJECTS];
    for (size_t count; (count = pop_some(cache, some)) > 0;)
        for (size_t i = 0; i < count; i++)
            (void)cached_put(some[i]);
}
