// SPDX-License-Identifier: Apache-2.0
// Allocation "image": the data of a volume or snapshot is a file of the pool, a block device through a loop device.
//
// Why:     each function leaves either the whole result or nothing that counts: files are made under another name, synced
//          and renamed.
// Threads: any; one call a key at a time.
// Fails:   -errno with a message that names the pool; -EDQUOT/-ENOSPC when it is full.
#pragma once

#include "node-plugin/local/pool.h"

extern const struct allocation allocation_image;

#define IMAGE_PATH_SIZE 4096
// -ENAMETOOLONG for a pool in a directory that is too deep.
int image_path(const struct local_pool *pool, const char *id, char ret[static IMAGE_PATH_SIZE],
               struct err *err) must_check;
bool image_exists(const struct local_pool *pool, const char *id);
// Done already (a call that was given up by its client): 0. `full`: with all of its blocks.
int image_create(const struct local_pool *pool, const struct data_request *request, struct err *err) must_check;
// Blocks are shared where the pool can; otherwise holes stay holes. -ETIMEDOUT at the deadline: nothing is left of it.
int image_copy(const struct data_copy *copy, struct err *err) must_check;
int image_grow(const struct local_pool *pool, const char *id, int64_t bytes, bool full, struct err *err) must_check;
int image_remove(const struct local_pool *pool, const char *id, int64_t deadline_ns,
                 struct err *err) must_check;                                                // missing: 0
int image_retain(const struct local_pool *pool, const char *id, struct err *err) must_check; // missing: 0
int64_t image_allocated(const struct local_pool *pool, const char *id); // bytes on the pool; 0 when unknown
