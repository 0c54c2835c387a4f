// SPDX-License-Identifier: Apache-2.0
// Memory for written data, in a memory file: what was acknowledged must not go with the daemon.
//
// Why:     blocks are named by their place in the file, which the records of the pieces hold (state.h). Which blocks are
//          free is known to this process only; a later one finds it out from the records.
// Owns:    the mapping. The file is the keeper's.
// Threads: any; one lock inside, a leaf.
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"

#define SPOOL_GRANULE ((size_t)16 << 10)
#define SPOOL_BYTES ((size_t)256 << 20) // room; memory is what is in use, and what was in use lately
#define SPOOL_GRANULES (SPOOL_BYTES / SPOOL_GRANULE)

struct spool {
    pthread_mutex_t lock;
    int fd;
    uint8_t *base;
    uint64_t taken[SPOOL_GRANULES / 64], touched[SPOOL_GRANULES / 64]; // touched: may have memory behind it
    size_t used;                                                       // granules taken
};

int spool_open(struct spool *spool, int fd) must_check; // -errno
void spool_done(struct spool *spool);
void *spool_take(struct spool *spool, size_t bytes); // NULL when there is no room
void spool_give(struct spool *spool, void *block, size_t bytes);
void spool_trim(struct spool *spool); // gives the memory behind free blocks back

uint64_t spool_name(const struct spool *spool, const void *block, size_t bytes); // granule << 32 | granules
// The block of a name, taken from now on; NULL when it is none, or overlaps one that is taken.
void *spool_claim(struct spool *spool, uint64_t name, size_t *ret_bytes);
