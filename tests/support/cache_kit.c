// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cache_kit.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "lib/base/mem.h"
#include "tests/support/cm.h"

// ---- the clock and the disk

static int64_t kit_monotonic(void *ctx) {
    return atomic_load(&((struct cache_kit *)ctx)->now_ns);
}
static void kit_random(void *ctx, void *buf, size_t n) {
    (void)ctx;
    clock_random(&clock_system, buf, n);
}
static const struct clock_ops clock_ops = {kit_monotonic, kit_monotonic, kit_random};

// Counts the call; -errno when it is to fail.
static int next_call(struct cache_kit *kit) {
    long number = atomic_fetch_add(&kit->calls, 1) + 1;
    bool fails = kit->fail_at && (kit->fail_once ? number == kit->fail_at : number >= kit->fail_at);
    return fails ? kit->fail_code : 0;
}

#define CALL_OR_FAIL(ctx, call)                                                                                        \
    int failed_ = next_call(ctx);                                                                                      \
    return failed_ ? failed_ : (call)

static int kit_file_open(void *ctx, int dir_fd, const char *name, int flags) {
    CALL_OR_FAIL(ctx, io_open(&cache_io_system, dir_fd, name, flags));
}
static int kit_unlink(void *ctx, int dir_fd, const char *name) {
    CALL_OR_FAIL(ctx, io_unlink(&cache_io_system, dir_fd, name));
}
static int kit_make_dir(void *ctx, int dir_fd, const char *name) {
    CALL_OR_FAIL(ctx, io_make_dir(&cache_io_system, dir_fd, name));
}
static int kit_set_size(void *ctx, int fd, uint64_t size) {
    CALL_OR_FAIL(ctx, io_set_size(&cache_io_system, fd, size));
}
static int kit_allocate(void *ctx, int fd, uint64_t offset, uint64_t len) {
    CALL_OR_FAIL(ctx, io_allocate(&cache_io_system, fd, offset, len));
}
static int kit_write(void *ctx, int fd, const void *data, size_t len, uint64_t offset) {
    CALL_OR_FAIL(ctx, io_write(&cache_io_system, fd, data, len, offset));
}
static int kit_sync(void *ctx, int fd) {
    const struct cache_kit *kit = ctx;
    int code = kit->fail_sync_code;
    CALL_OR_FAIL(ctx, code || kit->quick_sync ? code : io_sync(&cache_io_system, fd));
}
static int kit_set_record(void *ctx, int fd, const void *record, size_t len) {
    CALL_OR_FAIL(ctx, io_set_record(&cache_io_system, fd, record, len));
}
static ssize_t kit_get_record(void *ctx, int fd, void *ret, size_t len) {
    CALL_OR_FAIL(ctx, (int)io_get_record(&cache_io_system, fd, ret, len));
}
static int kit_stat_fs(void *ctx, int fd, struct statvfs *ret) {
    const struct cache_kit *kit = ctx;
    int r = next_call(ctx);
    if (r == 0)
        r = io_stat_fs(&cache_io_system, fd, ret);
    if (r == 0 && kit->total) {
        ret->f_frsize = ret->f_bsize = 4096;
        ret->f_blocks = kit->total / 4096;
        ret->f_bavail = ret->f_bfree = kit->available / 4096;
        ret->f_files = kit->inodes;
        ret->f_favail = ret->f_ffree = kit->free_inodes;
    }
    return r;
}
static const struct cache_io_ops io_ops = {kit_file_open, kit_unlink, kit_make_dir,   kit_set_size,   kit_allocate,
                                           kit_write,     kit_sync,   kit_set_record, kit_get_record, kit_stat_fs};

static bool make_dir(struct cache_kit *kit, const char *parent) {
    (void)snprintf(kit->dir, sizeof kit->dir, "%s/stowage-cache.XXXXXX", parent);
    if (!mkdtemp(kit->dir))
        return false;
    if (setxattr(kit->dir, CACHE_RECORD_XATTR, "", 0, 0) == 0)
        return true;
    (void)rmdir(kit->dir);
    return false;
}

void cache_kit_start(struct cache_kit *kit, bool fast) {
    *kit = (struct cache_kit){.total = UINT64_C(1) << 40, .available = UINT64_C(1) << 40};
    kit->now_ns = 1000 * NS_PER_S;
    kit->clock = (struct clock){&clock_ops, kit};
    kit->io = (struct cache_io){.ops = &io_ops, .ctx = kit};
    assert_true((fast && make_dir(kit, "/dev/shm")) || make_dir(kit, "/tmp"));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void cache_kit_remove(const char *directory) {
    assert_int_equal(nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void cache_kit_stop(struct cache_kit *kit) {
    cache_kit_remove(kit->dir);
}

void cache_kit_empty(struct cache_kit *kit) {
    cache_kit_remove(kit->dir);
    assert_int_equal(mkdir(kit->dir, 0700), 0);
}

struct cache *cache_kit_open(struct cache_kit *kit, const char *volume, uint64_t limit) {
    struct cache *cache = NULL;
    struct err err = ERR_NONE;
    int r = cache_open(&(struct cache_options){.dir = kit->dir,
                                               .origin = "server:/export",
                                               .volume = volume,
                                               .volume_limit = limit,
                                               .clock = &kit->clock,
                                               .io = &kit->io,
                                               .manual = true},
                       &cache, &err);
    if (r < 0)
        fail_msg("cache_open: %s", err_text(&err));
    return cache;
}

// ---- the remote files

struct cache_version cache_kit_version(uint64_t size, unsigned generation) {
    return (struct cache_version){.size = size,
                                  .mtime = {.tv_sec = 1700000000, .tv_nsec = 5}, // forged: only ctime tells
                                  .ctime = {.tv_sec = 1700000000, .tv_nsec = (long)generation}};
}

static uint64_t mix(uint64_t x) {
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    return x | 1; // never zero: a hole is no file of ours
}

void cache_kit_bytes(const char *name, unsigned generation, uint64_t offset, void *ret, size_t len) {
    uint64_t seed = generation;
    for (const char *c = name; *c; c++)
        seed = seed * 131 + (unsigned char)*c;
    unsigned char *out = ret;
    for (size_t i = 0; i < len; i++) {
        uint64_t word = mix(seed ^ (offset + i) / 8 * UINT64_C(0x9e3779b97f4a7c15));
        if ((offset + i) % 8 == 0 && len - i >= 8) {
            memcpy(out + i, &word, 8);
            i += 7;
        } else {
            out[i] = (unsigned char)(word >> 8 * ((offset + i) % 8));
        }
    }
}

int cache_kit_get(struct cache *cache, const char *name, uint64_t size, unsigned generation, bool make,
                  struct cached **ret) {
    struct cache_version version = cache_kit_version(size, generation);
    return cache_get(cache, name, strlen(name), &version, make, ret);
}

int cache_kit_store(struct cached *object, const char *name, unsigned generation, uint64_t offset, uint64_t len) {
    char *data cleanup_free = mem_alloc((size_t)len);
    assert_non_null(data);
    int r = cached_reserve(object, len);
    if (r < 0)
        return r;
    cache_kit_bytes(name, generation, offset, data, (size_t)len);
    return cached_write(object, offset, data, (size_t)len);
}

bool cache_kit_read(struct cache *cache, const char *name, uint64_t size, unsigned generation) {
    struct cached *object = NULL;
    int r = cache_kit_get(cache, name, size, generation, true, &object);
    bool hit = r == 0 && cached_complete(object);
    cache_count_open(cache, object, hit);
    if (hit)
        assert_int_equal(cache_kit_compare(object, name, generation), size);
    else if (r == 0)
        (void)cache_kit_store(object, name, generation, 0, size);
    (void)cached_put(object);
    return hit;
}

uint64_t cache_kit_compare(const struct cached *object, const char *name, unsigned generation) {
    uint64_t there = 0, size = cached_size(object);
    static _Thread_local unsigned char have[CACHE_BLOCK], want[CACHE_BLOCK];
    for (uint64_t at = 0; at < size; at += CACHE_BLOCK) {
        size_t len = size - at < CACHE_BLOCK ? (size_t)(size - at) : CACHE_BLOCK;
        if (!cached_has(object, at, len))
            continue;
        assert_int_equal(pread(cached_fd(object), have, len, (off_t)at), len);
        cache_kit_bytes(name, generation, at, want, len);
        if (memcmp(have, want, len) != 0)
            fail_msg("%s: wrong bytes in the block at %llu", name, (unsigned long long)at);
        there += len;
    }
    return there;
}
