// SPDX-License-Identifier: Apache-2.0
// The kernel's side of a FUSE mount: /dev/fuse, mount(2), and the knobs that decide its speed.
//
// Why:   our own mount(2) instead of libfuse's keeps the descriptor in our hands, so that another process may hold it.
// Fails: -errno with the mount point and the remedy.
#pragma once

#include <stdbool.h>

#include "lib/base/err.h"

struct mount_options {
    const char *mount_point; // an existing directory
    const char *name;        // shown as the source
    bool read_only;
    unsigned max_read; // bytes
};

// `fd` is a fresh descriptor of /dev/fuse.
int mount_fuse(const struct mount_options *options, int fd, struct err *err) __attribute__((warn_unused_result));
// Lazy: at once, whatever uses the mount.
void mount_detach(const char *mount_point);
// Readahead of the mount (FUSE gives 128 KiB unless told otherwise). What cannot be set is logged at debug.
void mount_tune(const char *mount_point, unsigned readahead_kib);
// Is what is mounted there also mounted elsewhere (bound for a pod), as far as this mount namespace shows?
bool mount_in_use(const char *mount_point);
