// SPDX-License-Identifier: Apache-2.0
// A directory of a mounted file system behind the seam of nfs.h: local, CephFS, Lustre, GlusterFS, kernel NFS.
//
// Why:     what works on a share by handle (the FUSE daemon, the controller) can work on any file system that is mounted.
// Owns:    its threads and descriptors. Threads that the file system does not let go are left behind by nfs_share_free with
//          all that they need, and end when it does; no buffer of a caller is touched by them.
// Threads: as nfs.h; `done` runs on a thread of the pool, as root and with the umask 0.
// Fails:   as nfs.h, with the errno of the file system; -EXDEV for what is mounted below the directory.
//
// Handles come from the kernel (name_to_handle_at(2)) and outlive the process where the file system can open them again and
// the process has CAP_DAC_READ_SEARCH. Elsewhere, and on FUSE, where the kernel's handles die with its memory of the file,
// they are built from the inode number, and the process remembers the names that lead there: after a restart, or when
// somebody else moved the file meanwhile, such a handle is -ESTALE until the file was looked up again.
// A handle is not proof against forgery: it must come from this backend.
//
// Every call is run as its `cred`: user, group, groups, and without capabilities unless the user is root. As on an NFS
// server, the owner of a file may read and write it whatever its mode, and who may execute it may read it.
#pragma once

#include <stdbool.h>

#include "lib/base/clock.h"
#include "lib/nfs/nfs.h"

struct posix_options {
    const char *path;          // existing directory, absolute; symbolic links in it are followed, once
    unsigned threads;          // calls that may be inside the file system at once, 1..256; 0: 64. They start on demand
    unsigned descriptors;      // open files that are kept for the next call; 0: 256
    bool uncached;             // keep data out of the file system's page cache where it can be done
    bool no_kernel_handles;    // build handles from inode numbers in any case
    struct nfs_cred cred;      // default credentials
    const struct clock *clock; // NULL: the system's
};

// -ENOENT, -ENOTDIR, -EACCES for the directory; -EPERM when the process may not act for others (CAP_SETUID, CAP_SETGID).
// Waits for the file system without a deadline.
int posix_share_open(const struct posix_options *options, struct nfs_share **ret, struct err *err) must_check;
// Do handles survive this process?
bool posix_share_has_kernel_handles(struct nfs_share *share);
