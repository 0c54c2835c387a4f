// SPDX-License-Identifier: Apache-2.0
#include "lib/cache/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/hash.h"

static int system_open(void *ctx, int dir_fd, const char *name, int flags) {
    (void)ctx;
    int fd = openat(dir_fd, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? -errno : fd;
}

static int system_unlink(void *ctx, int dir_fd, const char *name) {
    (void)ctx;
    return unlinkat(dir_fd, name, 0) < 0 ? -errno : 0;
}

static int system_make_dir(void *ctx, int dir_fd, const char *name) {
    (void)ctx;
    return mkdirat(dir_fd, name, 0700) < 0 ? -errno : 0;
}

static int system_set_size(void *ctx, int fd, uint64_t size) {
    (void)ctx;
    return ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

static int system_allocate(void *ctx, int fd, uint64_t offset, uint64_t len) {
    (void)ctx;
    int r;
    do
        r = fallocate(fd, 0, (off_t)offset, (off_t)len);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

static int system_write(void *ctx, int fd, const void *data, size_t len, uint64_t offset) {
    (void)ctx;
    const char *at = data;
    while (len > 0) {
        ssize_t n = pwrite(fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        at += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

#define DIRECT_UNIT 4096u // of address, offset and length: no disk has larger sectors

// Past the page cache: no copy, and what others have cached there stays.
static int system_write_past(void *ctx, int fd, const void *data, size_t len, uint64_t offset) {
    char path[64];
    if ((uintptr_t)data % DIRECT_UNIT || offset % DIRECT_UNIT || len < DIRECT_UNIT)
        return system_write(ctx, fd, data, len, offset);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int direct cleanup_close = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
    size_t whole = len / DIRECT_UNIT * DIRECT_UNIT;
    if (direct < 0 || system_write(ctx, direct, data, whole, offset) < 0)
        whole = 0; // a file system that cannot; what is wrong with the disk shows below, too
    return whole == len ? 0 : system_write(ctx, fd, (const char *)data + whole, len - whole, offset + whole);
}

int io_ask_disk(int fd) {
    static const unsigned unit = DIRECT_UNIT;
    char path[64], room[2 * DIRECT_UNIT];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int direct cleanup_close = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (direct < 0)
        return errno == EINVAL ? 0 : -errno; // a file system without
    void *at = (void *)(((uintptr_t)room + unit - 1) / unit * unit);
    return pread(direct, at, unit, 0) < 0 && errno != EINVAL && errno != EINTR ? -errno : 0;
}

static int system_sync(void *ctx, int fd) {
    (void)ctx;
    return fdatasync(fd) < 0 ? -errno : 0;
}

static int system_set_record(void *ctx, int fd, const void *record, size_t len) {
    (void)ctx;
    return fsetxattr(fd, CACHE_RECORD_XATTR, record, len, 0) < 0 ? -errno : 0;
}

static ssize_t system_get_record(void *ctx, int fd, void *ret, size_t len) {
    (void)ctx;
    ssize_t n = fgetxattr(fd, CACHE_RECORD_XATTR, ret, len);
    return n < 0 ? -errno : n;
}

static int system_stat_fs(void *ctx, int fd, struct statvfs *ret) {
    (void)ctx;
    return fstatvfs(fd, ret) < 0 ? -errno : 0;
}

static const struct cache_io_ops system_ops = {
    .open = system_open,
    .unlink = system_unlink,
    .make_dir = system_make_dir,
    .set_size = system_set_size,
    .allocate = system_allocate,
    .write = system_write,
    .write_past = system_write_past,
    .sync = system_sync,
    .set_record = system_set_record,
    .get_record = system_get_record,
    .stat_fs = system_stat_fs,
};
const struct cache_io cache_io_system = {.ops = &system_ops};

uint64_t cache_io_boot(const struct cache_io *io) {
    if (io->boot)
        return io->boot;
    int fd cleanup_close = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    char text[64];
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (len <= 0)
        return 0;
    unsigned char digest[HASH_SHA256];
    hash_sha256(text, (size_t)len, digest);
    uint64_t boot;
    memcpy(&boot, digest, sizeof boot);
    return boot ? boot : 1;
}
