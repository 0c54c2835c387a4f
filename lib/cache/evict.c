// SPDX-License-Identifier: Apache-2.0
// Taking objects away. The shared lock that every descriptor of an object holds (also the kernel's, for FUSE passthrough, after
// the process that opened it died) decides whether it is in use; nothing that is in use is ever taken.
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "lib/cache/object.h"

int remove_name(struct cache *cache, const struct cache_key *key, bool evicted) {
    char name[OBJECT_NAME_MAX];
    // Who looks at the disk in between would count what becomes free twice.
    LOCK_SCOPE(&cache->space_lock);
    key_map_name(key, name);
    (void)io_unlink(cache->io, cache->objects_fd, name); // first: a sidecar without its file would never be found
    key_name(key, name);
    int r = io_unlink(cache->io, cache->objects_fd, name);
    if (r < 0 && r != -ENOENT) {
        index_spoil(cache->index, key);
        return r;
    }
    (void)index_remove(cache->index, key, evicted);
    return 0;
}

// With the name's lock.
static int evict_named(struct cache *cache, const struct cache_key *key, uint64_t *ret_bytes) {
    char name[OBJECT_NAME_MAX];
    key_name(key, name);
    int fd cleanup_close = io_open(cache->io, cache->objects_fd, name, O_RDONLY);
    if (fd == -ENOENT) {
        (void)remove_name(cache, key, false);
        return -ENOENT;
    }
    if (fd < 0)
        return fd;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    struct index_object object = {0};
    (void)index_find(cache->index, key, &object);
    int r = remove_name(cache, key, true);
    if (r == 0)
        *ret_bytes = object.bytes;
    return r;
}

int evict_object(struct cache *cache, const struct cache_key *key, uint64_t *ret_bytes) {
    *ret_bytes = 0;
    pthread_mutex_t *shard = object_shard(cache, key);
    if (pthread_mutex_trylock(shard) != 0)
        return -EBUSY; // by a thread that opens one of the same shard, perhaps by ourselves
    int r = object_in_use(cache, key) ? -EBUSY : index_name_lock(cache->index, key, false);
    if (r == 0) {
        r = evict_named(cache, key, ret_bytes);
        index_name_unlock(cache->index, key);
    }
    (void)pthread_mutex_unlock(shard);
    if (r < 0 && r != -ENOENT)
        index_spare(cache->index, key);
    return r;
}
