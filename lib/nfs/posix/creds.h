// SPDX-License-Identifier: Apache-2.0
// Who a thread is for the file system.
//
// Why:     the file system decides who may do what, so each call is made as its caller. libc's wrappers change all threads
//          of a process, the system calls only the one that makes them.
// Threads: one struct per thread.
// Fails:   -EPERM; the thread then may be anybody until the next success, and must not touch the file system.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/nfs/nfs.h"

struct posix_creds {
    bool known, raised;
    uint64_t permitted; // capabilities
    struct nfs_cred now;
};

int posix_creds_init(struct posix_creds *creds) must_check;
int posix_creds_become(struct posix_creds *creds, const struct nfs_cred *cred) must_check;
// Capabilities in spite of the user, between the two: to open by handle, and where NFS lets the owner do what the mode forbids.
int posix_creds_raise(struct posix_creds *creds) must_check;
void posix_creds_lower(struct posix_creds *creds);

bool posix_cred_eq(const struct nfs_cred *a, const struct nfs_cred *b);
