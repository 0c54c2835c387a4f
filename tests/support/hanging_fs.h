// SPDX-License-Identifier: Apache-2.0
// A file system whose server answers only when it is told to: one file "f" of HANGING_SIZE bytes, all 'A'.
//
// Why:     what waits for a file system that does not answer cannot be tried on one that does.
// Needs:   root, /dev/fuse, and a mount namespace of the test's own.
// Threads: any.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"

#define HANGING_SIZE (256u << 10)
#define HANGING_BYTES_MAX (128u << 10) // of one READ or WRITE that the kernel sends

enum hanging_op { HANGING_READ, HANGING_WRITE, HANGING_FSYNC, HANGING_OPS };

struct hanging_fs;

int hanging_fs_mount(const char *path, struct hanging_fs **ret) must_check;
void hanging_fs_hold(struct hanging_fs *fs, enum hanging_op op, bool hold); // false: also answers what was held
void hanging_fs_fail(struct hanging_fs *fs, enum hanging_op op, int error); // the next one, with this errno
void hanging_fs_wait_held(struct hanging_fs *fs, size_t count);             // until that many are held
char hanging_fs_last_byte(struct hanging_fs *fs);                           // that a WRITE brought; 0: none yet
void hanging_fs_wait_written(struct hanging_fs *fs);                        // until a WRITE came through
struct hanging_fs *hanging_fs_unmount(struct hanging_fs *fs);               // NULL; what is held fails
