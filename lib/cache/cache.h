// SPDX-License-Identifier: Apache-2.0
// A cache of remote files on a directory of the node's disk: one sparse file per version of a remote file.
//
// Why:     a complete file can be handed to the kernel (FUSE passthrough), so it must be a plain file with the remote file's
//          bytes at their offsets, and it must never change in place while somebody may read it.
// Owns:    the directory. Several processes share it (one a mount); they agree through a mapped index and file locks,
//          both of which survive the death of any of them.
// Threads: any, on all functions.
// Fails:   -ENOSPC no room that may be taken, -EIO, -EROFS and the like from the disk: the caller reads from the origin
//          and nobody else hears of it. No function waits for the network; only cache_sync waits for the disk.
// Order:   locks inside are leaves; no callback.
//
// On the disk, below the directory:
//
//     index                      mapped by every process; a hint that can be lost: see index.h
//     objects/ab/cd/<32 hex>     the data, sparse until complete; its xattr user.stowage.cache tells version and state
//     objects/ab/cd/<32 hex>.map while it is not complete: which blocks are there; mapped by every process
//
// What is trusted: in the boot in which it was written, all that the record says (the page cache is intact). After another
// boot, only what was called durable, which is said after fdatasync of the data and never before.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"

#define CACHE_BLOCK (128u << 10) // bytes; the unit of presence. The last block of a file may be shorter

struct cache;
struct cache_io; // io.h
struct cached;   // one version of one file, or the part of it that is here

struct cache_options {
    const char *dir;            // an existing directory on ext4 or XFS; made ready when it is empty
    const char *origin;         // what the file handles are of: "10.0.0.5/exports/data"; part of every object's name
    const char *volume;         // tag for the limit and the figures, at most 128 bytes
    uint64_t volume_limit;      // bytes that this volume may hold; 0: the disk's watermarks alone
    unsigned keep_free_percent; // of bytes and of inodes; 0: 10. Nothing is stored below half of it
    const struct clock *clock;  // NULL: the system's
    const struct cache_io *io;  // NULL: system calls
    bool manual; // no thread of its own: nothing becomes durable, and no room is made, but by the caller's calls
};

// Starts a thread that makes durable, gives room back when others fill the disk, and finds what a lost index does not know.
// -EINVAL with the remedy: no directory, no xattrs, a file system that cannot hold sparse files, another layout's index.
int cache_open(const struct cache_options *options, struct cache **ret, struct err *err)
    __attribute__((warn_unused_result));
struct cache *cache_free(struct cache *cache);
DEFINE_CLEANUP(cache)

struct cache_version { // which state of the file; every member must agree
    uint64_t size;     // bytes
    struct timespec mtime, ctime;
};

// The object of this version of the file with this handle. When another version is there and `make`, that one is given up
// (whoever reads it goes on). -ENOENT: not there, and not `make`. -ENOSPC: see above. A version of size 0 is complete at once.
int cache_get(struct cache *cache, const void *handle, size_t handle_len, const struct cache_version *version,
              bool make, struct cached **ret) __attribute__((warn_unused_result));
void cached_hold(struct cached *object);
struct cached *cached_put(struct cached *object); // accepts NULL, returns NULL

// Read and write, with a shared lock that keeps the object from eviction as long as this descriptor, or what the kernel made of
// it (a FUSE backing file), is open. The object's own: not to be closed.
int cached_fd(const struct cached *object);
uint64_t cached_size(const struct cached *object);
bool cached_is_version(const struct cached *object, const struct cache_version *version);
bool cached_complete(const struct cached *object);
// Are all the bytes there? A range that passes the end counts up to the end.
bool cached_has(const struct cached *object, uint64_t offset, uint64_t len);
// Does the disk give the first byte? Else it must not be handed to the kernel, and all others neither, until the disk answers again.
// -EAGAIN: not known without waiting for the disk.
int cached_readable(struct cached *object, bool wait) __attribute__((warn_unused_result));
// The first byte at or after `offset` that is not there; the size when all are.
uint64_t cached_next_missing(const struct cached *object, uint64_t offset);

// Sets room aside before anything is fetched, evicting what is due. Given back by cached_write, or by cached_unreserve.
int cached_reserve(struct cached *object, uint64_t bytes) __attribute__((warn_unused_result));
void cached_unreserve(struct cached *object, uint64_t bytes);
// Stores whole blocks (`offset` on a block boundary, `len` a multiple of it or up to the end), which must have been reserved.
// The blocks are there for every process when it returns. Storing a block that is there already is allowed.
int cached_write(struct cached *object, uint64_t offset, const void *data, size_t len)
    __attribute__((warn_unused_result));
// Its bytes are wrong or cannot be read, or the file was changed here: unlinked, and never found again. Holders keep it.
void cached_drop(struct cached *object);
bool cached_is_dropped(const struct cached *object);
// After cached_drop: changes bytes, or adds some, for those who still read it through the kernel.
int cached_patch(struct cached *object, uint64_t offset, const void *data, size_t len)
    __attribute__((warn_unused_result));

// An open of a file (once, not each read): what eviction and hit ratios are computed from.
void cache_count_open(struct cache *cache, struct cached *object, bool hit);
void cache_count_bytes(struct cache *cache, uint64_t from_cache, uint64_t from_origin);
// Has room been looked for, since this was asked last, where objects are held? Then those held for convenience are to be put.
bool cache_wants_room(struct cache *cache);
// Pinned objects are not evicted by others' need; cached_drop and cache_evict take them all the same.
void cached_pin(struct cached *object, bool pinned);

bool cached_is_pinned(const struct cached *object);
uint64_t cached_bytes(const struct cached *object); // of it that are here
// Gives the file's object up, pinned or not. -EBUSY: somebody on the node uses it, or just opens another; -ENOENT: there is none.
int cache_evict_file(struct cache *cache, const void *handle, size_t handle_len, uint64_t *ret_bytes)
    __attribute__((warn_unused_result));

// The disk lost the index, or takes no stores to it: this process caches nothing any more, until the directory is opened anew.
bool cache_lost(const struct cache *cache);
// Makes durable what is complete but not yet called so; also done in the background. Waits for the disk.
int cache_sync(struct cache *cache, struct err *err) __attribute__((warn_unused_result));

// ---- memory of the node: one budget for the buffers of all processes that share the directory

// Takes `bytes` of the budget (`limit` bytes in all; 0: 256 MiB). False: not now. What a process that died had taken comes back.
bool cache_memory_take(struct cache *cache, uint64_t bytes, uint64_t limit);
void cache_memory_give(struct cache *cache, uint64_t bytes);

// ---- figures, also for processes that mount nothing (stowage-node, `stowage cache`)

struct cache_figures {
    char volume[129];
    bool mounted; // a process has it open
    uint64_t limit, bytes, objects, pinned_bytes;
    uint64_t opens, open_hits;
    uint64_t cache_bytes, origin_bytes; // read since the index was made
    uint64_t evicted_bytes, evicted_objects, errors;
};
struct cache_disk {
    uint64_t total_bytes, free_bytes, total_inodes, free_inodes, cache_bytes, cache_objects, memory_bytes;
    bool sick; // storing is suspended after errors of the disk
    char reason[160];
};
// Reads the index of `dir` without becoming one of its users. Allocated array, the caller's.
int cache_read_figures(const char *dir, struct cache_disk *ret_disk, struct cache_figures **ret, size_t *ret_count,
                       struct err *err) __attribute__((warn_unused_result));
// Evicts what the volume holds and nobody uses, pinned or not; `volume` NULL: of all volumes. Bytes given up in *ret.
int cache_evict(const char *dir, const char *volume, uint64_t *ret, struct err *err)
    __attribute__((warn_unused_result));
