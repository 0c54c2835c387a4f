// SPDX-License-Identifier: Apache-2.0
// From a handle to an O_PATH descriptor and back.
//
// Owns:    a node holds its descriptor until posix_node_put.
// Fails:   -ESTALE when what the handle means cannot be found any more.
#pragma once

#include <sys/stat.h>

#include "lib/nfs/posix/share.h"

struct posix_node {
    int fd;
    struct posix_entry *entry; // whose fd it is; NULL: the node's own, or the root's
    struct posix_table *table;
    bool borrowed;
};
#define POSIX_NODE_NONE ((struct posix_node){.fd = -1})

int posix_node_get(struct posix_worker *worker, const struct nfs_fh *fh, struct posix_node *ret) must_check;
void posix_node_put(struct posix_node *node);
#define cleanup_node cleanup(posix_node_put)

// A name in a directory, as an O_PATH descriptor: never a symbolic link's target, never another mount.
int posix_open_name(int dir_fd, const char *name, int *ret_fd) must_check;
// The handle of what was found there. Takes `fd`, whose `stx` tells STATX_BASIC_STATS and, where there is one, STATX_BTIME.
int posix_node_learn(struct posix_worker *worker, const struct nfs_fh *dir, const char *name, int fd,
                     const struct statx *stx, struct nfs_fh *ret) must_check;
// Of the root: decides what handles are made of.
int posix_node_start(struct posix_share *share, bool no_kernel_handles, struct err *err) must_check;
// The same object again, open for `flags`; the kernel judges the thread's credentials.
int posix_reopen(struct posix_worker *worker, int fd, int flags); // a descriptor or -errno

// Is the object of the descriptor gone? Then an error of a name inside it is -ESTALE, not -ENOENT.
int posix_dir_error(int dir_fd, int result);
