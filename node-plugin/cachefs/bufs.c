// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/bufs.h"

#include "lib/base/cleanup.h"
#include "lib/base/mem.h"

void bufs_init(struct bufs *bufs, size_t size) {
    *bufs = (struct bufs){.lock = PTHREAD_MUTEX_INITIALIZER, .size = size};
}

void *bufs_get(struct bufs *bufs) {
    {
        LOCK_SCOPE(&bufs->lock);
        bufs->out++;
        if (bufs->free_count) {
            void *buf = bufs->free[--bufs->free_count];
            if (bufs->free_count < bufs->low)
                bufs->low = bufs->free_count;
            return buf;
        }
    }
    void *buf = mem_alloc(bufs->size);
    if (!buf) {
        LOCK_SCOPE(&bufs->lock);
        bufs->out--;
    }
    return buf;
}

void bufs_put(struct bufs *bufs, void *buf) {
    if (!buf)
        return;
    {
        LOCK_SCOPE(&bufs->lock);
        bufs->out--;
        if (bufs->free_count < BUFS_KEEP) {
            bufs->free[bufs->free_count++] = take_ptr(buf);
            return;
        }
    }
    free(buf);
}

void bufs_trim(struct bufs *bufs) {
    void *drop[BUFS_KEEP];
    size_t count = 0;
    {
        LOCK_SCOPE(&bufs->lock);
        while (bufs->low) {
            drop[count++] = bufs->free[--bufs->free_count];
            bufs->low--;
        }
        bufs->low = bufs->free_count;
    }
    while (count)
        free(drop[--count]);
}

size_t bufs_idle_count(struct bufs *bufs) {
    LOCK_SCOPE(&bufs->lock);
    return bufs->free_count;
}

void bufs_done(struct bufs *bufs) {
    while (bufs->free_count)
        free(bufs->free[--bufs->free_count]);
}
