// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PIPE_SIZE (NFS_IO_MAX + (64u << 10)) // a read that does not start on a page takes one more

struct channel { // a pipe
    int from, to;
};
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local struct channel mine = {-1, -1};

static void close_channel(void *arg) {
    struct channel *c = arg;
    if (c->from >= 0) {
        (void)close(c->from);
        (void)close(c->to);
    }
    *c = (struct channel){-1, -1};
}

static void make_key(void) {
    (void)pthread_key_create(&key, close_channel);
}

static int open_channel(void) {
    int fds[2];
    if (mine.from >= 0)
        return 0;
    (void)pthread_once(&once, make_key);
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    mine = (struct channel){fds[0], fds[1]};
    if (fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE) < 0 || pthread_setspecific(key, &mine) != 0) {
        close_channel(&mine);
        return -ENOMEM;
    }
    return 0;
}

int splice_load(int fd, uint64_t offset, size_t len) {
    int r = open_channel();
    loff_t at = (loff_t)offset;
    for (size_t done = 0; r == 0 && done < len;) {
        ssize_t n = splice(fd, &at, mine.to, NULL, len - done, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n <= 0)
            r = n < 0 ? -errno : -EIO;
        else
            done += (size_t)n;
    }
    if (r < 0)
        close_channel(&mine); // with what is in it
    return r;
}

void splice_reply(fuse_req_t req, size_t len) {
    struct fuse_bufvec data = FUSE_BUFVEC_INIT(len);
    data.buf[0].flags = FUSE_BUF_IS_FD;
    data.buf[0].fd = mine.from;
    (void)fuse_reply_data(req, &data, FUSE_BUF_SPLICE_MOVE | FUSE_BUF_SPLICE_NONBLOCK);
}
