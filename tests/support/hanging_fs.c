// SPDX-License-Identifier: Apache-2.0
#include "tests/support/hanging_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define FILE_NODE 2u
#define REQUEST_BYTES (HANGING_BYTES_MAX + 4096u)
#define HELD_MAX 64

struct held {
    enum hanging_op op;
    struct fuse_in_header in;
    uint32_t size;
};

struct hanging_fs {
    char path[128];
    int fd;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool hold[HANGING_OPS];
    int fail[HANGING_OPS];
    struct held held[HELD_MAX];
    size_t held_count;
    char last_byte;
};

static void reply(struct hanging_fs *fs, uint64_t unique, int error, const void *data, size_t len) {
    struct fuse_out_header out = {.len = (uint32_t)(sizeof out + (error ? 0 : len)), .error = -error, .unique = unique};
    const struct iovec iov[2] = {{&out, sizeof out}, {(void *)(uintptr_t)data, len}};
    (void)!writev(fs->fd, iov, error || len == 0 ? 1 : 2);
}

static struct fuse_attr attr_of(uint64_t node) {
    struct fuse_attr attr = {.ino = node, .mode = S_IFDIR | 0777, .nlink = 2, .blksize = 4096};
    if (node == FILE_NODE)
        attr =
            (struct fuse_attr){.ino = node, .mode = S_IFREG | 0666, .nlink = 1, .size = HANGING_SIZE, .blksize = 4096};
    return attr;
}

static void reply_held(struct hanging_fs *fs, const struct held *request) {
    static char data[HANGING_BYTES_MAX];
    struct fuse_write_out written = {.size = request->size};
    memset(data, 'A', sizeof data);
    switch (request->op) {
    case HANGING_READ:
        reply(fs, request->in.unique, 0, data, request->size);
        break;
    case HANGING_WRITE:
        reply(fs, request->in.unique, 0, &written, sizeof written);
        break;
    default:
        reply(fs, request->in.unique, 0, NULL, 0);
    }
}

static void answer_or_hold(struct hanging_fs *fs, enum hanging_op op, const struct fuse_in_header *in, uint32_t size) {
    const struct held request = {.op = op, .in = *in, .size = size};
    LOCK_SCOPE(&fs->lock);
    int error = fs->fail[op];
    fs->fail[op] = 0;
    if (error)
        reply(fs, in->unique, error, NULL, 0);
    else if (fs->hold[op] && fs->held_count < HELD_MAX)
        fs->held[fs->held_count++] = request;
    else
        reply_held(fs, &request);
    (void)pthread_cond_broadcast(&fs->changed);
}

static void init(struct hanging_fs *fs, const struct fuse_in_header *in) {
    struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
                                .minor = 31,
                                .max_readahead = 0,
                                .flags = FUSE_BIG_WRITES,
                                .max_background = 64,
                                .max_write = HANGING_BYTES_MAX};
    reply(fs, in->unique, 0, &out, sizeof out);
}

static void read_or_write(struct hanging_fs *fs, const struct fuse_in_header *in, const void *body) {
    if (in->opcode == FUSE_READ) {
        const struct fuse_read_in *read = body;
        uint64_t left = read->offset < HANGING_SIZE ? HANGING_SIZE - read->offset : 0;
        answer_or_hold(fs, HANGING_READ, in, left < read->size ? (uint32_t)left : read->size);
        return;
    }
    const struct fuse_write_in *write = body;
    {
        LOCK_SCOPE(&fs->lock);
        fs->last_byte = ((const char *)(write + 1))[write->size - 1];
    }
    answer_or_hold(fs, HANGING_WRITE, in, write->size);
}

static void serve(struct hanging_fs *fs, const struct fuse_in_header *in, const void *body) {
    struct fuse_attr_out attr = {.attr = attr_of(in->nodeid)};
    struct fuse_entry_out entry = {.nodeid = FILE_NODE, .attr = attr_of(FILE_NODE)};
    struct fuse_open_out opened = {.open_flags = in->opcode == FUSE_OPEN ? FOPEN_DIRECT_IO : 0};
    struct fuse_statfs_out space = {.st = {.bsize = 4096, .frsize = 4096, .namelen = 255}};
    switch (in->opcode) {
    case FUSE_INIT:
        init(fs, in);
        break;
    case FUSE_LOOKUP:
        if (strcmp(body, "f") == 0)
            reply(fs, in->unique, 0, &entry, sizeof entry);
        else
            reply(fs, in->unique, ENOENT, NULL, 0);
        break;
    case FUSE_GETATTR:
    case FUSE_SETATTR:
        reply(fs, in->unique, 0, &attr, sizeof attr);
        break;
    case FUSE_OPEN:
    case FUSE_OPENDIR:
        reply(fs, in->unique, 0, &opened, sizeof opened);
        break;
    case FUSE_READ:
    case FUSE_WRITE:
        read_or_write(fs, in, body);
        break;
    case FUSE_FSYNC:
        answer_or_hold(fs, HANGING_FSYNC, in, 0);
        break;
    case FUSE_STATFS:
        reply(fs, in->unique, 0, &space, sizeof space);
        break;
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
    case FUSE_FLUSH:
        reply(fs, in->unique, 0, NULL, 0);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break;
    default:
        reply(fs, in->unique, ENOSYS, NULL, 0);
    }
}

static void *serve_all(void *arg) {
    struct hanging_fs *fs = arg;
    char *request cleanup_free = malloc(REQUEST_BYTES);
    for (;;) {
        ssize_t n = request ? read(fs->fd, request, REQUEST_BYTES) : -1;
        if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
            continue;
        if (n < (ssize_t)sizeof(struct fuse_in_header))
            return NULL; // unmounted
        serve(fs, (struct fuse_in_header *)(void *)request, request + sizeof(struct fuse_in_header));
    }
}

int hanging_fs_mount(const char *path, struct hanging_fs **ret) {
    struct hanging_fs *fs = calloc(1, sizeof *fs);
    char options[128];
    if (!fs)
        return -ENOMEM;
    (void)snprintf(fs->path, sizeof fs->path, "%s", path);
    (void)pthread_mutex_init(&fs->lock, NULL);
    (void)pthread_cond_init(&fs->changed, NULL);
    fs->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    (void)snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fs->fd);
    int r = fs->fd < 0 || mount("hanging", path, "fuse", MS_NOSUID | MS_NODEV, options) < 0 ? -errno : 0;
    if (r == 0)
        r = -pthread_create(&fs->thread, NULL, serve_all, fs);
    if (r < 0) {
        if (fs->fd >= 0)
            (void)close(fs->fd);
        free(fs);
        return r;
    }
    *ret = fs;
    return 0;
}

void hanging_fs_hold(struct hanging_fs *fs, enum hanging_op op, bool hold) {
    LOCK_SCOPE(&fs->lock);
    fs->hold[op] = hold;
    size_t left = 0;
    for (size_t i = 0; i < fs->held_count; i++)
        if (!hold && fs->held[i].op == op)
            reply_held(fs, &fs->held[i]);
        else
            fs->held[left++] = fs->held[i];
    fs->held_count = left;
}

void hanging_fs_fail(struct hanging_fs *fs, enum hanging_op op, int error) {
    LOCK_SCOPE(&fs->lock);
    fs->fail[op] = error;
}

void hanging_fs_wait_held(struct hanging_fs *fs, size_t count) {
    LOCK_SCOPE(&fs->lock);
    while (fs->held_count < count)
        (void)pthread_cond_wait(&fs->changed, &fs->lock);
}

char hanging_fs_last_byte(struct hanging_fs *fs) {
    LOCK_SCOPE(&fs->lock);
    return fs->last_byte;
}

void hanging_fs_wait_written(struct hanging_fs *fs) {
    LOCK_SCOPE(&fs->lock);
    while (!fs->last_byte)
        (void)pthread_cond_wait(&fs->changed, &fs->lock);
}

struct hanging_fs *hanging_fs_unmount(struct hanging_fs *fs) {
    if (!fs)
        return NULL;
    for (int op = 0; op < HANGING_OPS; op++)
        hanging_fs_hold(fs, (enum hanging_op)op, false);
    (void)umount2(fs->path, MNT_FORCE | MNT_DETACH); // ends the connection, and with it the thread
    (void)pthread_join(fs->thread, NULL);
    (void)close(fs->fd);
    (void)pthread_cond_destroy(&fs->changed);
    (void)pthread_mutex_destroy(&fs->lock);
    free(fs);
    return NULL;
}
