// SPDX-License-Identifier: Apache-2.0
// A directory of its own for a test of lib/nfs/posix, and its share.
#pragma once

#include "lib/nfs/posix_share.h"

struct posix_kit {
    char path[64];
    struct nfs_share *share;
};

// Skips the program (exit 77) unless it is root's: others cannot act for their callers.
void posix_kit_need_root(void);
// `options` without the path, which is made below /tmp. 0 or -errno, with a message on the standard output.
int posix_kit_start(struct posix_kit *kit, struct posix_options options) must_check;
// Opens it anew, as after a restart of the process.
int posix_kit_reopen(struct posix_kit *kit, struct posix_options options) must_check;
void posix_kit_stop(struct posix_kit *kit); // removes the directory

// Runs with a deadline that only a bug reaches. Texts and entries stay the caller's.
int posix_kit_run(struct posix_kit *kit, struct nfs_call *call);
// The same for what only the result is asked of.
int posix_kit_result(struct posix_kit *kit, struct nfs_call call);
struct nfs_fh posix_kit_root(const struct posix_kit *kit);
// Looks up or makes, and fails the test when it cannot.
struct nfs_fh posix_kit_find(struct posix_kit *kit, const struct nfs_fh *dir, const char *name);
struct nfs_fh posix_kit_make(struct posix_kit *kit, enum nfs_op op, const struct nfs_fh *dir, const char *name,
                             uint32_t mode, const struct nfs_cred *cred);
