// SPDX-License-Identifier: Apache-2.0
// Backups: the database as of one commit, and every file it needs. Also the way back.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "sidecar/engine/sqlite/sqlite.h"
#include "sidecar/engine/sqlite/store.h"

static int failed(struct err *err, const char *what, const char *path) {
    int code = errno == ENOSPC || errno == EDQUOT ? -ENOSPC : errno ? -errno : -EIO;
    return err_set(err, code, "cannot %s %s: %s", what, path, err_name(code));
}

static int sync_path(const char *path, struct err *err) {
    int fd cleanup_close = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? failed(err, "sync", path) : 0;
}

static int copy_bytes(int from, int to) {
    for (;;) {
        ssize_t n = copy_file_range(from, NULL, to, NULL, (size_t)1 << 30, 0);
        if (n <= 0)
            return n == 0 ? 0 : -errno;
    }
}

static int copy_by_hand(int from, int to) {
    char buffer[65536];
    for (ssize_t n; (n = read(from, buffer, sizeof buffer)) != 0;) {
        if (n < 0)
            return -errno;
        for (ssize_t done = 0, w; done < n; done += w)
            if ((w = write(to, buffer + done, (size_t)(n - done))) < 0)
                return -errno;
    }
    return 0;
}

static int copy_file(int from_at, const char *from_path, int to_at, const char *to_path, struct err *err) {
    int from cleanup_close = openat(from_at, from_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int to cleanup_close = openat(to_at, to_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (from < 0 || to < 0)
        return failed(err, from < 0 ? "open" : "make", from < 0 ? from_path : to_path);
    int r = copy_bytes(from, to);
    if (r == -EXDEV || r == -EINVAL || r == -EOPNOTSUPP)
        r = copy_by_hand(from, to); // from where the copy stopped: both offsets have moved together
    errno = -r;
    return r < 0 || fsync(to) < 0 ? failed(err, "copy", from_path) : 0;
}

// Files of objects never change, so a link is a copy.
static int link_file(int from_at, int to_at, int64_t file, struct err *err) {
    char path[64], folder[64];
    object_file_path(file, path);
    (void)snprintf(folder, sizeof folder, "%s", path);
    for (char *slash = strchr(folder, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdirat(to_at, folder, 0700) < 0 && errno != EEXIST)
            return failed(err, "make", folder);
        *slash = '/';
    }
    if (linkat(from_at, path, to_at, path, 0) == 0)
        return 0;
    return errno == EXDEV || errno == EPERM || errno == EMLINK ? copy_file(from_at, path, to_at, path, err)
                                                               : failed(err, "link", path);
}

// Every file the database at `db` knows, from one folder to another.
static int link_files(struct db *db, int from_at, const char *target, struct err *err) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/objects", target);
    if (mkdir(path, 0700) < 0)
        return failed(err, "make", path);
    int to_at cleanup_close = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (to_at < 0)
        return failed(err, "open", path);
    sqlite3_stmt *q cleanup_reset = db_bind(db, SQL_OBJECT_ALL_FILES, "");
    int r;
    while ((r = db_step(db, q, err)) > 0)
        if ((r = link_file(from_at, to_at, db_int(q, 0), err)) < 0)
            return r;
    return r < 0 || syncfs(to_at) == 0 ? r : failed(err, "sync", path);
}

static void remove_tree(int at, const char *name) {
    if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
        return;
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return;
    for (const struct dirent *entry; (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            remove_tree(fd, entry->d_name);
    (void)closedir(dir);
    (void)unlinkat(at, name, AT_REMOVEDIR);
}

static int copy_database(struct db *from, struct db *to, struct err *err) {
    sqlite3_backup *backup = sqlite3_backup_init(to->handle, "main", from->handle, "main");
    if (!backup)
        return db_error(to, sqlite3_extended_errcode(to->handle), err);
    (void)sqlite3_backup_step(backup, -1); // in one go: as of one commit; writers go on meanwhile
    int rc = sqlite3_backup_finish(backup);
    return rc == SQLITE_OK ? 0 : db_error(to, rc, err);
}

// Into `partial`, which is there and empty.
static int fill(struct db *from, int objects_fd, const char *partial, struct err *err) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/store.db", partial);
    struct db copy;
    int r = db_open(path, 1024, &copy, err);
    if (r < 0)
        return r;
    r = copy_database(from, &copy, err);
    if (r == 0)
        r = link_files(&copy, objects_fd, partial, err);
    db_close(&copy);
    if (r == 0)
        r = sync_path(path, err);
    return r < 0 ? r : sync_path(partial, err);
}

// Makes `target` complete or not at all.
static int make_copy(struct db *from, int objects_fd, const char *target, struct err *err) {
    char *partial cleanup_free = mem_printf("%s.partial", target);
    if (!partial)
        return err_set(err, -ENOMEM, "no memory for a path");
    remove_tree(AT_FDCWD, partial);
    if (mkdir(partial, 0700) < 0)
        return failed(err, "make", partial);
    int r = fill(from, objects_fd, partial, err);
    if (r == 0 && rename(partial, target) < 0)
        r = failed(err, "make", target);
    if (r < 0) {
        remove_tree(AT_FDCWD, partial);
        return r;
    }
    char *parent cleanup_free = mem_printf("%s/..", target);
    return parent ? sync_path(parent, err) : err_set(err, -ENOMEM, "no memory for a path");
}

static int back_up(struct store *s, const char *target, struct err *err) {
    struct stat st;
    if (lstat(target, &st) == 0)
        return err_set(err, -EEXIST, "%s is there already: name a new folder for the backup", target);
    struct db from;
    int r = db_open(s->db_path, 1024, &from, err);
    if (r < 0)
        return r;
    (void)atomic_fetch_add(&s->holds, 1);
    r = make_copy(&from, s->objects_fd, target, err);
    (void)atomic_fetch_sub(&s->holds, 1);
    db_close(&from);
    return r < 0 ? err_wrap(err, r, "the backup failed") : 0;
}

int sqlite_engine_backup(const struct engine *engine, const char *target, struct err *err) {
    struct store *s = engine->self;
    // Two of one name would write to the same partial folder, and remove it under each other.
    if (atomic_exchange(&s->backing_up, true))
        return err_set(err, -EBUSY, "another backup is being made: ask again when it is complete");
    int r = back_up(s, target, err);
    atomic_store(&s->backing_up, false);
    sqlite_engine_poke(engine); // files that were kept for the backup may go
    return r;
}

int sqlite_engine_restore(const char *backup, const char *folder, struct err *err) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/store.db", backup);
    if (access(path, R_OK) < 0)
        return err_set(err, -ENOENT, "%s is no backup: it has no readable store.db", backup);
    if (rmdir(folder) < 0 && errno != ENOENT)
        return err_set(err, -errno, "%s must be empty to be restored to: %s", folder, err_name(errno));
    struct db from;
    int r = db_open(path, 1024, &from, err);
    if (r < 0)
        return r;
    (void)snprintf(path, sizeof path, "%s/objects", backup);
    int objects cleanup_close = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (objects < 0)
        r = failed(err, "open", path);
    if (r == 0)
        r = db_check(&from, backup, err);
    if (r == 0)
        r = make_copy(&from, objects, folder, err);
    db_close(&from);
    return r;
}
