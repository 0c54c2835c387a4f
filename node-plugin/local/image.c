// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/local/image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"

#define COPY_STEP ((size_t)64 << 20) // bytes between two looks at the clock

#define RETAIN_TRIES 1000 // names that a retained image may get: KEY, KEY-2, …

struct names {
    char key[HASH_ID_LEN + 1], unfinished[HASH_ID_LEN + sizeof "..new"];
};

static struct names names_of(const char *id) {
    struct names names = {0};
    (void)local_key(id, names.key);
    (void)snprintf(names.unfinished, sizeof names.unfinished, ".%s.new", names.key);
    return names;
}

static int complain(const struct local_pool *pool, int code, const char *verb, struct err *err) {
    if (code == -ENOSPC || code == -EDQUOT)
        return err_set(err, -ENOSPC, "pool '%s' is full: %s is not possible; delete volumes or give it more space",
                       pool->name, verb);
    return err_set(err, code, "pool '%s': %s: %s", pool->name, verb, err_name(code));
}

int image_path(const struct local_pool *pool, const char *id, char ret[static IMAGE_PATH_SIZE], struct err *err) {
    struct names names = names_of(id);
    int n = snprintf(ret, IMAGE_PATH_SIZE, "%s/%s", pool->data, names.key);
    return n < 0 || n >= IMAGE_PATH_SIZE
               ? err_set(err, -ENAMETOOLONG, "pool '%s': its directory has too long a name", pool->name)
               : 0;
}

bool image_exists(const struct local_pool *pool, const char *id) {
    struct names names = names_of(id);
    struct stat st; // asked of the file itself: its name may still be cached when the disk is gone
    return fstatat(pool->data_fd, names.key, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int set_size(int fd, int64_t bytes, bool full) {
    if (ftruncate(fd, bytes) < 0)
        return -errno;
    return full && fallocate(fd, 0, 0, bytes) < 0 ? -errno : 0;
}

static int open_unfinished(const struct local_pool *pool, const struct names *names) {
    int fd = openat(pool->data_fd, names->unfinished, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? -errno : fd;
}

// The file counts from here on.
static int finish(const struct local_pool *pool, const struct names *names, int fd) {
    if (fsync(fd) < 0 || renameat(pool->data_fd, names->unfinished, pool->data_fd, names->key) < 0 ||
        fsync(pool->data_fd) < 0)
        return -errno;
    return 0;
}

int image_create(const struct local_pool *pool, const char *id, int64_t bytes, bool full, struct err *err) {
    struct names names = names_of(id);
    int fd cleanup_close = open_unfinished(pool, &names);
    int r = fd < 0 ? fd : set_size(fd, bytes, full);
    if (r == 0)
        r = finish(pool, &names, fd);
    if (r < 0)
        (void)unlinkat(pool->data_fd, names.unfinished, 0);
    return r < 0 ? complain(pool, r, "making an image", err) : 0;
}

static int copy_range(const struct image_copy *copy, int from, int to, off_t at, off_t end) {
    off_t in = at, out = at;
    while (in < end) {
        if (clock_monotonic(&clock_system) >= copy->deadline_ns)
            return -ETIMEDOUT;
        if (copy->cancel && atomic_load(copy->cancel))
            return -ECANCELED;
        size_t left = (size_t)(end - in);
        ssize_t n = copy_file_range(from, &in, to, &out, left < COPY_STEP ? left : COPY_STEP, 0);
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0; // the original ended: what is behind reads as zeros
    }
    return 0;
}

static int copy_sparse(const struct image_copy *copy, int from, int to, off_t size) {
    for (off_t at = 0; at < size;) {
        off_t data = lseek(from, at, SEEK_DATA);
        if (data < 0)
            return errno == ENXIO ? 0 : -errno; // only a hole is left
        off_t hole = lseek(from, data, SEEK_HOLE);
        if (hole < 0)
            return -errno;
        int r = copy_range(copy, from, to, data, hole < size ? hole : size);
        if (r < 0)
            return r;
        at = hole;
    }
    return 0;
}

static int copy_data(const struct image_copy *copy, int from, int to) {
    struct stat st;
    if (fstat(from, &st) < 0)
        return -errno;
    if (copy->pool->reflink)
        return ioctl(to, FICLONE, from) < 0 ? -errno : 0;
    return copy_sparse(copy, from, to, st.st_size);
}

int image_copy(const struct image_copy *copy, struct err *err) {
    const struct local_pool *pool = copy->pool;
    struct names source = names_of(copy->from), names = names_of(copy->to);
    int from cleanup_close = openat(pool->data_fd, source.key, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (from < 0)
        return err_set(err, -EIO, "pool '%s': the data of '%.60s' cannot be opened: %s", pool->name, copy->from,
                       err_name(errno));
    int to cleanup_close = open_unfinished(pool, &names);
    int r = to < 0 ? to : copy_data(copy, from, to);
    if (r == 0 && ftruncate(to, copy->bytes) < 0)
        r = -errno;
    if (r == 0)
        r = finish(pool, &names, to);
    if (r < 0)
        (void)unlinkat(pool->data_fd, names.unfinished, 0);
    return r < 0 ? complain(pool, r, "copying an image", err) : 0;
}

int image_grow(const struct local_pool *pool, const char *id, int64_t bytes, bool full, struct err *err) {
    struct names names = names_of(id);
    struct stat st;
    int fd cleanup_close = openat(pool->data_fd, names.key, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;
    if (r == 0 && st.st_size < bytes) {
        r = set_size(fd, bytes, full);
        if (r < 0) // what it got of it would look like the whole to the next call
            (void)!ftruncate(fd, st.st_size);
    }
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    return r < 0 ? complain(pool, r, "growing an image", err) : 0;
}

int image_remove(const struct local_pool *pool, const char *id, struct err *err) {
    struct names names = names_of(id);
    if (unlinkat(pool->data_fd, names.key, 0) < 0 && errno != ENOENT)
        return complain(pool, -errno, "removing an image", err);
    return 0;
}

// Where nothing is yet: a volume of the same name may have been retained before.
int image_retain(const struct local_pool *pool, const char *id, struct err *err) {
    struct names names = names_of(id);
    char target[IMAGE_PATH_SIZE], suffix[16] = "";
    for (unsigned i = 2; i < RETAIN_TRIES; i++) {
        int n = snprintf(target, sizeof target, "%s/%s%s", pool->retained, names.key, suffix);
        if (n < 0 || (size_t)n >= sizeof target)
            return err_set(err, -ENAMETOOLONG, "pool '%s': its directory has too long a name", pool->name);
        if (renameat2(pool->data_fd, names.key, AT_FDCWD, target, RENAME_NOREPLACE) == 0 || errno == ENOENT)
            return 0;
        if (errno != EEXIST)
            return complain(pool, -errno, "keeping an image", err);
        (void)snprintf(suffix, sizeof suffix, "-%u", i);
    }
    return complain(pool, -EEXIST, "keeping one more image of this name", err);
}

int64_t image_allocated(const struct local_pool *pool, const char *id) {
    struct names names = names_of(id);
    struct stat st;
    return fstatat(pool->data_fd, names.key, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : (int64_t)st.st_blocks * 512;
}
