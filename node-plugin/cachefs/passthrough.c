// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/passthrough.h"

#include <errno.h>
#include <sys/ioctl.h>

// Debian 12's <linux/fuse.h> is older than the interface.
struct backing_map {
    int32_t fd;
    uint32_t flags; // 0
    uint64_t padding;
};
#define BACKING_OPEN _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)

struct open_reply { // struct fuse_open_out
    uint64_t handle;
    uint32_t flags;
    int32_t backing_id;
};
#define REPLY_DIRECT_IO (1u << 0)
#define REPLY_NOFLUSH (1u << 5)
#define REPLY_PASSTHROUGH (1u << 7) // with KEEP_CACHE and others the kernel answers EIO

int passthrough_open(int device, int fd, int32_t *ret_id) {
    struct backing_map map = {.fd = fd};
    int id = ioctl(device, BACKING_OPEN, &map);
    if (id <= 0)
        return id < 0 ? -errno : -EIO;
    *ret_id = id;
    return 0;
}

void passthrough_close(int device, int32_t id) {
    uint32_t number = (uint32_t)id;
    (void)ioctl(device, BACKING_CLOSE, &number); // fails only when it is not known any more
}

int passthrough_reply(fuse_req_t req, const struct fuse_file_info *fi, enum open_mode mode, int32_t id) {
    struct open_reply reply = {.handle = fi->fh, .flags = REPLY_PASSTHROUGH, .backing_id = id};
    if (mode == OPEN_ATTENDED)
        reply.flags |= REPLY_DIRECT_IO;
    if (fi->noflush)
        reply.flags |= REPLY_NOFLUSH;
    return fuse_reply_buf(req, (const char *)&reply, sizeof reply);
}
