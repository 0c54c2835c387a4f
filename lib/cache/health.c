// SPDX-License-Identifier: Apache-2.0
// Does the disk still answer? What the kernel reads by itself (FUSE passthrough) fails without our being told, so the disk is asked.
#include <errno.h>
#include <stdio.h>
#include <sys/uio.h>

#include "lib/cache/object.h"

void health_look(struct cache *cache) {
    if (cache->io != &cache_io_system)
        return;
    int r = index_lost(cache->index) ? -EIO : io_ask_disk(index_fd(cache->index));
    atomic_store(&cache->unreadable, r < 0);
    if (r < 0)
        (void)space_error(cache, r, "read the disk");
}

int cached_readable(struct cached *object, bool wait) {
    struct cache *cache = object->cache;
    if (atomic_load(&cache->unreadable) || index_lost(cache->index))
        return -EIO;
    char byte;
    struct iovec iov = {&byte, 1};
    // A file system that is shut down does not give even what is in memory.
    if (object->size == 0 || preadv2(object->fd, &iov, 1, 0, wait ? 0 : RWF_NOWAIT) >= 0)
        return 0;
    int r = -errno;
    if (r == -EOPNOTSUPP || (r == -EAGAIN && !wait))
        return -EAGAIN;
    atomic_store(&cache->unreadable, true); // until the disk is asked next
    return space_error(cache, r, "read a file");
}

bool cache_lost(const struct cache *cache) {
    return index_lost(cache->index);
}
