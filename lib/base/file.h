// SPDX-License-Identifier: Apache-2.0
// Small files that must be whole: read with a limit, replaced at once, on stable storage before they count.
//
// Why:     records of volumes and of mounts are kept so in several places.
// Threads: any; two writers of one name are the caller's order.
// Fails:   -errno of the system call; -EBADMSG when a file is no regular file or longer than the limit; -ENOMEM.
#pragma once

#include <stddef.h>

#include "lib/base/cleanup.h"

#define FILE_NAME_MAX 250             // bytes of a name given to file_replace
#define FILE_UNFINISHED_SUFFIX ".new" // ".<name>.new" is what a killed file_replace leaves: it never took effect

// The whole text, NUL-terminated, to be freed. Symbolic links are not followed.
int file_read(int dir_fd, const char *name, size_t max, char **ret, size_t *ret_len) must_check;
// Writes, syncs, renames over `name`, and syncs the directory. Mode 0600.
int file_replace(int dir_fd, const char *name, const char *text, size_t len) must_check;
// Takes the name away and syncs the directory; missing is fine.
int file_remove(int dir_fd, const char *name) must_check;
