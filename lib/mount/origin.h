// SPDX-License-Identifier: Apache-2.0
// Mounts the file system that a cached volume has its files from: given by type, source and options, as mount(8) takes them.
//
// Why:     a group of nodes may have its files on a distributed file system; all of them are mounted alike, by libmount and
//          where there is one by their own helper (mount.ceph, mount.glusterfs, …), in a child with a deadline (child.h).
// Owns:    nothing; a helper may leave a daemon behind that serves the mount (GlusterFS), which lives as long as the mount
//          and in the container of this process.
// Threads: any; calls about one target at a time are the caller's order. Undone by mount_unmount.
// Fails:   -EINVAL for a type, source or option that is not taken; -EACCES for a host path that is not allowed; -ETIMEDOUT at
//          the deadline (absolute CLOCK_MONOTONIC), when helpers that are still there are killed; -ENODEV when kernel and helper lack the type;
//          else as mount(2), or -EIO with the helper's own words.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

struct mount_origin {
    const char *type; // see mount_origin_types, or "path"
    const char *
        source; // as the type has it: "mon1,mon2:/", "mgs@tcp:/fs", "server:/volume"; for "path" a directory of this host
    const char *target;  // existing directory
    const char *options; // comma separated, may be NULL. "nosuid" and "nodev" are added; for "path" only "ro" is taken
    // For "path": the directories, NULL-terminated, below which an administrator allowed it; NULL: nowhere. No symbolic link
    // below them is followed, since users may be able to make some.
    const char *const *allowed_paths;
};

bool mount_origin_type_is_known(const char *type);
const char *mount_origin_types(void); // "ceph, fuse.glusterfs, …", for messages
// Checks without mounting; mount_origin does the same.
int mount_origin_check(const struct mount_origin *origin, struct err *err) must_check;
int mount_origin(const struct mount_origin *origin, int64_t deadline_ns, struct err *err) must_check;
