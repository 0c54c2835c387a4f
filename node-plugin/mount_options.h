// SPDX-License-Identifier: Apache-2.0
// The mount flags of a capability (a StorageClass's mountOptions), for both ways to mount.
//
// Why:   the kernel takes them all as nfs(5) has them; the FUSE daemon takes what it knows, ignores what only tunes the
//        kernel's client (each is named in the log), and refuses what it cannot honour, such as sec=krb5 or proto=rdma.
// Owns:  `kernel` is allocated, released by mount_options_done.
// Fails: -EINVAL naming the flag and the remedy.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "csi/shared_volume.h"
#include "lib/base/cleanup.h"
#include "lib/base/err.h"

struct mount_options {
    bool read_only;
    uint32_t version, port, mount_port, connections; // 0: not given
    char *kernel;                                    // all flags, comma separated; ""
};

int mount_options_parse(const char *const *flags, size_t count, enum mount_mode mode, struct mount_options *ret,
                        struct err *err) must_check;
// -EINVAL unless every option (comma separated) has a name that is known here: for options of somebody who must not give
// root's mount(8) whatever he likes. Values are judged by whoever mounts.
int mount_options_check_names(const char *flags, struct err *err) must_check;
void mount_options_done(struct mount_options *options);
