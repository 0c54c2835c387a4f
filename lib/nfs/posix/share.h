// SPDX-License-Identifier: Apache-2.0
// One mounted directory as a share. Private to lib/nfs/posix.
//
// Threads: set once at open, then read by all threads of the pool; table and files have locks of their own, which are leaves.
#pragma once

#include <stdatomic.h>

#include "lib/nfs/posix/pool.h"
#include "lib/nfs/posix_share.h"

struct posix_share {
    struct nfs_share base;
    struct nfs_info info;
    struct nfs_cred cred;
    const struct clock *clock;
    char *path;
    int root_fd, proc_fd; // the directory; /proc/self/fd
    bool uncached;
    struct posix_table *table; // NULL: handles are the kernel's
    struct posix_files *files;
    struct posix_pool *pool;
    atomic_ullong verifier;
};

static inline struct posix_share *posix_owner(const struct posix_worker *worker) {
    return worker->owner;
}

// One operation: works on the pool's copy of the call, as its caller.
typedef int posix_op(struct posix_worker *worker, struct nfs_call *call);
posix_op posix_getattr, posix_setattr, posix_access, posix_readlink, posix_fsstat;
posix_op posix_lookup, posix_create, posix_mkdir, posix_symlink, posix_mknod, posix_link, posix_remove, posix_rmdir,
    posix_rename;
posix_op posix_read, posix_write, posix_commit, posix_readdir;

// Data that was written unstable may be lost: whoever holds it must write it again.
void posix_forget_writes(struct posix_share *share);
void posix_get_verifier(struct posix_share *share, uint8_t ret[static 8]);
