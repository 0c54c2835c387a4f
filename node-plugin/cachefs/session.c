// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "node-plugin/cachefs/ops.h"
#include "node-plugin/cachefs/resume.h"

#define READER_STACK ((size_t)256 << 10)
#define SOON_NS (50 * INT64_C(1000)) // programs that open one small file after the other ask again within that
#define EAGER_MOST 8
#define SMALL_REQUEST ((size_t)16 << 10) // all but writes
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 // Linux 5.14
#endif

struct session {
    struct fs *fs;
    struct init_flags init;
    struct fuse_session *fuse;
    int end_fd, ready_fd, fuse_fd;
    atomic_bool ready;  // INIT was answered
    atomic_bool paused; // no more requests are read
    atomic_uint reading;
    atomic_int eager;    // how often of late a request came soon: worth being awake for
    atomic_bool lookout; // one thread is
    unsigned readers;
    pthread_t threads[16];
};

static _Thread_local struct fuse_buf *reading; // the request this thread works on
static _Thread_local uint64_t reading_unique;
static _Thread_local uint32_t reading_opcode;

void *session_take_buffer(void) {
    return reading ? take_ptr(reading->mem) : NULL;
}

uint64_t session_request_unique(void) {
    return reading_unique;
}

bool session_request_opens(void) {
    return reading_opcode == FUSE_ABI_OPEN || reading_opcode == FUSE_ABI_OPENDIR || reading_opcode == FUSE_ABI_CREATE;
}

// The successor of this daemon cannot ask the kernel what was agreed.
static void keep_init(struct state_head *head, const void *request, size_t size) {
    if (size > sizeof head->init)
        return;
    memcpy(head->init, request, size);
    head->init_size = (unsigned)size;
}

static ssize_t dev_read(int fd, void *buf, size_t size, void *userdata) {
    struct fs *fs = userdata;
    ssize_t n = read(fd, buf, size < fs->requests.size ? size : fs->requests.size);
    if (n > 0 && !fs->init->unique && init_flags_see(fs->init, buf, (size_t)n)) // it comes first, and alone
        keep_init(fs->state->head, buf, (size_t)n);
    return n;
}
static ssize_t dev_writev(int fd, struct iovec *iov, int count, void *userdata) {
    struct fs *fs = userdata;
    if (!fs->init->taken && init_flags_is_answer(fs->init, iov, count))
        init_flags_add(fs->init, iov);
    if (!fs->replaying)
        return writev(fd, iov, count);
    ssize_t size = 0;
    for (int i = 0; i < count; i++)
        size += (ssize_t)iov[i].iov_len;
    return size;
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

static void process(struct session *s, struct fuse_buf *buf) {
    struct fuse_abi_in_header header;
    memcpy(&header, buf->mem, sizeof header); // the kernel sends no less
    reading = buf;
    reading_unique = header.unique;
    reading_opcode = header.opcode;
    fuse_session_process_buf(s->fuse, buf);
    reading = NULL;
    reading_unique = 0;
}

// To sleep and be woken on another processor costs more than a short request does. While requests follow each other closely,
// one thread looks out for the next one before it sleeps; when none came soon, it is not tried until they do again.
static void look_out(struct session *s, int64_t until) {
    struct pollfd fd = {.fd = s->fuse_fd, .events = POLLIN};
    if (atomic_load(&s->eager) <= 0 || atomic_exchange(&s->lookout, true))
        return;
    while (poll(&fd, 1, 0) == 0 && clock_monotonic(s->fs->clock) < until && !atomic_load(&s->paused))
        continue;
    atomic_store(&s->lookout, false);
}

static int receive(struct session *s, struct fuse_buf *buf) {
    int64_t soon = clock_monotonic(s->fs->clock) + SOON_NS;
    look_out(s, soon);
    int r = fuse_session_receive_buf(s->fuse, buf);
    int eager = atomic_load(&s->eager);
    bool came_soon = clock_monotonic(s->fs->clock) < soon;
    if (came_soon ? eager < EAGER_MOST : eager > 0)
        atomic_store(&s->eager, eager + (came_soon ? 1 : -1));
    return r;
}

// A daemon that is killed while the kernel copies a request to it: the kernel goes on with pages that are there, but it
// does not wait for others any more, and ends the request with EIO. So they are there before. An idle mount has few.
static void *get_buffer(struct bufs *requests, bool all) {
    void *buf = bufs_get(requests);
    if (buf)
        (void)madvise(buf, all ? requests->size : SMALL_REQUEST, MADV_POPULATE_WRITE);
    return buf;
}

static void *read_requests(void *arg) {
    struct session *s = arg;
    struct fuse_buf buf = {0};
    unsigned large = 0;
    while (!fuse_session_exited(s->fuse) && !atomic_load(&s->paused)) {
        if (!buf.mem) // what had the last one was a large write, and more may come
            buf.mem = get_buffer(&s->fs->requests, large++ > 0);
        int r = buf.mem ? receive(s, &buf) : -ENOMEM;
        if (r == -EINTR || r == -EAGAIN)
            continue;
        if (r <= 0)
            break;
        process(s, &buf);
        if (!atomic_exchange(&s->ready, true)) // the first request is INIT, answered before this line
            report(s->ready_fd, "cannot report that the session is ready");
    }
    bufs_put(&s->fs->requests, buf.mem);
    (void)atomic_fetch_sub(&s->reading, 1);
    if (atomic_load(&s->paused))
        return NULL;
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
        if (r == 0) {
            s->readers++;
            (void)atomic_fetch_add(&s->reading, 1);
        }
    }
    (void)pthread_attr_destroy(&attr);
    return r ? err_set(err, -r, "cannot start a thread: %s", err_name(r)) : 0;
}

static int open_session(struct session *s, int fuse_fd) {
    static const struct fuse_custom_io io = {.read = dev_read, .writev = dev_writev, .splice_send = dev_splice};
    char max_read[32]; // libfuse insists on hearing it here as well as from init
    (void)snprintf(max_read, sizeof max_read, "max_read=%u",
                   s->fs->state->resumed ? s->fs->state->head->max_read : s->fs->read_max);
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
    s->fuse_fd = fuse_fd;
    return fuse_session_custom_io(s->fuse, &io, fuse_fd);
}

// libfuse agrees with the kernel when it sees INIT. This connection has it behind it: libfuse gets the request of then
// once more, comes to the same result, and its answer is dropped.
static int replay_init(struct session *s) {
    const struct state_head *head = s->fs->state->head;
    uint8_t request[STATE_INIT_MAX];
    struct fuse_buf buf = {.size = head->init_size, .mem = request};
    if (buf.size < sizeof(struct fuse_abi_in_header) || buf.size > sizeof request)
        return -EPROTO;
    memcpy(request, head->init, buf.size);
    s->fs->replaying = true;
    (void)init_flags_see(&s->init, request, buf.size);
    fuse_session_process_buf(s->fuse, &buf);
    s->fs->replaying = false;
    atomic_store(&s->ready, true);
    return fuse_session_exited(s->fuse) ? -EPROTO : 0;
}

// What the former daemon had read and not answered: the kernel shall send it again.
static void ask_again(const struct session *s) {
    struct fuse_abi_out_header resend = {.len = sizeof resend, .error = FUSE_ABI_NOTIFY_RESEND};
    if (write(s->fuse_fd, &resend, sizeof resend) < 0 && errno != ENODEV) // ENODEV: unmounted meanwhile
        log_error("requests in flight are lost", LOG_S("error", err_name(errno)));
}

// A reader waits in read(2), or is about to: it is woken until it is out. The handler does nothing.
static void wake(int number) {
    (void)number;
}

bool session_pause(struct session *s, int timeout_ms) {
    struct sigaction action = {.sa_handler = wake}; // without SA_RESTART
    (void)sigaction(SIGUSR1, &action, NULL);
    atomic_store(&s->paused, true);
    for (int ms = 0; ms < timeout_ms && atomic_load(&s->reading) > 0; ms++) {
        struct timespec pause = {.tv_nsec = NS_PER_MS};
        for (unsigned i = 0; i < s->readers; i++)
            (void)pthread_kill(s->threads[i], SIGUSR1); // they are joined in session_free only
        (void)nanosleep(&pause, NULL);
    }
    return atomic_load(&s->reading) == 0;
}

bool session_can_resume(const struct session *s) {
    return (s->init.taken & FUSE_ABI_HAS_RESEND) != 0;
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
    if (r == 0 && fs->state->resumed) {
        r = replay_init(s);
        if (r < 0)
            r = err_set(err, r, "cannot take the FUSE session over");
    }
    if (r == 0 && fs->state->resumed) {
        ask_again(s);
        resume_work(fs);
    }
    if (r == 0)
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
