// SPDX-License-Identifier: Apache-2.0
// Mounting and unmounting with deadlines: each call runs in a child (child.h).
//
// Why:     the kernel may block any of these for as long as a server is away.
// Threads: any; calls about one path at a time are the caller's order.
// Fails:   -errno of the system call with a message that names the path; -ETIMEDOUT at the deadline (absolute
//          CLOCK_MONOTONIC). After -ETIMEDOUT the kernel may still finish the call: ask the mount table.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

struct mount_nfs {
    const char *server, *path; // server without brackets
    const char *target;
    const char *options;       // as nfs(5), comma separated; may be ""
    unsigned version;          // 3, 4, 0: from 4.2 downwards; not used when the options name a version
    unsigned port, mount_port; // 0: default
};

int mount_nfs(const struct mount_nfs *request, int64_t deadline_ns, struct err *err) must_check;
int mount_bind(const char *source, const char *target, bool read_only, int64_t deadline_ns, struct err *err) must_check;
// One layer. `detach`: takes it out of sight at once and lets the kernel finish when nothing uses it any more.
int mount_unmount(const char *target, bool detach, int64_t deadline_ns, struct err *err) must_check;

struct mount_space { // bytes and files
    int64_t total_bytes, free_bytes, available_bytes;
    int64_t total_files, free_files, available_files;
};
int mount_statfs(const char *path, int64_t deadline_ns, struct mount_space *ret, struct err *err) must_check;
