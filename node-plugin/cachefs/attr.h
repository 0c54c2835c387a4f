// SPDX-License-Identifier: Apache-2.0
// NFS attributes as stat(2) shows them.
#pragma once

#include <sys/stat.h>
#include <sys/statvfs.h>

#include "lib/nfs/nfs.h"
#include "node-plugin/cachefs/nodes.h"

void attr_to_stat(const struct nfs_attr *attr, struct stat *ret);
void attr_to_statvfs(const struct nfs_fsstat *fsstat, struct statvfs *ret);
struct node_stamp attr_stamp(const struct nfs_attr *attr);
// May a further change leave the same times behind? A server's clock ticks every few milliseconds, so a file changed
// within the last two seconds of `now_ns` (wall clock) is not yet told apart by its times.
bool attr_is_fresh(const struct nfs_attr *attr, int64_t now_ns);
// FUSE_SET_ATTR_* and the stat it belongs to.
void attr_from_fuse(const struct stat *st, int to_set, struct nfs_setattr *ret);
