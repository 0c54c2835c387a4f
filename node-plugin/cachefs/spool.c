// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/spool.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

int spool_open(struct spool *a, int fd) {
    memset(a, 0, sizeof *a);
    (void)pthread_mutex_init(&a->lock, NULL);
    a->fd = fd;
    if (ftruncate(fd, (off_t)SPOOL_BYTES) < 0)
        return -errno;
    void *at = mmap(NULL, SPOOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (at == MAP_FAILED)
        return -errno;
    (void)madvise(at, SPOOL_BYTES, MADV_DONTDUMP); // a core would fill the gaps
    a->base = at;
    memset(a->touched, 0xff, sizeof a->touched); // by whoever had it before
    return 0;
}

void spool_done(struct spool *a) {
    if (a->base) {
        (void)munmap(a->base, SPOOL_BYTES);
        (void)pthread_mutex_destroy(&a->lock);
    }
    a->base = NULL;
}

static size_t granules_of(size_t bytes) {
    return (bytes + SPOOL_GRANULE - 1) / SPOOL_GRANULE;
}
static bool bit(const uint64_t *map, size_t i) {
    return map[i / 64] >> i % 64 & 1;
}
static void set_bits(uint64_t *map, size_t first, size_t count, bool on) {
    for (size_t i = first; i < first + count; i++) {
        if (on)
            map[i / 64] |= UINT64_C(1) << i % 64;
        else
            map[i / 64] &= ~(UINT64_C(1) << i % 64);
    }
}

static void mark(struct spool *a, size_t first, size_t count, bool taken) {
    set_bits(a->taken, first, count, taken);
    if (taken)
        set_bits(a->touched, first, count, true);
    a->used += taken ? count : -count;
}

static size_t find_run(const struct spool *a, size_t count) { // the lowest: what is in use stays together
    size_t run = 0;
    for (size_t i = 0; i < SPOOL_GRANULES; i++) {
        if (i % 64 == 0 && a->taken[i / 64] == UINT64_MAX) {
            run = 0;
            i += 63;
            continue;
        }
        run = bit(a->taken, i) ? 0 : run + 1;
        if (run == count)
            return i + 1 - count;
    }
    return SPOOL_GRANULES;
}

void *spool_take(struct spool *a, size_t bytes) {
    size_t count = granules_of(bytes);
    LOCK_SCOPE(&a->lock);
    size_t first = count ? find_run(a, count) : SPOOL_GRANULES;
    if (first == SPOOL_GRANULES)
        return NULL;
    mark(a, first, count, true);
    return a->base + first * SPOOL_GRANULE;
}

void spool_give(struct spool *a, void *block, size_t bytes) {
    LOCK_SCOPE(&a->lock);
    mark(a, (size_t)((uint8_t *)block - a->base) / SPOOL_GRANULE, granules_of(bytes), false);
}

void spool_trim(struct spool *a) {
    LOCK_SCOPE(&a->lock);
    for (size_t i = 0; i < SPOOL_GRANULES;) {
        size_t end = i;
        while (end < SPOOL_GRANULES && bit(a->touched, end) && !bit(a->taken, end))
            end++;
        if (end > i) {
            (void)madvise(a->base + i * SPOOL_GRANULE, (end - i) * SPOOL_GRANULE, MADV_REMOVE);
            set_bits(a->touched, i, end - i, false);
        }
        i = end + 1;
    }
}

uint64_t spool_name(const struct spool *a, const void *block, size_t bytes) {
    return (uint64_t)((size_t)((const uint8_t *)block - a->base) / SPOOL_GRANULE) << 32 | granules_of(bytes);
}

void *spool_claim(struct spool *a, uint64_t name, size_t *ret_bytes) {
    size_t first = name >> 32, count = (uint32_t)name;
    if (count == 0 || count > SPOOL_GRANULES || first > SPOOL_GRANULES - count)
        return NULL;
    LOCK_SCOPE(&a->lock);
    for (size_t i = first; i < first + count; i++)
        if (bit(a->taken, i))
            return NULL;
    mark(a, first, count, true);
    *ret_bytes = count * SPOOL_GRANULE;
    return a->base + first * SPOOL_GRANULE;
}
