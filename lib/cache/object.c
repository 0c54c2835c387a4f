// SPDX-License-Identifier: Apache-2.0
// From a name to an open object: found in this process, found on the disk, taken over from an earlier boot, or made.
#include "lib/cache/object.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "lib/base/mem.h"

pthread_mutex_t *object_shard(struct cache *cache, const struct cache_key *key) {
    return &cache->names[key->bytes[12] % CACHE_SHARDS];
}

// ---- the table of this process

static struct cached **table_at(struct cache *cache, const struct cache_key *key) {
    uint32_t hash;
    memcpy(&hash, key->bytes, sizeof hash);
    return &cache->table[hash % CACHE_TABLE];
}

static struct cached *table_find(struct cache *cache, const struct cache_key *key) {
    struct cached *object = *table_at(cache, key);
    while (object && !key_eq(&object->key, key))
        object = object->next;
    return object;
}

static void table_remove(struct cached *object) {
    if (!object->in_table)
        return;
    struct cached **at = table_at(object->cache, &object->key);
    while (*at != object)
        at = &(*at)->next;
    *at = object->next;
    object->in_table = false;
}

static void table_add(struct cached *object) {
    LOCK_SCOPE(&object->cache->table_lock);
    struct cached **at = table_at(object->cache, &object->key);
    object->next = *at;
    *at = object;
    object->in_table = true;
}

void object_forget(struct cached *object) {
    LOCK_SCOPE(&object->cache->table_lock);
    table_remove(object);
}

bool object_in_use(struct cache *cache, const struct cache_key *key) {
    LOCK_SCOPE(&cache->table_lock);
    return table_find(cache, key) != NULL;
}

bool object_named(const struct cached *object) {
    struct stat st;
    return fstat(object->fd, &st) == 0 && st.st_nlink > 0;
}

static struct cached *table_hold(struct cache *cache, const struct cache_key *key) {
    LOCK_SCOPE(&cache->table_lock);
    struct cached *object = table_find(cache, key);
    if (object)
        object->refs++;
    return object;
}

// ---- life

static void object_close(struct cached *object) {
    (void)map_free(atomic_load(&object->map));
    if (object->fd >= 0)
        (void)close(object->fd);
    (void)pthread_mutex_destroy(&object->lock);
    free(object);
}

static void object_closep(struct cached **object) {
    if (*object)
        object_close(*object);
}

static int object_new(struct cache *cache, const struct cache_key *key, struct cached **ret) {
    struct cached *object = mem_zalloc(sizeof *object);
    if (!object)
        return -ENOMEM;
    object->cache = cache;
    object->key = *key;
    object->fd = -1;
    object->refs = 1;
    (void)pthread_mutex_init(&object->lock, NULL);
    *ret = object;
    return 0;
}

void cached_hold(struct cached *object) {
    LOCK_SCOPE(&object->cache->table_lock);
    object->refs++;
}

// Made, and then nothing was stored: no use to anybody.
static void remove_when_empty(struct cached *object) {
    struct cache *cache = object->cache;
    if (object->complete || object->dropped || object_map(object) || object_refresh(object))
        return;
    if (pthread_mutex_trylock(object_shard(cache, &object->key)) != 0)
        return;
    if (!object_in_use(cache, &object->key) && index_name_lock(cache->index, &object->key, false) == 0) {
        // The lock upgraded on our own descriptor: nobody else has it open.
        if (flock(object->fd, LOCK_EX | LOCK_NB) == 0 && object_named(object) && !object_map(object))
            (void)remove_name(cache, &object->key, false);
        index_name_unlock(cache->index, &object->key);
    }
    (void)pthread_mutex_unlock(object_shard(cache, &object->key));
}

struct cached *cached_put(struct cached *object) {
    if (!object)
        return NULL;
    struct cache *cache = object->cache;
    {
        LOCK_SCOPE(&cache->table_lock);
        if (--object->refs > 0)
            return NULL;
        table_remove(object);
    }
    uint64_t reserved = atomic_exchange(&object->reserved, 0);
    if (reserved)
        index_unreserve(cache->index, reserved, false);
    remove_when_empty(object);
    object_close(object);
    return NULL;
}

// ---- from the disk

// Opens with the shared lock that keeps it from eviction. -ENOENT, -EBUSY when it is just being evicted.
static int open_locked(struct cache *cache, const struct cache_key *key, int flags, struct stat *ret_st) {
    char name[OBJECT_NAME_MAX];
    key_name(key, name);
    int fd cleanup_close = io_open(cache->io, cache->objects_fd, name, O_RDWR | flags);
    if (fd == -EROFS && !flags) // the disk went read-only: what is complete can still be read
        fd = io_open(cache->io, cache->objects_fd, name, O_RDONLY);
    if (fd < 0)
        return fd;
    if (flock(fd, LOCK_SH | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    if (fstat(fd, ret_st) < 0)
        return -errno;
    return ret_st->st_nlink == 0 ? -ENOENT : take_fd(&fd);
}

// The index may not know it, or not all of it. When it cannot learn (a full disk), the object is read all the same.
static void adopt(struct cached *object, const struct index_object *known) {
    struct cache *cache = object->cache;
    bool whole = object->complete;
    if (known && (!whole || known->bytes >= object->size))
        return;
    struct index_object found = {.pinned = object->record.pinned, .bytes = object->size};
    if (!whole) {
        const struct map *map = object_map(object);
        found.bytes = map ? map_count(map) * CACHE_BLOCK : 0;
    }
    if (index_volume_by_hash(cache->index, object->record.volume, &found.volume) == 0 &&
        index_put(cache->index, &object->key, &found) < 0)
        index_count_error(cache->index, cache->volume);
}

// -ENOENT nothing there, -ESTALE something else is, -EAGAIN it is of an earlier boot: object_revive.
static int object_load(struct cache *cache, const struct cache_key *key, const struct cache_version *version,
                       struct cached **ret) {
    struct cached *object cleanup(object_closep) = NULL;
    int r = object_new(cache, key, &object);
    if (r < 0)
        return r;
    struct stat st;
    object->fd = open_locked(cache, key, 0, &st);
    if (object->fd < 0)
        return object->fd;
    struct index_object known;
    bool is_known = index_find(cache->index, key, &known);
    r = is_known && known.spoilt ? -EBADMSG : record_read(cache->io, object->fd, &object->record);
    if (r < 0)
        return r == -EBADMSG || r == -ENODATA ? -ESTALE : r;
    if (!record_is_of(&object->record, version) || (uint64_t)st.st_size != version->size)
        return -ESTALE;
    object->size = version->size;
    if (!record_holds(&object->record, cache->boot)) {
        *ret = take_ptr(object);
        return -EAGAIN;
    }
    object->complete = object->record.state == RECORD_COMPLETE;
    object->durable = object->record.durable;
    adopt(object, is_known ? &known : NULL);
    *ret = take_ptr(object);
    return 0;
}

// With the name's lock. Nothing but the durable bits of the sidecar may be believed; without one, nothing.
static int object_revive(struct cached *object) {
    struct cache *cache = object->cache;
    struct map *map cleanup(map_freep) = NULL;
    int r = map_revive(cache->io, cache->objects_fd, &object->key, &object->record, cache->boot, &map);
    if (r < 0)
        return r == -ENOENT ? -ESTALE : r;
    if (map_count(map) == 0)
        return -ESTALE;
    object->record.state = RECORD_PARTIAL;
    object->record.boot = cache->boot;
    r = record_write(cache->io, object->fd, &object->record);
    if (r < 0)
        return r;
    atomic_store(&object->map, take_ptr(map));
    adopt(object, NULL);
    return 0;
}

// ---- anew

static int make_file(struct cache *cache, const struct cache_key *key) {
    char name[OBJECT_NAME_MAX], folder[8];
    key_name(key, name);
    struct stat st;
    int fd = open_locked(cache, key, O_CREAT | O_EXCL, &st);
    if (fd != -ENOENT)
        return fd;
    for (int depth = 2; depth <= 5; depth += 3) { // "ab", "ab/cd"
        memcpy(folder, name, (size_t)depth);
        folder[depth] = '\0';
        int r = io_make_dir(cache->io, cache->objects_fd, folder);
        if (r < 0 && r != -EEXIST)
            return r;
    }
    return open_locked(cache, key, O_CREAT | O_EXCL, &st);
}

static int fill_file(struct cached *object, const struct cache_version *version) {
    struct cache *cache = object->cache;
    object->size = version->size;
    object->record = record_make(version);
    object->record.boot = cache->boot;
    object->record.volume = cache->volume_hash;
    clock_random(cache->clock, &object->record.nonce, sizeof object->record.nonce);
    if (version->size == 0) {
        object->record.state = RECORD_COMPLETE;
        object->record.durable = true;
        object->complete = object->durable = true;
    }
    int r = io_set_size(cache->io, object->fd, version->size);
    if (r == 0)
        r = record_write(cache->io, object->fd, &object->record);
    return r == 0 ? index_put(cache->index, &object->key, &(struct index_object){.volume = cache->volume}) : r;
}

static int object_make(struct cache *cache, const struct cache_key *key, const struct cache_version *version,
                       struct cached **ret) {
    struct cached *object cleanup(object_closep) = NULL;
    int r = object_new(cache, key, &object);
    if (r < 0)
        return r;
    object->fd = make_file(cache, key);
    if (object->fd < 0)
        return space_error(cache, object->fd, "make a file");
    r = fill_file(object, version);
    if (r < 0) {
        (void)remove_name(cache, key, false);
        return space_error(cache, r, "prepare a file");
    }
    *ret = take_ptr(object);
    return 0;
}

// With the shard's lock, for what needs the name's lock too.
static int load_or_make(struct cache *cache, const struct cache_key *key, const struct cache_version *version,
                        bool make, struct cached **ret) {
    int r = index_name_lock(cache->index, key, true);
    if (r < 0)
        return r;
    struct cached *object cleanup(object_closep) = NULL;
    r = object_load(cache, key, version, &object); // again: another process may have been faster
    if (r == -EAGAIN)
        r = object_revive(object);
    if (r < 0 && r != -ENOENT && r != -ESTALE) {
        r = space_error(cache, r, "read a file");
    } else if (r < 0) {
        object_closep(&object);
        object = NULL;
        bool stale = r == -ESTALE;
        if (make && stale)
            (void)remove_name(cache, key, false);
        r = make ? space_take(cache, version->size < CACHE_BLOCK ? version->size : CACHE_BLOCK, false) : -ENOENT;
        if (r == 0)
            r = object_make(cache, key, version, &object);
    }
    index_name_unlock(cache->index, key);
    if (r == 0)
        *ret = take_ptr(object);
    return r;
}

// ---- the way of an open

// In this process already? -ENOENT: no, -ESTALE: of another version, which then is not to be found any more if `make`.
static int find_here(struct cache *cache, const struct cache_key *key, const struct cache_version *version, bool make,
                     struct cached **ret) {
    struct cached *object = table_hold(cache, key);
    if (!object)
        return -ENOENT;
    bool same = record_is_of(&object->record, version);
    if (same && !object->dropped && object_named(object)) {
        *ret = object;
        return 0;
    }
    if (!same && !make) {
        (void)cached_put(object);
        return -ESTALE;
    }
    object_forget(object);
    (void)cached_put(object);
    return -ENOENT;
}

int cache_get(struct cache *cache, const void *handle, size_t handle_len, const struct cache_version *version,
              bool make, struct cached **ret) {
    struct cache_key key = key_of(cache->origin, handle, handle_len);
    int r = find_here(cache, &key, version, false, ret);
    if (r == 0)
        return 0;
    LOCK_SCOPE(object_shard(cache, &key));
    r = find_here(cache, &key, version, make, ret);
    if (r != -ENOENT)
        return r == -ESTALE ? -ENOENT : r;
    struct cached *object = NULL;
    r = object_load(cache, &key, version, &object);
    if (r == -EAGAIN || (r < 0 && make)) {
        if (object)
            object_close(object);
        object = NULL;
        if (make && r != -EAGAIN)
            index_missed(cache->index, cache->volume, &key);
        r = load_or_make(cache, &key, version, make, &object);
    }
    if (r == -ESTALE || r == -EBUSY)
        r = make ? r : -ENOENT;
    if (r < 0)
        return r;
    table_add(object);
    if (!object->durable && (object->complete || object_map(object)))
        durable_push(object, 0); // whoever wrote it may have died before it was synced
    *ret = object;
    return 0;
}
