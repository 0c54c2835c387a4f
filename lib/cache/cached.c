// SPDX-License-Identifier: Apache-2.0
// An open object: which bytes are there, and storing more of them.
#include <errno.h>

#include "lib/cache/object.h"

int cached_fd(const struct cached *object) {
    return object->fd;
}

uint64_t cached_size(const struct cached *object) {
    return object->size;
}

// ---- what is there

static struct map *attach_map(struct cached *object, bool make) {
    struct cache *cache = object->cache;
    struct map *map = NULL;
    int r = make ? map_make(cache->io, cache->objects_fd, &object->key, &object->record, cache->boot, &map)
                 : map_attach(cache->io, cache->objects_fd, &object->key, &object->record, cache->boot, &map);
    if (r == 0)
        atomic_store(&object->map, map);
    else if (make)
        (void)space_error(cache, r, "make a block map");
    return map;
}

struct map *object_map(struct cached *object) {
    struct map *map = atomic_load(&object->map);
    if (map || object->size <= CACHE_BLOCK)
        return map;
    LOCK_SCOPE(&object->lock);
    map = atomic_load(&object->map);
    return map || object->dropped ? map : attach_map(object, false);
}

static struct map *make_map(struct cached *object) {
    LOCK_SCOPE(&object->lock);
    struct map *map = atomic_load(&object->map);
    return map || object->dropped || !object_named(object) ? map : attach_map(object, true);
}

// The sidecar to store in. The name's lock keeps two processes from making it at once.
static struct map *map_for_storing(struct cached *object) {
    struct cache *cache = object->cache;
    struct map *map = object_map(object);
    if (map)
        return map;
    LOCK_SCOPE(object_shard(cache, &object->key));
    if (index_name_lock(cache->index, &object->key, true) < 0)
        return NULL;
    map = make_map(object);
    index_name_unlock(cache->index, &object->key);
    return map;
}

// Blocks only ever come, so what was seen without a gap needs no second look.
static bool map_is_full(struct cached *object, const struct map *map) {
    uint64_t all = map_blocks_of(object->size);
    uint64_t at = atomic_load_explicit(&object->prefix, memory_order_relaxed);
    if (at < all) {
        at = map_next_missing(map, at);
        atomic_store_explicit(&object->prefix, at, memory_order_relaxed);
    }
    return at == all;
}

// Its record tells when another process wrote it whole, without a sidecar.
static bool reread(struct cached *object) {
    LOCK_SCOPE(&object->lock);
    struct record now;
    if (object->complete || record_read(object->cache->io, object->fd, &now) < 0)
        return object->complete;
    if (now.state == RECORD_COMPLETE && record_holds(&now, object->cache->boot)) {
        object->durable = now.durable;
        object->complete = true;
    }
    return object->complete;
}

bool object_refresh(struct cached *object) {
    if (object->complete)
        return true;
    const struct map *map = object_map(object);
    if (!map)
        return reread(object);
    if (map_is_full(object, map))
        object->complete = true;
    return object->complete;
}

bool cached_complete(const struct cached *object) {
    return object_refresh((struct cached *)object); // what is cached of the answer is no part of the object's state
}

bool cached_has(const struct cached *object, uint64_t offset, uint64_t len) {
    if (len == 0 || offset >= object->size || object->complete)
        return true;
    struct cached *o = (struct cached *)object;
    const struct map *map = object_map(o);
    if (!map)
        return reread(o);
    if (len > object->size - offset)
        len = object->size - offset;
    uint64_t first = offset / CACHE_BLOCK, last = (offset + len - 1) / CACHE_BLOCK;
    return map_has(map, first, last - first + 1);
}

uint64_t cached_next_missing(const struct cached *object, uint64_t offset) {
    if (offset >= object->size || object->complete)
        return object->size;
    struct cached *o = (struct cached *)object;
    const struct map *map = object_map(o);
    if (!map)
        return reread(o) ? object->size : offset;
    uint64_t at = map_next_missing(map, offset / CACHE_BLOCK) * CACHE_BLOCK;
    if (at > object->size)
        at = object->size;
    return at > offset ? at : offset;
}

// ---- storing

int cached_reserve(struct cached *object, uint64_t bytes) {
    if (object->dropped)
        return -ESTALE;
    int r = space_take(object->cache, bytes, true);
    if (r == 0)
        (void)atomic_fetch_add(&object->reserved, bytes);
    return r;
}

static void give_back(struct cached *object, uint64_t bytes, bool written) {
    uint64_t had = atomic_load(&object->reserved), taken;
    do
        taken = bytes < had ? bytes : had;
    while (!atomic_compare_exchange_weak(&object->reserved, &had, had - taken));
    if (taken)
        index_unreserve(object->cache->index, taken, written);
}

void cached_unreserve(struct cached *object, uint64_t bytes) {
    give_back(object, bytes, false);
}

int object_set_complete(struct cached *object) {
    LOCK_SCOPE(&object->lock);
    struct record now;
    int r = record_read(object->cache->io, object->fd, &now);
    if (r < 0)
        return r;
    if (now.state != RECORD_COMPLETE || !record_holds(&now, object->cache->boot)) {
        now.state = RECORD_COMPLETE;
        now.boot = object->cache->boot;
        now.durable = false;
        r = record_write(object->cache->io, object->fd, &now);
        if (r < 0)
            return r;
    }
    object->durable = now.durable;
    object->complete = true;
    return 0;
}

// Small files are read at once, from the page cache that a plain write leaves; large ones by who waits for them, while they
// arrive, and a second copy in memory would only drive out something else.
#define READ_SOON_MAX (UINT64_C(4) << 20)

static int put_blocks(struct cached *object, const void *data, size_t len, uint64_t offset) {
    const struct cache_io *io = object->cache->io;
    return object->size > READ_SOON_MAX ? io_write_past(io, object->fd, data, len, offset)
                                        : io_write(io, object->fd, data, len, offset);
}

// What is there already is left alone: it may be durable, and no cut may tear it by our writing it again.
static int write_missing(struct cached *object, struct map *map, uint64_t offset, const char *data, size_t len,
                         uint64_t *ret_added) {
    uint64_t first = offset / CACHE_BLOCK, end = first + map_blocks_of(len);
    for (uint64_t block = map_next_missing(map, first); block < end; block = map_next_missing(map, block)) {
        uint64_t at = block;
        while (block < end && !map_has(map, block, 1))
            block++;
        uint64_t from = at * CACHE_BLOCK - offset, to = block * CACHE_BLOCK - offset;
        to = to > len ? len : to;
        int r = put_blocks(object, data + from, (size_t)(to - from), offset + from);
        if (r < 0)
            return r;
        (void)map_set(map, at, block - at);
        *ret_added += to - from;
    }
    return 0;
}

static int store_blocks(struct cached *object, uint64_t offset, const void *data, size_t len, uint64_t *ret_added) {
    struct cache *cache = object->cache;
    bool whole = offset == 0 && len == object->size;
    struct map *map = whole ? object_map(object) : map_for_storing(object);
    if (!whole && !map)
        return object->dropped || !object_named(object) ? -ESTALE : -EIO;
    int r;
    if (map) {
        r = write_missing(object, map, offset, data, len, ret_added);
    } else {
        r = io_write(cache->io, object->fd, data, len, offset);
        *ret_added = r == 0 ? len : 0;
    }
    if (!object->dropped)
        index_charge(cache->index, &object->key, *ret_added);
    give_back(object, *ret_added, true);
    if (r < 0)
        return space_error(cache, r, "write");
    if (whole || map_is_full(object, map)) {
        r = object_set_complete(object);
        if (r < 0)
            return space_error(cache, r, "write a record");
    }
    durable_push(object, len);
    return 0;
}

int cached_write(struct cached *object, uint64_t offset, const void *data, size_t len) {
    bool to_end = offset <= object->size && len == object->size - offset;
    if (len == 0 || offset % CACHE_BLOCK != 0 || offset >= object->size || len > object->size - offset ||
        (len % CACHE_BLOCK != 0 && !to_end))
        return -EINVAL;
    int r = 0;
    uint64_t added = 0;
    if (object->dropped)
        r = -ESTALE;
    else if (!cached_has(object, offset, len))
        r = store_blocks(object, offset, data, len, &added);
    give_back(object, len - added, false); // no more: the rest is reserved for others who store to it
    return r;
}

static int spoil_record(struct cached *object) {
    LOCK_SCOPE(&object->lock);
    struct record spoilt = object->record;
    spoilt.state = RECORD_PARTIAL;
    spoilt.durable = false;
    spoilt.boot = 0;
    return record_write(object->cache->io, object->fd, &spoilt);
}

void cached_drop(struct cached *object) {
    struct cache *cache = object->cache;
    if (atomic_exchange(&object->dropped, true))
        return;
    object_forget(object);
    LOCK_SCOPE(object_shard(cache, &object->key));
    bool spoilt = spoil_record(object) == 0; // holds even where the name cannot be had
    if (index_name_lock(cache->index, &object->key, true) == 0) {
        if (object_named(object))
            (void)remove_name(cache, &object->key, false);
        index_name_unlock(cache->index, &object->key);
    } else if (!spoilt) {
        index_spoil(cache->index, &object->key);
    }
}

int cached_patch(struct cached *object, uint64_t offset, const void *data, size_t len) {
    if (!object->dropped)
        return -EINVAL;
    return io_write(object->cache->io, object->fd, data, len, offset);
}

void cached_pin(struct cached *object, bool pinned) {
    struct cache *cache = object->cache;
    LOCK_SCOPE(&object->lock);
    if (object->dropped)
        return;
    index_pin(cache->index, &object->key, pinned);
    struct record now;
    if (record_read(cache->io, object->fd, &now) == 0) { // so that it outlives the index
        now.pinned = pinned;
        int r = record_write(cache->io, object->fd, &now);
        if (r < 0)
            (void)space_error(cache, r, "write a record");
    }
}
