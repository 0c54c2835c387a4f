// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cache_crash.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "lib/base/mem.h"
#include "lib/cache/cache.h"
#include "tests/support/cm.h"

uint64_t crash_random(struct crash_disk *disk, uint64_t below) {
    uint64_t x = disk->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    disk->random = x;
    return (x >> 11) % below;
}

// ---- what is remembered

static struct crash_file *find_file(struct crash_disk *disk, int fd) {
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    for (unsigned i = 0; i < disk->file_count; i++)
        if (disk->files[i].ino == st.st_ino)
            return &disk->files[i];
    return NULL;
}

static void take_snapshot(struct crash_disk *disk, struct crash_file *file) {
    unsigned char *copy = mem_zalloc(CRASH_MAP_BYTES);
    assert_non_null(copy);
    (void)pread(file->fd, copy, CRASH_MAP_BYTES, 0);
    unsigned at = file->snapshot_count;
    if (at == CRASH_SNAPSHOTS) {
        at = (unsigned)crash_random(disk, CRASH_SNAPSHOTS);
        free(file->snapshots[at]);
    } else {
        file->snapshot_count++;
    }
    file->snapshots[at] = copy;
}

static void note_record(struct crash_file *file, const void *record) {
    if (file->record_count == CRASH_RECORDS) // the oldest is as good as none
        memmove(file->records[0], file->records[1], sizeof file->records - sizeof file->records[0]);
    else
        file->record_count++;
    memcpy(file->records[file->record_count - 1], record, sizeof file->records[0]);
}

static struct crash_file *add_file(struct crash_disk *disk, int fd, const char *name) {
    assert_true(disk->file_count < CRASH_FILES);
    struct crash_file *file = &disk->files[disk->file_count++];
    struct stat st;
    char path[48], record[48];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    assert_int_equal(fstat(fd, &st), 0);
    *file = (struct crash_file){.ino = st.st_ino, .is_map = strstr(name, ".map") != NULL, .size = (uint64_t)st.st_size};
    file->fd = open(path, O_RDWR | O_CLOEXEC); // a lock of its own, or none: not the object's
    assert_true(file->fd >= 0);
    memset(file->synced, 1, sizeof file->synced);
    if (fgetxattr(fd, CACHE_RECORD_XATTR, record, sizeof record) == sizeof record)
        note_record(file, record);
    return file;
}

static struct crash_name *name_at(struct crash_disk *disk, const char *name) {
    for (unsigned i = 0; i < disk->name_count; i++)
        if (strcmp(disk->names[i].name, name) == 0)
            return &disk->names[i];
    assert_true(disk->name_count < 64);
    struct crash_name *at = &disk->names[disk->name_count++];
    (void)snprintf(at->name, sizeof at->name, "%s", name);
    return at;
}

static void note_name(struct crash_disk *disk, const char *name, struct crash_file *file) {
    struct crash_name *at = name_at(disk, name);
    at->present = true;
    if (at->count && at->files[at->count - 1] == file)
        return;
    if (at->count == 8) {
        memmove(at->files, at->files + 1, sizeof at->files - sizeof at->files[0]);
        at->count--;
    }
    at->files[at->count++] = file;
}

// ---- what the cut leaves

static void leave_block(struct crash_disk *disk, const struct crash_file *file, int to, unsigned block) {
    static unsigned char data[CACHE_BLOCK];
    off_t at = (off_t)block * CACHE_BLOCK;
    ssize_t len = pread(file->fd, data, sizeof data, at);
    if (len <= 0)
        return;
    if (!file->synced[block]) {
        uint64_t luck = crash_random(disk, 3);
        if (luck == 0)
            return;
        if (luck == 1) { // torn
            size_t from = (size_t)crash_random(disk, (uint64_t)len);
            memset(data + from, 0, (size_t)len - from);
        }
    }
    assert_int_equal(pwrite(to, data, (size_t)len, at), len);
}

static void leave_map(struct crash_disk *disk, struct crash_file *file, int to) {
    take_snapshot(disk, file);
    for (unsigned page = 0; page < CRASH_MAP_BYTES / 4096; page++) {
        uint64_t which = crash_random(disk, file->snapshot_count + 1);
        static const unsigned char zeros[4096];
        const unsigned char *from = which < file->snapshot_count ? file->snapshots[which] + 4096 * page : zeros;
        assert_int_equal(pwrite(to, from, 4096, 4096 * (off_t)page), 4096);
    }
}

static void leave_file(struct crash_disk *disk, const char *name, struct crash_file *file) {
    char path[160];
    for (size_t depth = 2; depth <= 5; depth += 3) {
        (void)snprintf(path, sizeof path, "%s/objects/%.*s", disk->after, (int)depth, name);
        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
    }
    (void)snprintf(path, sizeof path, "%s/objects/%s", disk->after, name);
    int to cleanup_close = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(to >= 0);
    struct stat st;
    assert_int_equal(fstat(file->fd, &st), 0);
    assert_int_equal(ftruncate(to, st.st_size), 0);
    if (file->is_map) {
        leave_map(disk, file, to);
        return;
    }
    for (unsigned block = 0; block < CRASH_BLOCKS; block++)
        leave_block(disk, file, to, block);
    // 0: it has none yet. In order: the last.
    uint64_t which = disk->ordered ? file->record_count : crash_random(disk, file->record_count + 1);
    if (which > 0)
        assert_int_equal(fsetxattr(to, CACHE_RECORD_XATTR, file->records[which - 1], 48, 0), 0);
}

void crash_cut(struct crash_disk *disk) {
    if (disk->done)
        return;
    disk->done = true;
    char path[160];
    (void)snprintf(path, sizeof path, "%s/objects", disk->after);
    assert_int_equal(mkdir(path, 0700), 0);
    for (unsigned i = 0; i < disk->name_count; i++) {
        struct crash_name *name = &disk->names[i];
        if (disk->ordered || crash_random(disk, 2)) {
            if (name->present)
                leave_file(disk, name->name, name->files[name->count - 1]);
            continue;
        }
        uint64_t which = crash_random(disk, name->count + 1); // of any moment
        if (which < name->count)
            leave_file(disk, name->name, name->files[which]);
    }
}

// ---- the calls

static void step(struct crash_disk *disk) {
    for (unsigned i = 0; i < disk->file_count; i++)
        if (disk->files[i].is_map && crash_random(disk, 4) == 0)
            take_snapshot(disk, &disk->files[i]);
    if (++disk->calls == disk->cut)
        crash_cut(disk);
}

static int crash_open(void *ctx, int dir_fd, const char *name, int flags) {
    struct crash_disk *disk = ctx;
    step(disk);
    int fd = io_open(&cache_io_system, dir_fd, name, flags);
    if (fd < 0 || !strchr(name, '/'))
        return fd;
    struct crash_file *file = find_file(disk, fd);
    if (!file)
        file = add_file(disk, fd, name);
    note_name(disk, name, file);
    return fd;
}
static int crash_unlink(void *ctx, int dir_fd, const char *name) {
    struct crash_disk *disk = ctx;
    step(disk);
    int r = io_unlink(&cache_io_system, dir_fd, name);
    if (r == 0 && strchr(name, '/'))
        name_at(disk, name)->present = false;
    return r;
}
static int crash_make_dir(void *ctx, int dir_fd, const char *name) {
    step(ctx);
    return io_make_dir(&cache_io_system, dir_fd, name);
}
static int crash_set_size(void *ctx, int fd, uint64_t size) {
    step(ctx);
    return io_set_size(&cache_io_system, fd, size);
}
static int crash_allocate(void *ctx, int fd, uint64_t offset, uint64_t len) {
    step(ctx);
    return io_allocate(&cache_io_system, fd, offset, len);
}
static int crash_write(void *ctx, int fd, const void *data, size_t len, uint64_t offset) {
    struct crash_disk *disk = ctx;
    step(disk);
    struct crash_file *file = find_file(disk, fd);
    assert_non_null(file);
    for (uint64_t block = offset / CACHE_BLOCK; block <= (offset + len - 1) / CACHE_BLOCK; block++)
        file->synced[block] = 0;
    return io_write(&cache_io_system, fd, data, len, offset);
}
static int crash_sync(void *ctx, int fd) {
    struct crash_disk *disk = ctx;
    step(disk);
    struct crash_file *file = find_file(disk, fd);
    if (file)
        memset(file->synced, 1, sizeof file->synced);
    return 0;
}
static int crash_set_record(void *ctx, int fd, const void *record, size_t len) {
    struct crash_disk *disk = ctx;
    step(disk);
    struct crash_file *file = find_file(disk, fd);
    if (file)
        note_record(file, record);
    return io_set_record(&cache_io_system, fd, record, len);
}
static ssize_t crash_get_record(void *ctx, int fd, void *ret, size_t len) {
    step(ctx);
    return io_get_record(&cache_io_system, fd, ret, len);
}
static int crash_stat_fs(void *ctx, int fd, struct statvfs *ret) {
    (void)ctx;
    int r = io_stat_fs(&cache_io_system, fd, ret);
    ret->f_bavail = ret->f_blocks; // as large as it needs to be
    ret->f_files = 0;
    return r;
}
static const struct cache_io_ops crash_ops = {crash_open,       crash_unlink, crash_make_dir, crash_set_size,
                                              crash_allocate,   crash_write,  crash_sync,     crash_set_record,
                                              crash_get_record, crash_stat_fs};

static void adopt(struct crash_disk *disk, const char *dir) {
    char pattern[128];
    (void)snprintf(pattern, sizeof pattern, "%s/objects/*/*/*", dir);
    glob_t found = {0};
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++) {
            const char *name = found.gl_pathv[i] + strlen(dir) + strlen("/objects/");
            int fd cleanup_close = open(found.gl_pathv[i], O_RDWR | O_CLOEXEC);
            assert_true(fd >= 0);
            note_name(disk, name, add_file(disk, fd, name));
        }
    globfree(&found);
}

void crash_start(struct crash_disk *disk, const char *dir, uint64_t seed, uint64_t boot) {
    memset(disk, 0, sizeof *disk);
    disk->io = (struct cache_io){.ops = &crash_ops, .ctx = disk, .boot = boot};
    disk->random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    for (int i = 0; i < 8; i++)
        (void)crash_random(disk, 2);
    adopt(disk, dir);
}

void crash_stop(struct crash_disk *disk) {
    for (unsigned i = 0; i < disk->file_count; i++) {
        struct crash_file *file = &disk->files[i];
        (void)close(file->fd);
        for (unsigned j = 0; j < file->snapshot_count; j++)
            free(file->snapshots[j]);
    }
}
