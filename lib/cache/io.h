// SPDX-License-Identifier: Apache-2.0
// The system calls by which the cache touches the disk, as a table.
//
// Why:     a test can lose what was not synced, or let the n-th call fail.
// Threads: any.
// Fails:   every call returns -errno; partial writes are continued inside.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#define CACHE_RECORD_XATTR "user.stowage.cache"

struct cache_io_ops {
    int (*open)(void *ctx, int dir_fd, const char *name,
                int flags); // a descriptor; O_CLOEXEC, O_NOFOLLOW and mode 0600
    int (*unlink)(void *ctx, int dir_fd, const char *name);
    int (*make_dir)(void *ctx, int dir_fd, const char *name);
    int (*set_size)(void *ctx, int fd, uint64_t size);
    int (*allocate)(void *ctx, int fd, uint64_t offset, uint64_t len); // blocks on the disk, so that a mapping has them
    int (*write)(void *ctx, int fd, const void *data, size_t len, uint64_t offset); // all of it
    int (*sync)(void *ctx, int fd);                                                 // fdatasync
    int (*set_record)(void *ctx, int fd, const void *record, size_t len);           // the xattr
    ssize_t (*get_record)(void *ctx, int fd, void *ret, size_t len);
    int (*stat_fs)(void *ctx, int fd, struct statvfs *ret);
    // As `write`, for data that nobody reads from the page cache soon. NULL: by `write`.
    int (*write_past)(void *ctx, int fd, const void *data, size_t len, uint64_t offset);
};
struct cache_io {
    const struct cache_io_ops *ops;
    void *ctx;
    uint64_t boot; // 0: of /proc/sys/kernel/random/boot_id
};

extern const struct cache_io cache_io_system;

// Which boot this is: another number after each start of the kernel, never 0. 0: the kernel does not tell.
uint64_t cache_io_boot(const struct cache_io *io);

static inline int io_open(const struct cache_io *io, int dir_fd, const char *name, int flags) {
    return io->ops->open(io->ctx, dir_fd, name, flags);
}
static inline int io_unlink(const struct cache_io *io, int dir_fd, const char *name) {
    return io->ops->unlink(io->ctx, dir_fd, name);
}
static inline int io_make_dir(const struct cache_io *io, int dir_fd, const char *name) {
    return io->ops->make_dir(io->ctx, dir_fd, name);
}
static inline int io_set_size(const struct cache_io *io, int fd, uint64_t size) {
    return io->ops->set_size(io->ctx, fd, size);
}
static inline int io_allocate(const struct cache_io *io, int fd, uint64_t offset, uint64_t len) {
    return io->ops->allocate(io->ctx, fd, offset, len);
}
static inline int io_write(const struct cache_io *io, int fd, const void *data, size_t len, uint64_t offset) {
    return io->ops->write(io->ctx, fd, data, len, offset);
}
static inline int io_write_past(const struct cache_io *io, int fd, const void *data, size_t len, uint64_t offset) {
    int (*call)(void *, int, const void *, size_t, uint64_t) =
        io->ops->write_past ? io->ops->write_past : io->ops->write;
    return call(io->ctx, fd, data, len, offset);
}
// Reads a little of the file from the disk itself, not from memory. 0, or what the disk says.
int io_ask_disk(int fd);
static inline int io_sync(const struct cache_io *io, int fd) {
    return io->ops->sync(io->ctx, fd);
}
static inline int io_set_record(const struct cache_io *io, int fd, const void *record, size_t len) {
    return io->ops->set_record(io->ctx, fd, record, len);
}
static inline ssize_t io_get_record(const struct cache_io *io, int fd, void *ret, size_t len) {
    return io->ops->get_record(io->ctx, fd, ret, len);
}
static inline int io_stat_fs(const struct cache_io *io, int fd, struct statvfs *ret) {
    return io->ops->stat_fs(io->ctx, fd, ret);
}
