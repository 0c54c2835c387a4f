// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/bufs.h"

#include "lib/base/cleanup.h"
#include "lib/base/mem.h"
#include "node-plugin/cachefs/spool.h"

void bufs_init(struct bufs *bufs, size_t size, struct spool *spool) {
    *bufs = (struct bufs){.lock = PTHREAD_MUTEX_INITIALIZER, .size = size, .spool = spool};
}

static void drop(struct bufs *bufs, void *buf) {
    if (buf && bufs->spool)
        spool_give(bufs->spool, buf, bufs->size);
    else
        free(buf);
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
    void *buf = bufs->spool ? spool_take(bufs->spool, bufs->size) : mem_alloc(bufs->size);
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
    drop(bufs, buf);
}

void bufs_trim(struct bufs *bufs) {
    void *unused[BUFS_KEEP];
    size_t count = 0;
    {
        LOCK_SCOPE(&bufs->lock);
        while (bufs->low) {
            unused[count++] = bufs->free[--bufs->free_count];
            bufs->low--;
        }
        bufs->low = bufs->free_count;
    }
    while (count)
        drop(bufs, unused[--count]);
}

size_t bufs_idle_count(struct bufs *bufs) {
    LOCK_SCOPE(&bufs->lock);
    return bufs->free_count;
}

void bufs_done(struct bufs *bufs) {
    while (bufs->free_count)
        drop(bufs, bufs->free[--bufs->free_count]);
}
