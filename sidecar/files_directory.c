// SPDX-License-Identifier: Apache-2.0
#include "sidecar/files_directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

#define ENTRIES_MAX 1000000 // of one directory, so that a list cannot take all memory

const char directory_hidden[] = ".stowage-upload-";

int directory_error(int code, const char *path, struct err *err) {
    if (code == -EXDEV || code == -ELOOP) // RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS
        return err_set(err, -EACCES, "'/%.150s' leads out of the file system by a link", path);
    return err_set(err, code, "'/%.150s': %s", path, err_name(code));
}

int directory_open_at(const struct directory *dir, const char *path, int flags, unsigned mode, int *ret,
                      struct err *err) {
    struct open_how how = {
        .flags = (unsigned)flags | O_CLOEXEC, .mode = mode, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd = -1;
    for (int tries = 0; tries < 100; tries++) { // -EAGAIN: something was renamed while the kernel walked
        fd = syscall(SYS_openat2, dir->fd, *path ? path : ".", &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    if (fd < 0)
        return directory_error(-errno, path, err);
    *ret = (int)fd;
    return 0;
}

int directory_open_parent(const struct directory *dir, const char *path, int *ret, const char **ret_name,
                          struct err *err) {
    const char *slash = strrchr(path, '/');
    if (!*path)
        return err_set(err, -EINVAL, "the root of the file system stays as it is");
    char *parent cleanup_free = mem_strndup(path, slash ? (size_t)(slash - path) : 0);
    if (!parent)
        return err_set(err, -ENOMEM, "out of memory");
    *ret_name = slash ? slash + 1 : path;
    return directory_open_at(dir, parent, O_PATH | O_DIRECTORY, 0, ret, err);
}

static void fill_entry(const struct stat *st, struct file_entry *ret) {
    ret->is_directory = S_ISDIR(st->st_mode);
    ret->size = st->st_size;
    ret->modified_ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
}

static int directory_stat(void *self, const char *path, struct file_entry *ret, struct err *err) {
    int fd cleanup_close = -1;
    struct stat st;
    int r = directory_open_at(self, path, O_PATH, 0, &fd, err);
    if (r == 0 && fstat(fd, &st) < 0)
        r = directory_error(-errno, path, err);
    if (r < 0)
        return r;
    *ret = (struct file_entry){0};
    fill_entry(&st, ret);
    return 0;
}

// ---- listing ----

// What a link leads to, if that is inside; else `st` stays the link's own.
static void look_through(const struct directory *dir, const char *path, const char *name, struct stat *st) {
    char *link cleanup_free = mem_printf("%s%s%s", path, *path ? "/" : "", name);
    int fd cleanup_close = -1;
    struct stat target;
    struct err err = ERR_NONE;
    if (link && directory_open_at(dir, link, O_PATH, 0, &fd, &err) == 0 && fstat(fd, &target) == 0)
        *st = target;
}

static int add_entry(const struct directory *dir, const char *path, int dir_fd, const char *name,
                     struct file_list *list, size_t *cap) {
    struct stat st;
    if (str_eq(name, ".") || str_eq(name, "..") || str_starts(name, directory_hidden) ||
        !str_is_utf8(name, strlen(name)))
        return 0;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0; // removed meanwhile
    if (S_ISLNK(st.st_mode))
        look_through(dir, path, name, &st);
    if (list->count == ENTRIES_MAX)
        return -E2BIG;
    if (list->count == *cap) {
        size_t grown_cap = *cap ? *cap * 2 : 64;
        struct file_entry *grown = mem_realloc(list->items, grown_cap, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        list->items = grown;
        *cap = grown_cap;
    }
    struct file_entry entry = {.name = mem_strdup(name)};
    if (!entry.name)
        return -ENOMEM;
    fill_entry(&st, &entry);
    list->items[list->count++] = entry;
    return 0;
}

static int compare_entries(const void *a, const void *b) {
    return strcmp(((const struct file_entry *)a)->name, ((const struct file_entry *)b)->name);
}

static void close_dirp(DIR **dir) {
    if (*dir)
        (void)closedir(*dir);
}

static int directory_list(void *self, const char *path, struct file_list *ret, struct err *err) {
    struct file_list list cleanup(file_list_done) = {0};
    int fd cleanup_close = -1;
    size_t cap = 0;
    int r = directory_open_at(self, path, O_RDONLY | O_DIRECTORY, 0, &fd, err);
    if (r < 0)
        return r;
    DIR *dir cleanup(close_dirp) = fdopendir(fd);
    if (!dir)
        return directory_error(-errno, path, err);
    int dir_fd = take_fd(&fd); // the stream's now
    errno = 0;
    for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
        r = add_entry(self, path, dir_fd, entry->d_name, &list, &cap);
        errno = 0;
    }
    if (r == 0)
        r = -errno;
    if (r < 0)
        return directory_error(r, path, err);
    if (list.count)
        qsort(list.items, list.count, sizeof *list.items, compare_entries);
    *ret = list;
    list = (struct file_list){0};
    return 0;
}

// ---- files and directories ----

// Brings a changed name to the disk. `parent` is open with O_PATH, which cannot be synced.
int directory_sync(int parent, const char *path, struct err *err) {
    int fd cleanup_close = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? directory_error(-errno, path, err) : 0;
}

static int directory_open_file(void *self, const char *path, int *ret_fd, int64_t *ret_size, struct err *err) {
    int fd cleanup_close = -1;
    struct stat st;
    int r = directory_open_at(self, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd, err); // a FIFO is not waited for
    if (r < 0)
        return r;
    if (fstat(fd, &st) < 0)
        return directory_error(-errno, path, err);
    if (!S_ISREG(st.st_mode))
        return err_set(err, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL, "'/%.150s' is no file", path);
    *ret_size = st.st_size;
    *ret_fd = take_fd(&fd);
    return 0;
}

static int make_one(struct directory *dir, const char *path, struct err *err) {
    int parent cleanup_close = -1;
    const char *name;
    int r = directory_open_parent(dir, path, &parent, &name, err);
    if (r < 0)
        return r;
    if (mkdirat(parent, name, 0777) == 0)
        return directory_sync(parent, path, err);
    if (errno != EEXIST)
        return directory_error(-errno, path, err);
    struct file_entry entry;
    r = directory_stat(dir, path, &entry, err);
    return r < 0 || entry.is_directory ? r : err_set(err, -EEXIST, "'/%.150s' is a file", path);
}

static int directory_make(void *self, const char *path, struct err *err) {
    char *partial cleanup_free = mem_strdup(path);
    int r = partial ? 0 : err_set(err, -ENOMEM, "out of memory");
    for (char *slash = partial; r == 0 && *partial && slash;) {
        slash = strchr(slash, '/');
        if (slash)
            *slash = '\0';
        r = make_one(self, partial, err);
        if (slash)
            *slash++ = '/';
    }
    return r;
}

static int directory_remove(void *self, const char *path, bool recursive, struct err *err) {
    int parent cleanup_close = -1;
    const char *name;
    int r = directory_open_parent(self, path, &parent, &name, err);
    if (r < 0)
        return r;
    if (unlinkat(parent, name, 0) == 0)
        return directory_sync(parent, path, err);
    if (errno != EISDIR)
        return directory_error(-errno, path, err);
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0)
        return directory_sync(parent, path, err);
    if (errno != ENOTEMPTY && errno != EEXIST)
        return directory_error(-errno, path, err);
    if (!recursive)
        return err_set(err, -ENOTEMPTY, "the directory '/%.150s' is not empty; removeall=true removes what is in it",
                       path);
    r = directory_remove_tree(parent, name, err);
    return r < 0 ? r : directory_sync(parent, path, err);
}

static int directory_total(void *self, int64_t deadline_ns, int64_t *ret_bytes, struct err *err) {
    const struct directory *dir = self;
    struct statvfs vfs;
    int r = directory_usage(dir->fd, deadline_ns, ret_bytes);
    if (r != -ETIMEDOUT)
        return r < 0 ? directory_error(r, "", err) : 0;
    // Too much to count in the time: what is used of the disk or share it lies on.
    if (fstatvfs(dir->fd, &vfs) < 0)
        return directory_error(-errno, "", err);
    *ret_bytes = (int64_t)((vfs.f_blocks - vfs.f_bfree) * vfs.f_frsize);
    return 0;
}

static void directory_close(void *self) {
    struct directory *dir = self;
    (void)close(dir->fd);
    free(dir);
}

int file_directory_open(const char *path, struct file_system *ret, struct err *err) {
    static const struct file_ops ops = {
        .stat = directory_stat,
        .list = directory_list,
        .open = directory_open_file,
        .make_directory = directory_make,
        .remove = directory_remove,
        .usage = directory_total,
        .upload = directory_upload,
        .upload_write = directory_upload_write,
        .upload_commit = directory_upload_commit,
        .upload_cancel = directory_upload_cancel,
        .close = directory_close,
    };
    struct directory *dir cleanup_free = mem_zalloc(sizeof *dir);
    if (!dir)
        return err_set(err, -ENOMEM, "out of memory");
    dir->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0)
        return err_set(err, -errno, "cannot serve the directory %.150s: %s", path, err_name(errno));
    ret->ops = &ops;
    ret->self = take_ptr(dir);
    return 0;
}
