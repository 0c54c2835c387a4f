// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/local/pool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "node-plugin/path.h"

#define RECORD_MAX (64 * 1024) // bytes
#define SUFFIX ".json"
#define RECORD_NAME_SIZE (HASH_ID_LEN + sizeof SUFFIX)
#define PROBE ".reflink-probe"
#define RETAIN_TRIES 1000U // volumes of one name that are retained

// ---- names ----

bool local_key(const char *id, char ret[static HASH_ID_LEN + 1]) {
    bool kind = id[0] == LOCAL_VOLUME || id[0] == LOCAL_SNAPSHOT || id[0] == LOCAL_GROUP;
    if (!kind || id[1] != '-' || strlen(id) < HASH_ID_LEN + 4 || id[HASH_ID_LEN + 2] != '@')
        return false;
    memcpy(ret, id + 2, HASH_ID_LEN);
    ret[HASH_ID_LEN] = '\0';
    return hash_is_id(ret);
}

const char *local_pool_of(const char *id) {
    char key[HASH_ID_LEN + 1];
    return local_key(id, key) ? id + HASH_ID_LEN + 3 : NULL;
}

static bool is_pool_name(const char *name, size_t len) {
    if (len == 0 || len >= LOCAL_POOL_SIZE)
        return false;
    for (size_t i = 0; i < len; i++) {
        bool plain = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') || name[i] == '-';
        if (!plain)
            return false;
    }
    return name[0] != '-' && name[len - 1] != '-';
}

struct spec { // "NAME=KIND+wipe:PATH", taken apart
    const char *kind, *path;
    size_t name_len, kind_len;
    bool wipe;
};

static bool take_apart(const char *text, struct spec *ret) {
    const char *equals = strchr(text, '='), *colon = equals ? strchr(equals, ':') : NULL;
    if (!colon)
        return false;
    *ret = (struct spec){.kind = equals + 1, .path = colon + 1, .name_len = (size_t)(equals - text)};
    ret->kind_len = (size_t)(colon - ret->kind);
    const char *suffix = "+wipe";
    size_t len = strlen(suffix);
    ret->wipe = ret->kind_len > len && memcmp(colon - len, suffix, len) == 0;
    ret->kind_len -= ret->wipe ? len : 0;
    return true;
}

int local_pool_check(const char *text, struct err *err) {
    struct spec spec;
    if (!take_apart(text, &spec))
        return err_set(err, -EINVAL, "pool '%.120s' is not NAME=KIND:/DIRECTORY", text);
    if (!is_pool_name(text, spec.name_len))
        return err_set(err, -EINVAL, "pool '%.100s': its name must be of a-z, 0-9 and '-', at most %d characters", text,
                       LOCAL_POOL_SIZE - 1);
    const struct allocation *allocation = allocation_named(spec.kind, spec.kind_len);
    if (!allocation || (spec.wipe && !allocation->whole_disks))
        return err_set(err, -EINVAL, "pool '%.120s': its kind must be %s", text, allocation_names());
    if (spec.path[0] != '/')
        return err_set(err, -EINVAL, "pool '%.120s': %s", text,
                       allocation->whole_disks ? "its pattern must begin with '/', as /dev/nvme*n1"
                                               : "its directory must be an absolute path");
    return 0;
}

int local_pool_parse(const char *text, const char *state_dir, struct local_pool **ret, struct err *err) {
    struct spec spec;
    int r = local_pool_check(text, err);
    if (r < 0)
        return r;
    struct local_pool *pool cleanup(local_pool_freep) = mem_zalloc(sizeof *pool);
    if (!pool || !take_apart(text, &spec))
        return err_set(err, -ENOMEM, "out of memory");
    pool->records_fd = pool->data_fd = pool->lock_fd = -1;
    pool->lock = mem_alloc(sizeof *pool->lock);
    if (!pool->lock)
        return err_set(err, -ENOMEM, "out of memory");
    (void)pthread_mutex_init(pool->lock, NULL);
    pool->allocation = allocation_named(spec.kind, spec.kind_len);
    pool->wipe = spec.wipe;
    pool->name = mem_strndup(text, spec.name_len);
    if (pool->name && pool->allocation->whole_disks) {
        pool->pattern = mem_strdup(spec.path);
        pool->directory = mem_printf("%s/pools/%s", state_dir, pool->name);
    } else {
        pool->directory = mem_strdup(spec.path);
    }
    if (!pool->name || !pool->directory || (pool->allocation->whole_disks && !pool->pattern))
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t len = strlen(pool->directory); len > 1 && pool->directory[len - 1] == '/'; len--)
        pool->directory[len - 1] = '\0';
    pool->data = mem_printf("%s/.stowage/data", pool->directory);
    pool->retained = mem_printf("%s/.stowage/retained", pool->directory);
    if (!pool->data || !pool->retained)
        return err_set(err, -ENOMEM, "out of memory");
    *ret = take_ptr(pool);
    return 0;
}

struct local_pool *local_pool_free(struct local_pool *pool) {
    if (pool) {
        const int fds[] = {pool->records_fd, pool->data_fd, pool->lock_fd};
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
            cleanup_closep(&fds[i]);
        free(pool->name);
        free(pool->directory);
        free(pool->data);
        free(pool->retained);
        free(pool->pattern);
        if (pool->lock)
            (void)pthread_mutex_destroy(pool->lock);
        free(pool->lock);
        free(pool);
    }
    return NULL;
}

// ---- opening ----

static int open_folder(int at, const char *name, int *ret) {
    if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
        return -errno;
    *ret = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return *ret < 0 ? -errno : 0;
}

static bool can_reflink(int dir_fd) {
    int from cleanup_close = openat(dir_fd, PROBE, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int to cleanup_close = openat(dir_fd, PROBE "-2", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char block[4096] = {1};
    bool can = from >= 0 && to >= 0 && write(from, block, sizeof block) == (ssize_t)sizeof block &&
               ioctl(to, FICLONE, from) == 0;
    (void)unlinkat(dir_fd, PROBE, 0);
    (void)unlinkat(dir_fd, PROBE "-2", 0);
    return can;
}

static int open_folders(struct local_pool *pool) {
    if (pool->pattern && path_make_tree(pool->directory, &pool->broken) < 0)
        return err_set(&pool->broken, -ENODEV, "%s cannot be made; see --state-dir", pool->directory);
    int top cleanup_close = open(pool->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int own cleanup_close = -1, retained cleanup_close = -1;
    if (top < 0)
        return err_set(&pool->broken, -ENODEV, "directory %s: %s; mount its disk there or make it", pool->directory,
                       err_name(errno));
    int r = open_folder(top, ".stowage", &own);
    if (r == 0)
        r = open_folder(own, "records", &pool->records_fd);
    if (r == 0)
        r = open_folder(own, "data", &pool->data_fd);
    if (r == 0)
        r = open_folder(own, "retained", &retained);
    if (r == 0 && (pool->lock_fd = openat(own, "lock", O_RDONLY | O_CREAT | O_CLOEXEC, 0600)) < 0)
        r = -errno;
    if (r < 0)
        return err_set(&pool->broken, -ENODEV, "%s/.stowage: %s; make it writable", pool->directory, err_name(r));
    if (flock(pool->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return err_set(&pool->broken, -ENODEV, "%s is served by another stowage-node; stop it first", pool->directory);
    pool->reflink = can_reflink(pool->data_fd);
    return pool->allocation->open ? pool->allocation->open(pool, &pool->broken) : 0;
}

static void record_name(const char *key, char ret[static RECORD_NAME_SIZE]) {
    (void)snprintf(ret, RECORD_NAME_SIZE, "%.*s" SUFFIX, HASH_ID_LEN, key);
}

static int read_record(const struct local_pool *pool, const char *name, struct local_record *ret, struct err *err) {
    char *text cleanup_free = NULL;
    struct json *json cleanup(json_freep) = NULL;
    size_t len = 0;
    int r = file_read(pool->records_fd, name, RECORD_MAX, &text, &len);
    if (r < 0)
        return err_set(err, r, "it cannot be read: %s", err_name(r));
    r = json_parse(text, len, RECORD_MAX, &json, err);
    if (r == 0)
        r = local_record_decode(json, ret, err);
    char key[HASH_ID_LEN + 1];
    if (r == 0 && (!local_key(ret->id, key) || !str_starts(name, key) || !str_eq(local_pool_of(ret->id), pool->name)))
        r = err_set(err, -EBADMSG, "it tells of '%.60s', which does not belong here", ret->id);
    return r;
}

int local_pool_each(int folder, int (*fn)(struct local_pool *pool, const char *name, void *arg),
                    struct local_pool *pool, void *arg) {
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        int code = -errno;
        cleanup_closep(&fd);
        return code;
    }
    int r = 0;
    const struct dirent *entry = NULL;
    while (r == 0 && (errno = 0, entry = readdir(dir)))
        r = fn(pool, entry->d_name, arg);
    if (r == 0)
        r = -errno;
    (void)closedir(dir);
    return r;
}

struct taker {
    int (*take)(const struct local_record *record, void *arg);
    void *arg;
};

static int load_one(struct local_pool *pool, const char *name, void *arg) {
    const struct taker *taker = arg;
    struct local_record record;
    struct err err = ERR_NONE;
    size_t len = strlen(name);
    if (len != HASH_ID_LEN + strlen(SUFFIX) || !str_eq(name + HASH_ID_LEN, SUFFIX))
        return name[0] == '.' && len > 2 ? (void)unlinkat(pool->records_fd, name, 0), 0 : 0; // half written
    if (read_record(pool, name, &record, &err) == 0)
        return taker->take(&record, taker->arg);
    log_error("record of a local volume cannot be used; it and its data are left alone", LOG_S("pool", pool->name),
              LOG_S("record", name), LOG_S("reason", err.msg),
              LOG_S("remedy", "restore it, upgrade stowage-node, or move it away to give the volume up"));
    return 0;
}

// Data without any record was never promised to anybody.
static int sweep_one(struct local_pool *pool, const char *name, void *arg) {
    char record[RECORD_NAME_SIZE], key[HASH_ID_LEN + 1];
    (void)arg;
    if (str_starts(name, "..") && name[2] != '\0') { // half of a small file: see lib/base/file.h
        (void)unlinkat(pool->data_fd, name, 0);
        return 0;
    }
    bool unfinished = name[0] == '.' && strlen(name) > HASH_ID_LEN;
    (void)snprintf(key, sizeof key, "%s", unfinished ? name + 1 : name);
    if (!hash_is_id(key) || (!unfinished && strlen(name) != HASH_ID_LEN))
        return 0; // nothing of ours
    record_name(key, record);
    if (!unfinished && faccessat(pool->records_fd, record, F_OK, 0) == 0)
        return 0;
    if (!unfinished && errno != ENOENT)
        return 0; // nobody can tell
    log_warning("data that no record knows is removed", LOG_S("pool", pool->name), LOG_S("file", name));
    pool->allocation->sweep(pool, name);
    return 0;
}

void local_pool_open(struct local_pool *pool, int (*take)(const struct local_record *record, void *arg), void *arg) {
    struct taker taker = {take, arg};
    int r = open_folders(pool);
    if (r == 0)
        r = local_pool_each(pool->records_fd, load_one, pool, &taker);
    if (r == 0)
        r = local_pool_each(pool->data_fd, sweep_one, pool, NULL);
    if (r < 0 && pool->broken.code == 0)
        (void)err_set(&pool->broken, -ENODEV, "%s: %s; repair its disk", pool->directory, err_name(r));
    if (pool->broken.code < 0)
        log_error("local pool cannot be used; its volumes are refused until stowage-node starts again",
                  LOG_S("pool", pool->name), LOG_S("reason", pool->broken.msg));
    else
        log_info("local pool opened", LOG_S("pool", pool->name), LOG_S("kind", pool->allocation->name),
                 LOG_S("place", pool->pattern ? pool->pattern : pool->directory),
                 LOG_S("snapshots", pool->reflink ? "reflink" : "copy"));
}

int local_pool_ready(const struct local_pool *pool, struct err *err) {
    return pool->broken.code < 0 ? err_set(err, -ENODEV, "pool '%s': %.180s", pool->name, pool->broken.msg) : 0;
}

// ---- records and space ----

int local_pool_save(const struct local_pool *pool, const struct local_record *record, struct err *err) {
    char key[HASH_ID_LEN + 1], name[RECORD_NAME_SIZE];
    struct json *json cleanup(json_freep) = local_record_encode(record);
    char *text cleanup_free = json ? json_dump(json, true) : NULL;
    if (!text || !local_key(record->id, key))
        return err_set(err, -ENOMEM, "out of memory");
    record_name(key, name);
    int r = file_replace(pool->records_fd, name, text, strlen(text));
    return r < 0 ? err_set(err, r, "record of '%.60s' in pool '%s': %s", record->id, pool->name, err_name(r)) : 0;
}

bool local_pool_has_record(const struct local_pool *pool, const char *id) {
    char key[HASH_ID_LEN + 1], name[RECORD_NAME_SIZE];
    if (!local_key(id, key))
        return false;
    record_name(key, name);
    return faccessat(pool->records_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

int local_pool_forget(const struct local_pool *pool, const char *id, struct err *err) {
    char key[HASH_ID_LEN + 1], name[RECORD_NAME_SIZE];
    if (!local_key(id, key))
        return 0;
    record_name(key, name);
    int r = file_remove(pool->records_fd, name);
    return r < 0 ? err_set(err, r, "record of '%.60s' in pool '%s': %s", id, pool->name, err_name(r)) : 0;
}

int local_pool_retain(const struct local_pool *pool, const char *id, struct err *err) {
    char key[HASH_ID_LEN + 1], target[HASH_ID_LEN + 16];
    int retained cleanup_close = open(pool->retained, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!local_key(id, key))
        return 0;
    if (retained < 0)
        return err_set(err, -errno, "pool '%s': %s: %s", pool->name, pool->retained, err_name(errno));
    (void)snprintf(target, sizeof target, "%s", key);
    for (unsigned i = 2; i < RETAIN_TRIES; i++) {
        if (renameat2(pool->data_fd, key, retained, target, RENAME_NOREPLACE) == 0 || errno == ENOENT)
            return 0;
        if (errno != EEXIST)
            return allocation_complain(pool, -errno, "keeping the data of a volume", err);
        (void)snprintf(target, sizeof target, "%s-%u", key, i);
    }
    return err_set(err, -EEXIST, "pool '%s': %s holds %u volumes of this name; move them away", pool->name,
                   pool->retained, RETAIN_TRIES);
}

int local_pool_space(const struct local_pool *pool, struct local_space *ret, struct err *err) {
    struct statvfs st;
    if (fstatvfs(pool->data_fd, &st) < 0)
        return err_set(err, -errno, "pool '%s': %s: %s", pool->name, pool->directory, err_name(errno));
    *ret = (struct local_space){.total = (int64_t)st.f_blocks * (int64_t)st.f_frsize,
                                .available = (int64_t)st.f_bavail * (int64_t)st.f_frsize};
    return 0;
}
