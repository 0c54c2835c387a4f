// SPDX-License-Identifier: Apache-2.0
// Where the files of a mount come from: one row a kind of origin.
//
// Why:     all that comes after it works on a `struct nfs_share`, whatever is behind it.
// Fails:   -EINVAL when none or two are asked for; else as the kind's own open.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/nfs/nfs.h"

struct origin {
    const char *server, *share; // an NFS server and its export
    int nfs_version;            // 0: 3, then 4
    uint16_t nfs_port, mount_port;
    unsigned connections;
    atomic_uint *local_ports; // nfs_options.local_ports
    const char *path;         // a directory of a mounted file system
    bool uncached;            // its data is kept out of the page cache where it can be done
};

int origin_open(const struct origin *origin, int64_t deadline_ns, struct nfs_share **ret, struct err *err) must_check;
