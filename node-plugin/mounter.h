// SPDX-License-Identifier: Apache-2.0
// What the node's steps do to the kernel and to daemons, behind a table: real (mounter.c) and fake (tests/fakes).
//
// Why:     the order of the steps and what is undone is tried without root, a server or FUSE.
// Threads: any; calls about one path in order.
// Fails:   as lib/mount/mount.h: -ETIMEDOUT at the deadline (absolute CLOCK_MONOTONIC), with the mount possibly there.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/mount/launcher.h"
#include "lib/mount/mount.h"
#include "lib/mount/origin.h"
#include "lib/mount/process.h"
#include "lib/mount/table.h"
#include "node-plugin/mount_options.h"
#include "node-plugin/source.h"

struct mount_request {
    enum mount_mode mode; // kernel or fuse
    const struct volume_source *source;
    const struct mount_options *options;
    const char *target;
    const char *volume;      // its id, by which its part of a cache is known
    const char *origin_root; // of a mounted origin: where it is on this node; NULL: NFS
    const char *origin_dir;  // with it: the volume's directory below, "" for all of it
};

struct mounter_ops {
    int (*table)(void *self, struct mount_table **ret, struct err *err);
    // Mounts the volume's directory. In fuse mode *ret_daemon is the process that serves it (pid 0: none was started).
    int (*mount)(void *self, const struct mount_request *request, int64_t deadline_ns, struct process_id *ret_daemon,
                 struct err *err);
    int (*mount_origin)(void *self, const struct mount_origin *origin, int64_t deadline_ns, struct err *err);
    int (*bind)(void *self, const char *source, const char *target, bool read_only, int64_t deadline_ns,
                struct err *err);
    int (*unmount)(void *self, const char *target, bool detach, int64_t deadline_ns, struct err *err); // one layer
    int (*space)(void *self, const char *path, int64_t deadline_ns, struct mount_space *ret, struct err *err);
    int (*daemon_open)(void *self, const struct process_id *daemon); // a pidfd; -ESRCH when, and only when, it is gone
    // Waits for the daemon to end by itself, asks it (SIGTERM), ends it (SIGKILL). Gone already: 0.
    int (*daemon_stop)(void *self, const struct process_id *daemon, int64_t deadline_ns, struct err *err);
};
struct mounter {
    const struct mounter_ops *ops;
    void *self;
};

struct mounter_options {
    struct launcher launcher; // of FUSE daemons
    const char *log_level, *log_format;
    const char *cache_dir;    // of node-group volumes; NULL or "": none
    int64_t cache_memory;     // bytes for the buffers of all daemons together; 0: the daemon's default
    uint32_t cache_keep_free; // per cent of the disk; 0: the daemon's default
};
struct mounter mounter_system(const struct mounter_options *options); // borrows the options
