// SPDX-License-Identifier: Apache-2.0
// How a mounted cache is told and asked: by extended attributes of its files and directories, as CephFS has ceph.*.
//
// Why: a path says what is meant, its owner and mode say who may, and in a container it works as on the node; nothing listens
//      anywhere. What is told can also be told by an ioctl, because a read-only mount takes no attributes.
//
// | attribute | written | read, one JSON object |
// |---|---|---|
// | CACHE_XATTR "warm" | "1" starts to fetch all below, "0" cancels | how far it is; ENODATA: nothing was started there |
// | CACHE_XATTR "pin" | "1", "0"; returns when it is done | what was done last |
// | CACHE_XATTR "evict" | "1"; returns when it is done | what was done last |
// | CACHE_XATTR "status" | no | a file: what of it is here; a directory: its volume and the disk |
//
// Fails: EOPNOTSUPP on a mount without a cache, EPERM for others than the owner and root, EINVAL for another value.
#pragma once

#include <stdint.h>
#include <sys/ioctl.h>

#define CACHE_XATTR "stowage.cache."
#define CACHE_XATTR_MAX 65536 // bytes of an answer

struct cache_tell { // "warm=1" and the like, NUL-terminated; on a descriptor that was opened for reading
    char text[32];
};
#define CACHE_IOC_TELL _IOW('S', 1, struct cache_tell)
