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
