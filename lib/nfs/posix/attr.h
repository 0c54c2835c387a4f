// SPDX-License-Identifier: Apache-2.0
// Attributes of an object that is held by a descriptor.
//
// Fails:   -ESTALE when it has no name any more.
#pragma once

#include <sys/stat.h>

#include "lib/nfs/posix/share.h"

// `fresh`: a network file system asks its server, whatever it believes to know.
int posix_stat(int fd, bool fresh, struct statx *ret) must_check;
void posix_put_attr(const struct statx *stx, struct nfs_attr *ret);
int posix_tell_attr(struct nfs_call *call, int fd, bool fresh) must_check;
void posix_tell_dir_attr(struct nfs_call *call, int dir_fd);
// Owner, mode and times, in an order in which none undoes another; the size is not among them. `created`: it was made with
// its mode a moment ago, and bits that its directory gave it stay.
int posix_apply(struct posix_worker *worker, int fd, const struct nfs_setattr *set, bool created) must_check;
