// SPDX-License-Identifier: Apache-2.0
#include "lib/cache/map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "lib/cache/guard.h"

#define MAP_MAGIC UINT64_C(0x70616d6f77617431) // layout 1
#define PAGE UINT64_C(4096)

struct map_header { // the first page of the file; `present` and `durable` follow, each on pages of its own
    _Atomic uint64_t magic;
    _Atomic uint64_t boot; // in which `present` is true
    uint64_t blocks;
    uint32_t nonce; // of the object
};

struct map {
    struct map_header *header;
    _Atomic uint64_t *present, *durable;
    uint64_t blocks, words;
    size_t size;
    struct guard guard; // bits of a page that is lost are those of this process, or none
};

uint64_t map_blocks_of(uint64_t size) {
    return size / CACHE_BLOCK + (size % CACHE_BLOCK != 0);
}

struct map *map_free(struct map *map) {
    if (!map)
        return NULL;
    guard_remove(&map->guard);
    if (map->header)
        (void)munmap(map->header, map->size);
    free(map);
    return NULL;
}

static int map_new(const struct record *record, struct map **ret) {
    struct map *map = mem_zalloc(sizeof *map);
    if (!map)
        return -ENOMEM;
    map->blocks = map_blocks_of(record->size);
    map->words = (map->blocks + 63) / 64;
    uint64_t bitmap = (map->words * 8 + PAGE - 1) / PAGE * PAGE;
    map->size = (size_t)(PAGE + 2 * bitmap);
    *ret = map;
    return 0;
}

static int map_file(struct map *map, int fd) {
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size != (off_t)map->size)
        return -ENOENT; // being made, or of another version
    void *at = mmap(NULL, map->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return -errno;
    map->header = at;
    map->present = (_Atomic uint64_t *)(void *)((char *)at + PAGE);
    map->durable = (_Atomic uint64_t *)(void *)((char *)at + PAGE + (map->size - PAGE) / 2);
    return guard_add(&map->guard, at, map->size);
}

static int map_open(const struct cache_io *io, int objects_fd, const struct cache_key *key, const struct record *record,
                    struct map **ret) {
    char name[OBJECT_NAME_MAX];
    key_map_name(key, name);
    int fd cleanup_close = io_open(io, objects_fd, name, O_RDWR);
    if (fd < 0)
        return fd;
    struct map *map cleanup(map_freep) = NULL;
    int r = map_new(record, &map);
    if (r == 0)
        r = map_file(map, fd);
    if (r < 0)
        return r;
    if (atomic_load_explicit(&map->header->magic, memory_order_acquire) != MAP_MAGIC ||
        map->header->nonce != record->nonce || map->header->blocks != map->blocks)
        return -ENOENT;
    *ret = take_ptr(map);
    return 0;
}

int map_attach(const struct cache_io *io, int objects_fd, const struct cache_key *key, const struct record *record,
               uint64_t boot, struct map **ret) {
    struct map *map cleanup(map_freep) = NULL;
    int r = map_open(io, objects_fd, key, record, &map);
    if (r < 0)
        return r;
    if (atomic_load_explicit(&map->header->boot, memory_order_acquire) != boot)
        return -ENOENT;
    *ret = take_ptr(map);
    return 0;
}

static int make_file(const struct cache_io *io, int objects_fd, const char *name, const struct record *record,
                     uint64_t boot, struct map **ret) {
    struct map *map cleanup(map_freep) = NULL;
    int r = map_new(record, &map);
    if (r < 0)
        return r;
    int fd cleanup_close = io_open(io, objects_fd, name, O_RDWR | O_CREAT | O_EXCL);
    if (fd < 0)
        return fd;
    r = io_allocate(io, fd, 0, map->size);
    if (r == 0)
        r = map_file(map, fd);
    if (r < 0) {
        (void)io_unlink(io, objects_fd, name);
        return r;
    }
    map->header->blocks = map->blocks;
    map->header->nonce = record->nonce;
    atomic_store_explicit(&map->header->boot, boot, memory_order_relaxed);
    atomic_store_explicit(&map->header->magic, MAP_MAGIC, memory_order_release);
    *ret = take_ptr(map);
    return 0;
}

int map_make(const struct cache_io *io, int objects_fd, const struct cache_key *key, const struct record *record,
             uint64_t boot, struct map **ret) {
    int r = map_attach(io, objects_fd, key, record, boot, ret);
    if (r != -ENOENT)
        return r;
    char name[OBJECT_NAME_MAX];
    key_map_name(key, name);
    r = io_unlink(io, objects_fd, name); // of an earlier object
    if (r < 0 && r != -ENOENT)
        return r;
    return make_file(io, objects_fd, name, record, boot, ret);
}

int map_revive(const struct cache_io *io, int objects_fd, const struct cache_key *key, const struct record *record,
               uint64_t boot, struct map **ret) {
    struct map *map cleanup(map_freep) = NULL;
    int r = map_open(io, objects_fd, key, record, &map);
    if (r < 0)
        return r;
    for (uint64_t i = 0; i < map->words; i++)
        atomic_store_explicit(&map->present[i], atomic_load(&map->durable[i]), memory_order_relaxed);
    atomic_store_explicit(&map->header->boot, boot, memory_order_release);
    *ret = take_ptr(map);
    return 0;
}

// The bits [first, first + count) that lie in `word`.
static uint64_t word_mask(uint64_t word, uint64_t first, uint64_t count) {
    uint64_t from = first > word * 64 ? first - word * 64 : 0;
    uint64_t end = first + count - word * 64;
    uint64_t below_end = end >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << end) - 1;
    return below_end & ~UINT64_C(0) << from;
}

bool map_has(const struct map *map, uint64_t first, uint64_t count) {
    if (first >= map->blocks || count > map->blocks - first)
        return false;
    for (uint64_t word = first / 64; count && word <= (first + count - 1) / 64; word++) {
        uint64_t mask = word_mask(word, first, count);
        if ((atomic_load_explicit(&map->present[word], memory_order_acquire) & mask) != mask)
            return false;
    }
    return true;
}

uint64_t map_next_missing(const struct map *map, uint64_t from) {
    for (uint64_t word = from / 64; from < map->blocks && word < map->words; word++) {
        uint64_t missing = ~atomic_load_explicit(&map->present[word], memory_order_acquire);
        if (word == from / 64)
            missing &= ~UINT64_C(0) << from % 64;
        if (missing) {
            uint64_t at = word * 64 + (uint64_t)__builtin_ctzll(missing);
            return at < map->blocks ? at : map->blocks;
        }
    }
    return map->blocks;
}

uint64_t map_set(struct map *map, uint64_t first, uint64_t count) {
    uint64_t set = 0;
    for (uint64_t word = first / 64; count && word <= (first + count - 1) / 64; word++) {
        uint64_t mask = word_mask(word, first, count);
        uint64_t old = atomic_fetch_or_explicit(&map->present[word], mask, memory_order_acq_rel);
        set += (uint64_t)__builtin_popcountll(mask & ~old);
    }
    return set;
}

uint64_t map_count(const struct map *map) {
    uint64_t count = 0;
    for (uint64_t word = 0; word < map->words; word++)
        count += (uint64_t)__builtin_popcountll(atomic_load_explicit(&map->present[word], memory_order_relaxed));
    return count;
}

int map_snapshot(const struct map *map, uint64_t **ret_bits) {
    uint64_t *bits = mem_array((size_t)map->words, sizeof *bits);
    if (!bits)
        return -ENOMEM;
    for (uint64_t word = 0; word < map->words; word++)
        bits[word] = atomic_load_explicit(&map->present[word], memory_order_acquire);
    *ret_bits = bits;
    return 0;
}

void map_set_durable(struct map *map, const uint64_t *bits) {
    for (uint64_t word = 0; word < map->words; word++)
        if (bits[word])
            (void)atomic_fetch_or_explicit(&map->durable[word], bits[word], memory_order_acq_rel);
}
