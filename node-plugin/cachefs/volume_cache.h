// SPDX-License-Identifier: Apache-2.0
// The cache of a mounted volume: opened as the flags say, before the mount; passthrough tried once the kernel answers.
#pragma once

#include "node-plugin/cachefs/fs.h"

struct volume_cache_flags { // of the command line
    char *dir;              // NULL: no cache
    char *tag;
    int trust; // enum copy_trust
    uint32_t ttl_s, settle_s;
    uint32_t keep_free; // per cent of the disk
    int64_t size, memory;
    bool no_passthrough;
    char *warm_up; // paths that are fetched after the mount, separated by commas
};

// ret->cache stays NULL without a directory. `origin` names what the file handles are of.
int volume_cache_open(const struct volume_cache_flags *flags, const char *origin, struct copy_options *ret,
                      struct err *err) must_check;
void volume_cache_close(struct copy_options *options);
// Chooses between passthrough and serving from the cache file, and says which and why in the log.
void volume_cache_probe(struct fs *fs, const char *dir);
