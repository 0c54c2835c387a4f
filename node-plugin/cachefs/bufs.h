// SPDX-License-Identifier: Apache-2.0
// Buffers of one size for whole FUSE requests and READ replies: kept for reuse while work goes on.
//
// Why:     a fresh mapping of 1 MiB costs more than copying it; an idle mount must not keep any.
// Threads: any; one lock inside, a leaf.
#pragma once

#include <pthread.h>
#include <stddef.h>

struct spool;

#define BUFS_KEEP 48 // free ones kept while there is traffic

struct bufs {
    pthread_mutex_t lock;
    size_t size;
    struct spool *spool; // where they are; NULL: on the heap
    void *free[BUFS_KEEP];
    size_t free_count;
    size_t out; // handed out now
    size_t low; // fewest free ones since the last trim
};

void bufs_init(struct bufs *bufs, size_t size, struct spool *spool);
void *bufs_get(struct bufs *bufs); // NULL when out of memory
void bufs_put(struct bufs *bufs, void *buf);
void bufs_trim(struct bufs *bufs); // gives back what was not needed since the last call
size_t bufs_idle_count(struct bufs *bufs);
void bufs_done(struct bufs *bufs);
