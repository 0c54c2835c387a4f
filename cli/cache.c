// SPDX-License-Identifier: Apache-2.0
#include "cli/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "cli/output.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/cache/control.h"

#define FS_TYPE "fuse.stowage"
#define TEXT_MAX 32 // of a name after CACHE_XATTR

// ---- asking and telling

static int failure(const char *path, const char *what, int error, struct err *err) {
    switch (error) {
    case EOPNOTSUPP:
    case ENOSYS:
    case ENOTTY:
        return err_set(err, -EOPNOTSUPP,
                       "'%.120s' is not on a cached volume: give a path where a volume with a node group is mounted",
                       path);
    case EPERM:
        return err_set(err, -EPERM, "only the owner of '%.120s' and root may do this", path);
    case EROFS:
    case EACCES:
        return err_set(err, -EACCES, "'%.120s' may not be read or written by you: do this as its owner or as root",
                       path);
    case ENODATA:
        return err_set(err, -ENODATA, "no %s was started at '%.120s'; give the path that it was started with",
                       str_eq(what, "warm") ? "warm-up" : what, path);
    case EAGAIN:
        return err_set(err, -EAGAIN, "the volume of '%.120s' is busy with hundreds of these; wait for some to end",
                       path);
    case ENOTCONN:
        return err_set(err, -ENOTCONN, "the daemon of the mount at '%.120s' has ended; mount the volume again", path);
    case EIO:
        return err_set(err, -EIO, "%s of '%.120s' failed; stowage-cachefs has the reason in its log", what, path);
    default:
        return err_set(err, -error, "'%.120s': %s", path, err_name(error));
    }
}

int cache_ask(const char *path, const char *what, struct json **ret, struct err *err) {
    char name[sizeof CACHE_XATTR + TEXT_MAX];
    char *text cleanup_free = mem_alloc(CACHE_XATTR_MAX);
    if (!text)
        return err_set(err, -ENOMEM, "out of memory");
    (void)snprintf(name, sizeof name, "%s%s", CACHE_XATTR, what);
    ssize_t n = getxattr(path, name, text, CACHE_XATTR_MAX);
    if (n < 0 && errno == ENODATA)
        return err_set(err, -ENODATA, "nothing was started at '%.120s'", path);
    if (n < 0)
        return failure(path, what, errno, err);
    return json_parse(text, (size_t)n, CACHE_XATTR_MAX, ret, err);
}

// For mounts that take no attributes, and files that their owner may only read.
static int tell_by_ioctl(const char *path, const char *what, const char *value) {
    struct cache_tell tell;
    int fd cleanup_close = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    (void)snprintf(tell.text, sizeof tell.text, "%s=%s", what, value);
    return ioctl(fd, CACHE_IOC_TELL, &tell) < 0 ? -errno : 0;
}

int cache_tell(const char *path, const char *what, const char *value, struct err *err) {
    char name[sizeof CACHE_XATTR + TEXT_MAX];
    (void)snprintf(name, sizeof name, "%s%s", CACHE_XATTR, what);
    int r = setxattr(path, name, value, strlen(value), 0) < 0 ? -errno : 0;
    if (r == -EROFS || r == -EACCES)
        r = tell_by_ioctl(path, what, value);
    return r < 0 ? failure(path, what, -r, err) : 0;
}

// ---- where

static bool is_first_of_volume(struct json *seen, const char *volume) {
    for (size_t i = 0; i < json_length(seen); i++)
        if (str_eq(json_text(json_at(seen, i)), volume))
            return false;
    (void)json_append_text(seen, volume);
    return true;
}

int cache_each_mount(int (*fn)(const char *path, const struct json *status, void *arg), void *arg) {
    struct json *seen cleanup(json_freep) = json_array_new(); // pods have the mounts of their volumes as well
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    struct mntent *entry;
    int r = 0;
    while (mounts && seen && r == 0 && (entry = getmntent(mounts))) {
        struct json *status cleanup(json_freep) = NULL;
        if (str_eq(entry->mnt_type, FS_TYPE) && cache_ask(entry->mnt_dir, "status", &status, NULL) == 0 &&
            is_first_of_volume(seen, json_get_text(status, "volume")))
            r = fn(entry->mnt_dir, status, arg);
    }
    if (mounts)
        (void)endmntent(mounts);
    return r;
}

struct wanted {
    const char *volume;
    char *path;
};

static int is_wanted(const char *path, const struct json *status, void *arg) {
    struct wanted *wanted = arg;
    if (!str_eq(json_get_text(status, "volume"), wanted->volume))
        return 0;
    wanted->path = mem_strdup(path);
    return 1;
}

static int find_root(const char *what, char **ret, struct err *err) {
    struct stat st;
    struct wanted wanted = {.volume = what};
    if (strchr(what, '/') || lstat(what, &st) == 0) {
        *ret = mem_strdup(what);
        return *ret ? 0 : err_set(err, -ENOMEM, "out of memory");
    }
    (void)cache_each_mount(is_wanted, &wanted);
    *ret = wanted.path;
    return *ret
               ? 0
               : err_set(
                     err, -ENOENT,
                     "'%.80s' is neither a path nor a cached volume that is mounted here; `stowage cache status` lists "
                     "those",
                     what);
}

int cache_find(const struct cli *cli, char **ret, struct err *err) {
    char *root cleanup_free = NULL;
    int r = find_root(cli->argv[0], &root, err);
    if (r < 0)
        return r;
    *ret = cli->options.inside ? mem_printf("%s/%s", root, cli->options.inside) : take_ptr(root);
    return *ret ? 0 : err_set(err, -ENOMEM, "out of memory");
}

// ---- words

const char *cache_bytes(const struct json *object, const char *key, char buf[static 24]) {
    str_from_bytes(json_get_int(object, key, 0), buf);
    return buf;
}

void cache_describe_work(const struct json *work, char *buf, size_t size) {
    char done[24], all[24];
    int64_t files = json_get_int(work, "files", 0);
    bool counted = json_get_bool(work, "counted", false);
    (void)snprintf(buf, size, "%" PRId64 " of %" PRId64 "%s files, %s of %s%s", json_get_int(work, "files_done", 0),
                   files, counted ? "" : "+", cache_bytes(work, "bytes_done", done), cache_bytes(work, "bytes", all),
                   counted ? "" : "+");
}

static int print_done(const struct cache_words *words, const struct json *work, struct err *err) {
    char bytes[24];
    int64_t skipped = json_get_int(work, "skipped", 0), errors = json_get_int(work, "errors", 0);
    (void)printf("%s: %" PRId64 " files, %s\n", words->done, json_get_int(work, "files_done", 0),
                 cache_bytes(work, "bytes_done", bytes));
    if (skipped && words->skipped)
        (void)printf("%s: %" PRId64 " files\n", words->skipped, skipped);
    return errors ? err_set(err, -EIO, "%" PRId64 " failed; the last: %s", errors, json_get_text(work, "error")) : 0;
}

int cache_do(struct cli *cli, const struct cache_words *words, struct err *err) {
    char *path cleanup_free = NULL;
    struct json *work cleanup(json_freep) = NULL;
    int r = cache_find(cli, &path, err);
    if (r == 0)
        r = cache_tell(path, words->what, words->value, err);
    if (r == 0)
        r = cache_ask(path, words->what, &work, err);
    if (r < 0)
        return r;
    return cli->options.json ? output_json(work, err) : print_done(words, work, err);
}
