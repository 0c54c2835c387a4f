// SPDX-License-Identifier: Apache-2.0
// The files of objects: objects/EPOCH/SHARD/NUMBER. EPOCH counts openings of the store, so a name is never used twice and
// a file of an earlier epoch that no row knows can only be left from a crash.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/base/log.h"
#include "sidecar/engine/sqlite/object.h"

#define NUMBER_BITS 40
#define SHARD_BITS 10 // files a folder: 1024
#define STEP 256

static void folder_path(int64_t file, char ret[static 64]) {
    int64_t number = file & ((INT64_C(1) << NUMBER_BITS) - 1);
    (void)snprintf(ret, 64, "%lld/%lld", (long long)(file >> NUMBER_BITS), (long long)(number >> SHARD_BITS));
}

void object_file_path(int64_t file, char ret[static 64]) {
    char folder[64];
    folder_path(file, folder);
    (void)snprintf(ret, 64, "%.40s/%lld", folder, (long long)(file & ((INT64_C(1) << NUMBER_BITS) - 1)));
}

// Under the lock, so that whoever makes a file in the new folder finds it unsynced.
static void make_folder(struct store *s, const char *path) {
    LOCK_SCOPE(&s->new_folders.lock);
    s->new_folders.unsynced = mkdirat(s->objects_fd, path, 0700) == 0 || s->new_folders.unsynced;
}

static int sync_folder(int at, const char *path) {
    int fd cleanup_close = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int object_file_create(struct store *s, int64_t *ret_file, int *ret_fd, struct err *err) {
    int64_t file = s->epoch << NUMBER_BITS | atomic_fetch_add(&s->next_file, 1);
    char folder[64], path[64];
    folder_path(file, folder);
    object_file_path(file, path);
    int fd = -1;
    for (int tries = 0; tries < 10 && fd < 0; tries++) { // an emptied folder may be removed under our hands
        fd = openat(s->objects_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd >= 0 || errno != ENOENT)
            break;
        make_folder(s, folder); // a failure is that of the next openat
    }
    if (fd < 0) {
        int r = errno == ENOSPC || errno == EDQUOT ? -ENOSPC : errno == EMFILE ? -EMFILE : -EIO;
        return err_set(err, r, "cannot make %s/objects/%s: %s", s->folder, path, err_name(errno));
    }
    *ret_file = file;
    *ret_fd = fd;
    return 0;
}

static int sync_new_folders(struct store *s) {
    char epoch[24];
    (void)snprintf(epoch, sizeof epoch, "%lld", (long long)s->epoch);
    LOCK_SCOPE(&s->new_folders.lock);
    int r = s->new_folders.unsynced ? sync_folder(s->objects_fd, epoch) : 0;
    s->new_folders.unsynced = s->new_folders.unsynced && r < 0;
    return r;
}

int object_file_sync_folder(struct store *s, int64_t file, struct err *err) {
    char folder[64];
    folder_path(file, folder);
    int r = sync_folder(s->objects_fd, folder);
    if (r == 0)
        r = sync_new_folders(s);
    return r < 0 ? err_set(err, r == -ENOSPC ? r : -EIO, "cannot bring the object to the disk: %s", err_name(r)) : 0;
}

void object_file_remove(struct store *s, int64_t file) {
    char path[64], folder[64];
    object_file_path(file, path);
    folder_path(file, folder);
    if (unlinkat(s->objects_fd, path, 0) < 0 && errno != ENOENT)
        log_warning("a file that no object needs stays", LOG_S("file", path), LOG_S("error", err_name(errno)));
    int64_t current = atomic_load(&s->next_file) | s->epoch << NUMBER_BITS;
    if (file >> SHARD_BITS != current >> SHARD_BITS)
        (void)unlinkat(s->objects_fd, folder, AT_REMOVEDIR); // when it is empty
}

// ---- garbage ----

struct files {
    int64_t files[STEP];
    size_t count;
};

static int forget_apply(void *self, struct engine_call *call) {
    struct store *s = self;
    const struct files *gone = call->arg;
    int r = 0;
    for (size_t i = 0; r == 0 && i < gone->count; i++)
        r = db_run(&s->writer.db, &call->err, SQL_GARBAGE_REMOVE, "i", gone->files[i]);
    return r;
}

static int list_garbage(struct store *s, struct files *ret) {
    struct reader *reader cleanup_reader = reader_get(s);
    sqlite3_stmt *q cleanup_reset = db_bind(&reader->db, SQL_GARBAGE_LIST, "");
    int r;
    ret->count = 0;
    while (ret->count < STEP && (r = db_step(&reader->db, q, NULL)) > 0)
        ret->files[ret->count++] = db_int(q, 0);
    return ret->count > 0;
}

// False: there is no more, or it cannot be done now.
static bool remove_some(struct store *s) {
    struct files found;
    if (atomic_load(&s->closing) || atomic_load(&s->holds) > 0 || !list_garbage(s, &found))
        return false;
    for (size_t i = 0; i < found.count; i++)
        object_file_remove(s, found.files[i]);
    return writer_run(s, forget_apply, &found, "", NULL) == 0;
}

// Every file of an unclean epoch that no row knows is left from a crash.
static void sweep_folder(struct store *s, const char *path, int64_t epoch) {
    int fd = openat(s->objects_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return;
    for (const struct dirent *entry; !atomic_load(&s->closing) && (entry = readdir(dir));) {
        int64_t number;
        if (str_to_i64(entry->d_name, 0, (INT64_C(1) << NUMBER_BITS) - 1, &number) < 0)
            continue;
        int64_t file = epoch << NUMBER_BITS | number;
        struct reader *reader cleanup_reader = reader_get(s);
        sqlite3_stmt *q cleanup_reset = db_bind(&reader->db, SQL_OBJECT_OF_FILE, "i", file);
        if (db_step(&reader->db, q, NULL) == 0) // not on an error
            object_file_remove(s, file);
    }
    (void)closedir(dir);
}

static void sweep_epoch(struct store *s, int64_t epoch) {
    char path[64];
    (void)snprintf(path, sizeof path, "%lld", (long long)epoch);
    int fd = openat(s->objects_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        char folder[64];
        (void)snprintf(folder, sizeof folder, "%.24s/%.30s", path, entry->d_name);
        sweep_folder(s, folder, epoch);
        (void)unlinkat(s->objects_fd, folder, AT_REMOVEDIR);
    }
    (void)closedir(dir);
    (void)unlinkat(s->objects_fd, path, AT_REMOVEDIR);
}

static int clean_apply(void *self, struct engine_call *call) {
    struct store *s = self;
    return db_run(&s->writer.db, &call->err, SQL_META_SET, "ti", "clean", s->epoch);
}

static void sweep(struct store *s) {
    int64_t from = s->clean;
    for (int64_t epoch = from; epoch < s->epoch && !atomic_load(&s->closing); epoch++)
        sweep_epoch(s, epoch);
    if (from < s->epoch && !atomic_load(&s->closing))
        (void)writer_run(s, clean_apply, NULL, "", NULL);
    s->clean = s->epoch;
}

static void garbage_run(struct work *work) {
    struct store *s = (struct store *)(void *)((char *)work - offsetof(struct store, garbage_work));
    sweep(s);
    while (remove_some(s))
        ;
    atomic_store(&s->garbage_busy, false);
}

void object_garbage(struct store *s) {
    if (atomic_load(&s->holds) > 0 || atomic_exchange(&s->garbage_busy, true))
        return; // looked at again after the next commit
    s->garbage_work.run = garbage_run;
    if (workq_push(s->workers, &s->garbage_work) == 0)
        s->writer.garbage = false;
    else
        atomic_store(&s->garbage_busy, false);
}

// ---- open ----

int object_files_open(struct store *s, struct err *err) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/objects", s->folder);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return err_set(err, -errno, "cannot make %s: %s", path, err_name(errno));
    s->objects_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->objects_fd < 0)
        return err_set(err, -errno, "cannot open %s: %s", path, err_name(errno));
    (void)snprintf(path, sizeof path, "%lld", (long long)s->epoch);
    int r = mkdirat(s->objects_fd, path, 0700) < 0 && errno != EEXIST ? -errno : sync_folder(s->objects_fd, ".");
    return r < 0 ? err_set(err, r, "cannot make %s/objects/%s: %s", s->folder, path, err_name(r)) : 0;
}

void object_files_close(struct store *s) {
    if (s->objects_fd >= 0)
        (void)close(s->objects_fd);
    s->objects_fd = -1;
}
