// SPDX-License-Identifier: Apache-2.0
// The cached record files of one share and kind: JSON texts with what identifies the file they came from.
//
// Why:     a record's file is never written again once it has its name, so handle, fileid, mtime and size tell whether
//          the cached text is still it. (ctime does not: removing the temporary name changes it. Without the handle,
//          two quick replacements could look like none: a server takes a freed inode again at once, and its mtime may
//          count in milliseconds; the handle holds the inode's generation.)
// Threads: the store's lock is held by the caller.
#pragma once

#include "lib/base/strmap.h"
#include "lib/nfs/nfs.h"

struct cached {
    uint64_t fileid, handle; // `handle` is a digest of it
    struct timespec mtime;
    uint32_t size; // of the file; `len` is less when the file is too large to be a record
    uint32_t len;
    uint32_t seen; // the last listing that met it
    char text[];
};

struct cache {
    struct strmap entries; // key → struct cached
    uint32_t listing;      // number of the last listing that began
    // A listing that began at least two seconds after this mtime of the directory was first seen holds for as long as
    // the directory keeps that mtime: every change of a record gives it a new one.
    struct timespec first_seen, complete;
    int64_t first_seen_ns;
    bool has_complete;
};

bool cache_matches(const struct cached *entry, const struct nfs_fh *fh, const struct nfs_attr *attr);
int cache_put(struct cache *cache, const char *key, const struct nfs_fh *fh, const struct nfs_attr *attr,
              const void *text, size_t len) must_check;
void cache_drop(struct cache *cache, const char *key);
void cache_prune(struct cache *cache, uint32_t listing); // those that no listing from this one on has met
void cache_done(struct cache *cache);
