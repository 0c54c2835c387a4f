// SPDX-License-Identifier: Apache-2.0
// A cache of remote files for tests: in a directory of its own, on a disk that can be told to be small or to fail, with a clock that
// stands still. The remote files are made up: their bytes follow from name, generation and offset.
#pragma once

#include <stdatomic.h>

#include "lib/cache/cache.h"
#include "lib/cache/io.h"

struct cache_kit {
    char dir[64];
    struct clock clock;
    _Atomic int64_t now_ns;
    struct cache_io io;                             // system calls, but for what follows
    uint64_t total, available, inodes, free_inodes; // of the disk; total 0: the real disk's
    atomic_long calls;                              // made so far
    long fail_at;                                   // 0: none fails; else the call with this number and all after it
    bool fail_once;                                 // only that one
    int fail_code;                                  // -errno
    bool quick_sync;                                // says that it synced, and did not
    int fail_sync_code;                             // of every sync; 0: none
};

// `fast`: in memory where its file system can hold a cache, instead of on the disk. The test fails when it cannot.
void cache_kit_start(struct cache_kit *kit, bool fast);
void cache_kit_stop(struct cache_kit *kit);   // and removes the directory
void cache_kit_empty(struct cache_kit *kit);  // removes all below the directory
void cache_kit_remove(const char *directory); // and all below it
// With the kit's disk and clock, and no thread of its own.
struct cache *cache_kit_open(struct cache_kit *kit, const char *volume, uint64_t limit);

// File `name` in its `generation`, of `size` bytes.
struct cache_version cache_kit_version(uint64_t size, unsigned generation);
void cache_kit_bytes(const char *name, unsigned generation, uint64_t offset, void *ret, size_t len);
int cache_kit_get(struct cache *cache, const char *name, uint64_t size, unsigned generation, bool make,
                  struct cached **ret);
// Reserves and stores [offset, offset + len), which are block boundaries or the end.
int cache_kit_store(struct cached *object, const char *name, unsigned generation, uint64_t offset, uint64_t len);
// Like an open and a read of the whole file by an application: from the cache where it is there, otherwise stored if it can be.
// Bytes that the cache gives are compared. True: all came from the cache.
bool cache_kit_read(struct cache *cache, const char *name, uint64_t size, unsigned generation);
// Compares all that the cache says is there with what it must be; returns the bytes that are. A wrong byte fails the test.
uint64_t cache_kit_compare(const struct cached *object, const char *name, unsigned generation);
