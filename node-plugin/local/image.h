// SPDX-License-Identifier: Apache-2.0
// The data of local volumes and snapshots: image files of a pool.
//
// Why:     each function leaves either the whole result or nothing that counts: files are made under another name, synced
//          and renamed.
// Threads: any; one call a key at a time.
// Fails:   -errno with a message that names the pool; -EDQUOT/-ENOSPC when it is full.
#pragma once

#include <stdatomic.h>

#include "node-plugin/local/pool.h"

#define IMAGE_PATH_SIZE 4096
// -ENAMETOOLONG for a pool in a directory that is too deep.
int image_path(const struct local_pool *pool, const char *id, char ret[static IMAGE_PATH_SIZE],
               struct err *err) must_check;
bool image_exists(const struct local_pool *pool, const char *id); // and can be reached
// Done already (a call that was given up by its client): 0. `full`: with all of its blocks.
int image_create(const struct local_pool *pool, const char *id, int64_t bytes, bool full, struct err *err) must_check;
struct image_copy {
    const struct local_pool *pool;
    char from[CSI_ID_MAX + 1], to[CSI_ID_MAX + 1];
    int64_t bytes;             // of the copy, at least those of the original; the rest reads as zeros
    int64_t deadline_ns;       // absolute CLOCK_MONOTONIC; DEADLINE_NONE for a copy in the background
    const atomic_bool *cancel; // ends it with -ECANCELED; may be NULL
};
// Blocks are shared where the pool can; otherwise holes stay holes. -ETIMEDOUT at the deadline: nothing is left of it.
int image_copy(const struct image_copy *copy, struct err *err) must_check;
int image_grow(const struct local_pool *pool, const char *id, int64_t bytes, bool full, struct err *err) must_check;
int image_remove(const struct local_pool *pool, const char *id, struct err *err) must_check; // missing: 0
int image_retain(const struct local_pool *pool, const char *id, struct err *err) must_check; // missing: 0
int64_t image_allocated(const struct local_pool *pool, const char *id); // bytes on the pool; 0 when unknown
