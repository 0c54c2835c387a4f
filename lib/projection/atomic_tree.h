// SPDX-License-Identifier: Apache-2.0
// Inside the projection: one version of the files, which is a flat directory below the projected one.
//
// Threads: one.
// Fails:   -errno of the system call.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/projection/atomic_dir.h"
#include "lib/projection/limits.h"

#define ATOMIC_TREE_NAME 48 // bytes of "..2026_11_28_15_04_05.0123456789" with its NUL

bool atomic_tree_is_name(const char *name); // of a version, as we and kubelet call them
// Makes an empty one with a new name.
int atomic_tree_make(int dir_fd, const struct clock *clock, uint32_t mode, char ret_name[static ATOMIC_TREE_NAME],
                     int *ret_fd) must_check;
int atomic_tree_remove(int dir_fd, const char *name); // with what is in it; missing is fine
// What a file of this length takes on the disk.
static inline int64_t atomic_tree_room(int64_t len) {
    return (len + PROJECTION_PAGE - 1) / PROJECTION_PAGE * PROJECTION_PAGE;
}
int atomic_tree_count(int atomic_tree_fd, size_t *ret, int64_t *ret_room) must_check; // its files
// Has the version this file with this content and mode (or with any, if it has no data)? *ret_bytes: of what it has; -1: no such file.
int atomic_tree_compare(int atomic_tree_fd, const struct atomic_file *file, uint32_t mode, bool *ret_same,
                        int64_t *ret_bytes) must_check;
int atomic_tree_write(int atomic_tree_fd, const struct atomic_file *file, uint32_t mode) must_check;
