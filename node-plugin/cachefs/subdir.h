// SPDX-License-Identifier: Apache-2.0
// A directory inside a share, by path: never through a symbolic link, never above the share.
#pragma once

#include "lib/nfs/nfs.h"

// "" or NULL is the share itself. -EINVAL for ".." and other components that are no names, -ENOENT, -ENOTDIR.
int subdir_find(struct nfs_share *share, const char *path, int64_t deadline_ns, struct nfs_fh *ret,
                struct err *err) must_check;
