// SPDX-License-Identifier: Apache-2.0
// Staging and target paths: checked, resolved by their parent directory, made and removed, never entered.
//
// Why:   the last component may be a mount point whose server is gone; nothing here looks through it.
// Fails: -EINVAL for a path that cannot be one, -ENOENT when its parent is missing.
#pragma once

#include <stdbool.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/mount/table.h"

// The path with symbolic links of its parent directory followed, as the mount table shows it. A path below a mount that
// may hang (another volume, an NFS home) is refused before the kernel is asked anything about it.
int path_resolve(const char *path, const struct mount_table *table, char **ret, struct err *err) must_check;
// The directory and every parent that is missing; itself with mode 0700, its parents with 0755.
int path_make_tree(const char *path, struct err *err) must_check;
// mkdir with mode 0750; *ret_created tells whether it was missing. Takes a resolved path on which nothing is mounted.
// -ENOTDIR: something else stands there, also a link to a directory.
int path_make_directory(const char *path, bool *ret_created, struct err *err) must_check;
// rmdir; missing is fine. -ENOTEMPTY when it holds files: then it is no mount point and nothing of ours.
int path_remove_directory(const char *path, struct err *err) must_check;
