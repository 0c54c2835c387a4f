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
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/mount/loop.h"
#include "node-plugin/local/attachment.h"

#define COPY_STEP ((size_t)64 << 20) // bytes between two looks at the clock

struct names {
    char key[HASH_ID_LEN + 1], unfinished[HASH_ID_LEN + sizeof "..new"];
};

static struct names names_of(const char *id) {
    struct names names = {0};
    (void)local_key(id, names.key);
    (void)snprintf(names.unfinished, sizeof names.unfinished, ".%s.new", names.key);
    return names;
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
    return faccessat(pool->data_fd, names.key, F_OK, 0) == 0;
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

int image_create(const struct local_pool *pool, const struct data_request *request, struct err *err) {
    struct names names = names_of(request->id);
    int fd cleanup_close = open_unfinished(pool, &names);
    int r = fd < 0 ? fd : set_size(fd, request->bytes, request->full);
    if (r == 0)
        r = finish(pool, &names, fd);
    if (r < 0)
        (void)unlinkat(pool->data_fd, names.unfinished, 0);
    return r < 0 ? allocation_complain(pool, r, "making an image", err) : 0;
}

static int copy_range(const struct data_copy *copy, int from, int to, off_t at, off_t end) {
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

static int copy_sparse(const struct data_copy *copy, int from, int to, off_t size) {
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

static int copy_data(const struct data_copy *copy, int from, int to) {
    struct stat st;
    if (fstat(from, &st) < 0)
        return -errno;
    if (copy->pool->reflink)
        return ioctl(to, FICLONE, from) < 0 ? -errno : 0;
    return copy_sparse(copy, from, to, st.st_size);
}

int image_copy(const struct data_copy *copy, struct err *err) {
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
    return r < 0 ? allocation_complain(pool, r, "copying an image", err) : 0;
}

int image_grow(const struct local_pool *pool, const char *id, int64_t bytes, bool full, struct err *err) {
    struct names names = names_of(id);
    struct stat st;
    int fd cleanup_close = openat(pool->data_fd, names.key, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;
    if (r == 0 && st.st_size < bytes)
        r = set_size(fd, bytes, full);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    return r < 0 ? allocation_complain(pool, r, "growing an image", err) : 0;
}

int image_remove(const struct local_pool *pool, const char *id, int64_t deadline_ns, struct err *err) {
    (void)deadline_ns; // one call of the kernel
    struct names names = names_of(id);
    if (unlinkat(pool->data_fd, names.key, 0) < 0 && errno != ENOENT)
        return allocation_complain(pool, -errno, "removing an image", err);
    return 0;
}

int image_retain(const struct local_pool *pool, const char *id, struct err *err) {
    struct names names = names_of(id);
    char target[IMAGE_PATH_SIZE];
    int n = snprintf(target, sizeof target, "%s/%s", pool->retained, names.key);
    if (n < 0 || (size_t)n >= sizeof target)
        return err_set(err, -ENAMETOOLONG, "pool '%s': its directory has too long a name", pool->name);
    if (renameat(pool->data_fd, names.key, AT_FDCWD, target) < 0 && errno != ENOENT)
        return allocation_complain(pool, -errno, "keeping an image", err);
    return 0;
}

int64_t image_allocated(const struct local_pool *pool, const char *id) {
    struct names names = names_of(id);
    struct stat st;
    return fstatat(pool->data_fd, names.key, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : (int64_t)st.st_blocks * 512;
}

// ---- at the node ----

static void sweep(const struct local_pool *pool, const char *name) {
    (void)unlinkat(pool->data_fd, name, 0);
}

static void set_device(struct attachment *attachment, unsigned number) {
    char path[LOOP_PATH_SIZE];
    loop_path(number, path);
    attachment->attached = true;
    attachment->number = number;
    (void)snprintf(attachment->path, sizeof attachment->path, "%s", path);
}

static int find(const struct local_pool *pool, const char *id, struct attachment *ret, struct err *err) {
    char image[IMAGE_PATH_SIZE];
    unsigned number = 0;
    *ret = (struct attachment){0};
    int r = image_path(pool, id, image, err);
    if (r == 0)
        r = loop_find(image, &number, err);
    if (r == 0)
        set_device(ret, number);
    return r == -ENOENT ? 0 : r; // no device, or no image
}

static int attach(const struct local_pool *pool, const struct local_record *record, bool autoclear,
                  struct attachment *ret, int *ret_fd, struct err *err) {
    char image[IMAGE_PATH_SIZE];
    unsigned number = 0;
    const struct loop_options options = {.autoclear = autoclear};
    int r = image_path(pool, record->id, image, err);
    if (r == 0)
        r = loop_attach(image, &options, &number, ret_fd, err);
    if (r < 0)
        return r;
    set_device(ret, number);
    if (!loop_uses_direct_io(number))
        log_info("loop device without direct I/O: its file system does not take it", LOG_S("volume", record->id),
                 LOG_S("device", ret->path));
    return 0;
}

static int detach(const struct attachment *attachment, struct err *err) {
    return loop_detach(attachment->number, err);
}

static int resized(const struct attachment *attachment, struct err *err) {
    return loop_grow(attachment->number, err);
}

static int recover_one(unsigned number, const char *image, void *arg) {
    const struct mount_table *table = arg;
    struct attachment device = {0};
    struct err err = ERR_NONE;
    set_device(&device, number);
    if (attachment_thaw(table, &device))
        return 0;
    if (loop_detach(number, &err) < 0)
        log_warning("loop device stays", LOG_S("reason", err.msg));
    else
        log_info("loop device that nobody used was let go", LOG_S("device", device.path), LOG_S("image", image));
    return 0;
}

static void recover(struct local_pool *pool) {
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    struct err err = ERR_NONE;
    int r = mount_table_load(NULL, &table, &err);
    if (r == 0)
        r = loop_each(pool->data, recover_one, table);
    if (r < 0)
        log_warning("loop devices were not looked through", LOG_S("pool", pool->name), LOG_S("reason", err_name(r)));
}

const struct allocation allocation_image = {
    .name = "image",
    .can_be_full = true,
    .recover = recover,
    .sweep = sweep,
    .exists = image_exists,
    .allocated = image_allocated,
    .create = image_create,
    .copy = image_copy,
    .grow = image_grow,
    .remove = image_remove,
    .retain = image_retain,
    .find = find,
    .attach = attach,
    .detach = detach,
    .resized = resized,
};
