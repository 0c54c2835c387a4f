// SPDX-License-Identifier: Apache-2.0
// Kernel NFS or FUSE: what this node can do, and what a volume gets.
//
// Why:     a kernel without NFS client, or one whose modules cannot be loaded, still serves every volume.
// Threads: probing once at the start; choosing from any thread.
#pragma once

#include <stdbool.h>

#include "csi/shared_volume.h"
#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/mount/launcher.h"

struct mount_mode_probe {
    bool kernel;       // the kernel has an NFS client
    bool fuse;         // FUSE daemons can be started
    char why[160];     // of the choice that `auto` makes
    char no_fuse[160]; // why they cannot
};

// Does the text of /proc/filesystems name an NFS client?
bool mount_mode_kernel_has_nfs(const char *filesystems);
// Looks at the kernel (and lets it load its NFS modules) and for the FUSE daemon. Waits at most 5 s.
void mount_mode_probe(const struct launcher *launcher, struct mount_mode_probe *ret);
// What `auto` means: kernel where there is one, else fuse.
enum mount_mode mount_mode_automatic(const struct mount_mode_probe *probe);
// The volume's wish first, then the node's, then the automatic choice. -EBUSY naming the remedy when this node cannot.
int mount_mode_choose(enum mount_mode volume, enum mount_mode node, const struct mount_mode_probe *probe,
                      enum mount_mode *ret, struct err *err) must_check;
const char *mount_mode_name(enum mount_mode mode);
