// SPDX-License-Identifier: Apache-2.0
#include "lib/mount/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mount/filesystem.h"

#define EDGE ((size_t)1 << 20)          // bytes at either end that must be zeros
#define COPY_BUFFER ((size_t)4 << 20)   // bytes
#define ALIGNMENT ((size_t)4096)        // of memory for direct I/O
#define ERASE_STEP (INT64_C(256) << 20) // bytes between two looks at the clock

// ---- found ----

static bool read_line(const char *folder, const char *name, char *ret, size_t size) {
    char path[DISK_PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd cleanup_close = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, ret, size - 1) : -1;
    if (n <= 0)
        return false;
    ret[n] = '\0';
    ret[strcspn(ret, "\n")] = '\0';
    for (size_t len = strlen(ret); len > 0 && ret[len - 1] == ' '; len--)
        ret[len - 1] = '\0';
    return ret[0] != '\0';
}

// What tells a device for ever, best first; a loop device is its file (tests, and disks on network block devices).
static bool find_identity(const char *folder, char ret[static DISK_IDENTITY_SIZE]) {
    static const struct {
        const char *kind, *attribute;
    } rows[] = {
        {"wwid", "wwid"},  {"wwid", "device/wwid"},       {"serial", "serial"}, {"serial", "device/serial"},
        {"dm", "dm/uuid"}, {"file", "loop/backing_file"},
    };
    char value[DISK_IDENTITY_SIZE - 16];
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (read_line(folder, rows[i].attribute, value, sizeof value)) {
            (void)snprintf(ret, DISK_IDENTITY_SIZE, "%s:%s", rows[i].kind, value);
            return true;
        }
    return false;
}

static int64_t size_of(int fd) {
    uint64_t bytes = 0;
    return ioctl(fd, BLKGETSIZE64, &bytes) < 0 ? 0 : (int64_t)bytes;
}

static bool describe(const char *name, struct disk *ret) {
    char folder[64], partition[8];
    char *path cleanup_free = realpath(name, NULL);
    struct stat st;
    if (!path || strlen(path) >= DISK_PATH_SIZE || stat(path, &st) < 0 || !S_ISBLK(st.st_mode))
        return false;
    (void)snprintf(folder, sizeof folder, "/sys/dev/block/%u:%u", major(st.st_rdev), minor(st.st_rdev));
    if (read_line(folder, "partition", partition, sizeof partition) || !find_identity(folder, ret->identity))
        return false;
    (void)snprintf(ret->path, sizeof ret->path, "%s", path);
    int fd cleanup_close = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ret->bytes = fd >= 0 ? size_of(fd) : 0;
    return ret->bytes > 0;
}

static int by_path(const void *a, const void *b) {
    return strcmp(((const struct disk *)a)->path, ((const struct disk *)b)->path);
}

int disk_list(const char *pattern, struct disk **ret, size_t *ret_count, struct err *err) {
    glob_t found = {0};
    int r = glob(pattern, 0, NULL, &found);
    if (r != 0 && r != GLOB_NOMATCH)
        return err_set(err, r == GLOB_NOSPACE ? -ENOMEM : -EIO, "%.160s cannot be looked for", pattern);
    *ret_count = 0;
    *ret = mem_array(found.gl_pathc + 1, sizeof **ret);
    if (!*ret) {
        globfree(&found);
        return err_set(err, -ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct disk disk = {0};
        bool known = !describe(found.gl_pathv[i], &disk);
        for (size_t k = 0; k < *ret_count && !known; k++)
            known = str_eq((*ret)[k].identity, disk.identity);
        if (!known)
            (*ret)[(*ret_count)++] = disk;
    }
    globfree(&found);
    qsort(*ret, *ret_count, sizeof **ret, by_path);
    return 0;
}

// ---- looked at ----

static bool is_zero(const char *bytes, size_t len) {
    return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

static int check_edges(const struct disk *disk, int fd, struct err *err) {
    char *buffer cleanup_free = mem_alloc(EDGE);
    if (!buffer)
        return err_set(err, -ENOMEM, "out of memory");
    size_t len = disk->bytes < (int64_t)EDGE ? (size_t)disk->bytes : EDGE;
    const off_t offsets[] = {0, (off_t)(disk->bytes - (int64_t)len)};
    for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
        ssize_t n = pread(fd, buffer, len, offsets[i]);
        if (n != (ssize_t)len)
            return err_set(err, -EIO, "%s cannot be read: %s", disk->path, n < 0 ? err_name(errno) : "it ends early");
        if (!is_zero(buffer, len))
            return err_set(err, -ENOTEMPTY, "%s is not blank; clear it by blkdiscard or 'dd' if nobody needs its data",
                           disk->path);
    }
    return 0;
}

int disk_check_blank(const struct disk *disk, struct err *err) {
    char found[FILESYSTEM_TYPE_SIZE];
    int read_only = 0;
    int fd cleanup_close = open(disk->path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(err, -errno, "%s: %s", disk->path, errno == EBUSY ? "it is in use" : err_name(errno));
    if (ioctl(fd, BLKROGET, &read_only) < 0 || read_only)
        return err_set(err, -EROFS, "%s is read-only", disk->path);
    int r = filesystem_probe(disk->path, found, err);
    if (r < 0)
        return r == -EBUSY ? err_set(err, -ENOTEMPTY, "%s holds several file systems", disk->path) : r;
    if (found[0])
        return err_set(err, -ENOTEMPTY, "%s holds '%s'; wipe it by wipefs if nobody needs it", disk->path, found);
    return check_edges(disk, fd, err);
}

// ---- written ----

int disk_erase(const struct disk *disk, int64_t *at, int64_t deadline_ns, struct err *err) {
    int fd cleanup_close = open(disk->path, O_RDWR | O_EXCL | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(err, -errno, "%s: %s", disk->path, errno == EBUSY ? "it is in use" : err_name(errno));
    while (*at < disk->bytes) {
        if (clock_monotonic(&clock_system) >= deadline_ns)
            return err_set(err, -ETIMEDOUT, "%s is being erased, %lld of %lld MiB; ask again", disk->path,
                           (long long)(*at >> 20), (long long)(disk->bytes >> 20));
        int64_t left = disk->bytes - *at;
        uint64_t range[2] = {(uint64_t)*at, (uint64_t)(left < ERASE_STEP ? left : ERASE_STEP)};
        if (ioctl(fd, BLKZEROOUT, range) < 0)
            return err_set(err, -errno, "%s cannot be erased: %s", disk->path, err_name(errno));
        *at += (int64_t)range[1];
    }
    return fsync(fd) < 0 ? err_set(err, -errno, "%s cannot be erased: %s", disk->path, err_name(errno)) : 0;
}

static int copy_block(int from, int to, char *buffer, size_t len, off_t at) {
    ssize_t n = pread(from, buffer, len, at);
    if (n != (ssize_t)len)
        return n < 0 ? -errno : -EIO;
    if (is_zero(buffer, len))
        return 0;
    n = pwrite(to, buffer, len, at);
    return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EIO;
}

int disk_copy(const struct disk *from, const struct disk *to, int64_t deadline_ns, const atomic_bool *cancel,
              struct err *err) {
    char *memory cleanup_free = mem_alloc(COPY_BUFFER + ALIGNMENT);
    // Past the page cache, which may hold what the device had before its file system wrote.
    int in cleanup_close = open(from->path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    int out cleanup_close = open(to->path, O_RDWR | O_EXCL | O_CLOEXEC);
    if (!memory)
        return err_set(err, -ENOMEM, "out of memory");
    char *buffer = memory + (ALIGNMENT - (uintptr_t)memory % ALIGNMENT);
    if (in < 0 || out < 0)
        return err_set(err, -errno, "%s: %s", in < 0 ? from->path : to->path, err_name(errno));
    int r = 0;
    for (int64_t at = 0; r == 0 && at < from->bytes; at += (int64_t)COPY_BUFFER) {
        int64_t left = from->bytes - at;
        if (clock_monotonic(&clock_system) >= deadline_ns)
            return err_set(err, -ETIMEDOUT, "copying %s takes longer than it may", from->path);
        if (cancel && atomic_load(cancel))
            return err_set(err, -ECANCELED, "copying %s was cancelled", from->path);
        r = copy_block(in, out, buffer, left < (int64_t)COPY_BUFFER ? (size_t)left : COPY_BUFFER, at);
    }
    if (r == 0 && fsync(out) < 0)
        r = -errno;
    return r < 0 ? err_set(err, r, "copying %s to %s: %s", from->path, to->path, err_name(r)) : 0;
}
