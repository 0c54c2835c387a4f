// SPDX-License-Identifier: Apache-2.0
// FUSE passthrough: the kernel reads an open file's data from a file of the cache, without asking this process.
//
// Why:     libfuse 3.14 does not know it; the kernel's side is two ioctls and one field of the reply to OPEN.
// Source:  include/uapi/linux/fuse.h of Linux 6.9 (protocol 7.40), Documentation/filesystems/fuse-passthrough.rst.
// Threads: any.
// Fails:   -errno of the ioctl: -EPERM not negotiated or no CAP_SYS_ADMIN in the first user namespace, -ELOOP the file is
//          on a stacked file system (overlayfs), -EINVAL no regular file.
#pragma once

#include "node-plugin/cachefs/fs.h"

enum open_mode {   // how the kernel was told to treat one open
    OPEN_CACHED,   // reads come here, through the kernel's page cache
    OPEN_PASSED,   // the kernel reads the cache file itself
    OPEN_ATTENDED, // others have it passed through, so this one must name the same cache file; reads and writes come here
};

// Makes `fd` known to the kernel under *ret_id (> 0) until passthrough_close; it may be closed here meanwhile.
int passthrough_open(int device, int fd, int32_t *ret_id) must_check;
void passthrough_close(int device, int32_t id);
// Answers an open (fuse_reply_open of libfuse has no room for the id). Like that, < 0 when the kernel did not take it.
int passthrough_reply(fuse_req_t req, const struct fuse_file_info *fi, enum open_mode mode, int32_t id) must_check;
