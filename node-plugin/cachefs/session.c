// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "node-plugin/cachefs/ops.h"

#define READER_STACK ((size_t)256 << 10)

struct session {
    struct fs *fs;
    struct init_flags init;
    struct fuse_session *fuse;
    int end_fd, ready_fd;
    atomic_bool ready; // INIT was answered
    unsigned readers;
    pthread_t threads[16];
};

static _Thread_local struct fuse_buf *reading; // the request this thread works on

void *session_take_buffer(void) {
    return reading ? take_ptr(reading->mem) : NULL;
}

static ssize_t dev_read(int fd, void *buf, size_t size, void *userdata) {
    struct fs *fs = userdata;
    ssize_t n = read(fd, buf, size < fs->bufs.size ? size : fs->bufs.size);
    if (n > 0 && !fs->init->unique) // INIT comes first, and alone: the kernel waits for the answer
        (void)init_flags_see(fs->init, buf, (size_t)n);
    return n;
}
static ssize_t dev_writev(int fd, struct iovec *iov, int count, void *userdata) {
    struct fs *fs = userdata;
    if (!fs->init->taken && init_flags_is_answer(fs->init, iov, count))
        init_flags_add(fs->init, iov);
    return writev(fd, iov, count);
}

static ssize_t dev_splice(int from, off_t *from_offset, int to, off_t *to_offset, size_t len, unsigned flags,
                          void *userdata) {
    (void)userdata;
    return splice(from, from_offset, to, to_offset, len, flags);
}

static void report(int fd, const char *failure) {
    uint64_t one = 1;
    if (write(fd, &one, sizeof one) < 0)
        log_error(failure, LOG_S("error", err_name(errno)));
}

static void *read_requests(void *arg) {
    struct session *s = arg;
    struct fuse_buf buf = {0};
    while (!fuse_session_exited(s->fuse)) {
        if (!buf.mem)
            buf.mem = bufs_get(&s->fs->bufs);
        int r = buf.mem ? fuse_session_receive_buf(s->fuse, &buf) : -ENOMEM;
        if (r == -EINTR || r == -EAGAIN)
            continue;
        if (r <= 0)
            break;
        reading = &buf;
        fuse_session_process_buf(s->fuse, &buf);
        reading = NULL;
        if (!atomic_exchange(&s->ready, true)) // the first request is INIT, answered before this line
            report(s->ready_fd, "cannot report that the session is ready");
    }
    bufs_put(&s->fs->bufs, buf.mem);
    fuse_session_exit(s->fuse);
    report(s->end_fd, "cannot report the end of the session");
    return NULL;
}

static int start_readers(struct session *s, unsigned readers, struct err *err) {
    pthread_attr_t attr;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, READER_STACK);
    int r = 0;
    while (r == 0 && s->readers < readers && s->readers < ARRAY_SIZE(s->threads)) {
        r = pthread_create(&s->threads[s->readers], &attr, read_requests, s);
        if (r == 0)
            s->readers++;
    }
    (void)pthread_attr_destroy(&attr);
    return r ? err_set(err, -r, "cannot start a thread: %s", err_name(r)) : 0;
}

static int open_session(struct session *s, int fuse_fd) {
    static const struct fuse_custom_io io = {.read = dev_read, .writev = dev_writev, .splice_send = dev_splice};
    char max_read[32]; // libfuse insists on hearing it here as well as from init
    (void)snprintf(max_read, sizeof max_read, "max_read=%u", s->fs->read_max);
    char *argv[] = {(char *)(uintptr_t) "stowage-cachefs", (char *)(uintptr_t) "-o", max_read, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(3, argv);
    struct fuse_lowlevel_ops operations = fs_operations;
    if (s->fs->copies.cache)
        ops_add_xattrs(&operations);
    s->init.has_xattrs = operations.getxattr != NULL;
    s->fuse = fuse_session_new(&args, &operations, sizeof operations, s->fs);
    fuse_opt_free_args(&args);
    if (!s->fuse)
        return -ENOMEM;
    s->fs->session = s->fuse;
    s->fs->device = fuse_fd;
    s->fs->init = &s->init;
    return fuse_session_custom_io(s->fuse, &io, fuse_fd);
}

int session_start(struct fs *fs, int fuse_fd, unsigned readers, struct session **ret, struct err *err) {
    struct session *s = mem_zalloc(sizeof *s);
    if (!s)
        return err_set(err, -ENOMEM, "out of memory");
    s->fs = fs;
    s->end_fd = eventfd(0, EFD_CLOEXEC);
    s->ready_fd = eventfd(0, EFD_CLOEXEC);
    int r = s->end_fd < 0 || s->ready_fd < 0 ? -errno : open_session(s, fuse_fd);
    if (r < 0)
        r = err_set(err, r, "cannot make the FUSE session: %s", err_name(r));
    else
        r = start_readers(s, readers, err);
    if (r < 0) {
        (void)session_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

bool session_wait_ready(const struct session *s, int timeout_ms) {
    struct pollfd fds[2] = {{.fd = s->ready_fd, .events = POLLIN}, {.fd = s->end_fd, .events = POLLIN}};
    return poll(fds, 2, timeout_ms) > 0 && fds[0].revents;
}

int session_end_fd(const struct session *s) {
    return s->end_fd;
}

struct session *session_free(struct session *s) {
    if (!s)
        return NULL;
    for (unsigned i = 0; i < s->readers; i++)
        (void)pthread_join(s->threads[i], NULL);
    if (s->fuse)
        fuse_session_destroy(s->fuse);
    if (s->end_fd >= 0)
        (void)close(s->end_fd);
    if (s->ready_fd >= 0)
        (void)close(s->ready_fd);
    free(s);
    return NULL;
}
