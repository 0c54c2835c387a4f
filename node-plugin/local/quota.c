// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/local/quota.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mount/directory.h"
#include "lib/mount/project.h"

#define SWEEP_NS (10 * NS_PER_S) // for one leftover; what does not go in time waits for the next start

struct names {
    char key[HASH_ID_LEN + 1], unfinished[HASH_ID_LEN + sizeof "..new"], gone[HASH_ID_LEN + sizeof "..gone"];
};

static struct names names_of(const char *id) {
    struct names names = {0};
    (void)local_key(id, names.key);
    (void)snprintf(names.unfinished, sizeof names.unfinished, ".%s.new", names.key);
    (void)snprintf(names.gone, sizeof names.gone, ".%s.gone", names.key);
    return names;
}

static int path_of(const struct local_pool *pool, const char *name, char ret[static ATTACHMENT_PATH_SIZE],
                   struct err *err) {
    int n = snprintf(ret, ATTACHMENT_PATH_SIZE, "%s/%s", pool->data, name);
    return n < 0 || n >= ATTACHMENT_PATH_SIZE
               ? err_set(err, -ENAMETOOLONG, "pool '%s': its directory has too long a name", pool->name)
               : 0;
}

static int open_directory(const struct local_pool *pool, const char *name) {
    int fd = openat(pool->data_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}

static int quota_open(struct local_pool *pool, struct err *err) {
    struct err reason = ERR_NONE;
    int r = project_probe(pool->data_fd, &pool->fs_type, &reason);
    return r < 0 ? err_set(err, -ENODEV, "%s %s", pool->directory, reason.msg) : 0;
}

static bool exists(const struct local_pool *pool, const char *id) {
    return faccessat(pool->data_fd, names_of(id).key, F_OK, 0) == 0;
}

static int64_t allocated(const struct local_pool *pool, const char *id) {
    struct names names = names_of(id);
    uint32_t project = PROJECT_NONE;
    int64_t bytes = 0;
    int fd cleanup_close = open_directory(pool, names.key);
    if (fd < 0 || project_get(fd, &project, NULL) < 0 || project == PROJECT_NONE ||
        project_used(pool->data_fd, project, &bytes, NULL) < 0)
        return 0;
    return bytes;
}

// ---- made ----

static uint32_t first_project(const char *key) {
    unsigned char digest[HASH_SHA256];
    uint32_t number = 0;
    hash_sha256(key, strlen(key), digest);
    memcpy(&number, digest, sizeof number);
    return number & INT32_MAX; // tools print projects as signed numbers
}

static int give_limit(const struct local_pool *pool, const char *key, int fd, int64_t bytes, struct err *err) {
    uint32_t project = PROJECT_NONE;
    (void)pthread_mutex_lock(pool->lock);
    int r = project_choose(pool->data_fd, first_project(key), &project, err);
    if (r == 0)
        r = project_limit(pool->data_fd, project, bytes, err);
    (void)pthread_mutex_unlock(pool->lock);
    return r < 0 ? r : project_set(fd, project, err);
}

// Takes the limit away with the last of the data.
static int discard(const struct local_pool *pool, const char *name, int64_t deadline_ns, struct err *err) {
    char path[ATTACHMENT_PATH_SIZE];
    uint32_t project = PROJECT_NONE;
    int fd cleanup_close = open_directory(pool, name);
    if (fd == -ENOENT)
        return 0;
    int r = fd < 0 ? err_set(err, fd, "pool '%s': %s: %s", pool->name, name, err_name(fd)) : 0;
    if (r == 0)
        r = project_get(fd, &project, err);
    if (r == 0)
        r = path_of(pool, name, path, err);
    if (r == 0)
        r = directory_remove(path, deadline_ns, err);
    if (r == -ETIMEDOUT)
        return err_set(err, r, "pool '%s': files of a volume are still being removed; ask again", pool->name);
    return r < 0 || project == PROJECT_NONE ? r : project_limit(pool->data_fd, project, 0, err);
}

static int remove_data(const struct local_pool *pool, const char *id, int64_t deadline_ns, struct err *err) {
    struct names names = names_of(id);
    // Out of sight first: what is removed in part is no volume any more.
    if (renameat(pool->data_fd, names.key, pool->data_fd, names.gone) < 0 && errno != ENOENT)
        return allocation_complain(pool, -errno, "removing a directory", err);
    return discard(pool, names.gone, deadline_ns, err);
}

// An empty directory under the name that does not count yet; `bytes` 0: without a limit.
static int begin(const struct local_pool *pool, const struct names *names, int64_t bytes, int64_t deadline_ns,
                 int *ret_fd, struct err *err) {
    int r = discard(pool, names->unfinished, deadline_ns, err);
    if (r == 0 && mkdirat(pool->data_fd, names->unfinished, 0777) < 0)
        r = allocation_complain(pool, -errno, "making a directory", err);
    if (r < 0)
        return r;
    *ret_fd = open_directory(pool, names->unfinished);
    if (*ret_fd < 0 ||
        fchmod(*ret_fd, 0777) < 0) // whatever the umask; as an empty file system's root, with fsGroup below
        return allocation_complain(pool, *ret_fd < 0 ? *ret_fd : -errno, "making a directory", err);
    return bytes > 0 ? give_limit(pool, names->key, *ret_fd, bytes, err) : 0;
}

static int finish(const struct local_pool *pool, const struct names *names, int fd, struct err *err) {
    if (syncfs(fd) < 0 || renameat(pool->data_fd, names->unfinished, pool->data_fd, names->key) < 0 ||
        fsync(pool->data_fd) < 0)
        return allocation_complain(pool, -errno, "making a directory", err);
    return 0;
}

static void give_up(const struct local_pool *pool, const struct names *names) {
    struct err err = ERR_NONE;
    if (discard(pool, names->unfinished, clock_monotonic(&clock_system) + SWEEP_NS, &err) < 0)
        log_warning("what is left of a volume goes at the next start", LOG_S("pool", pool->name),
                    LOG_S("reason", err.msg));
}

static int create(const struct local_pool *pool, const struct data_request *request, struct err *err) {
    struct names names = names_of(request->id);
    int fd cleanup_close = -1;
    int r = remove_data(pool, request->id, request->deadline_ns, err);
    if (r == 0)
        r = begin(pool, &names, request->bytes, request->deadline_ns, &fd, err);
    if (r == 0)
        r = finish(pool, &names, fd, err);
    if (r < 0)
        give_up(pool, &names);
    return r;
}

static int copy(const struct data_copy *copy, struct err *err) {
    const struct local_pool *pool = copy->pool;
    struct names source = names_of(copy->from), names = names_of(copy->to);
    char from[ATTACHMENT_PATH_SIZE], to[ATTACHMENT_PATH_SIZE];
    int fd cleanup_close = -1;
    if (!exists(pool, copy->from))
        return err_set(err, -EIO, "pool '%s': the data of '%.60s' is gone", pool->name, copy->from);
    int r = remove_data(pool, copy->to, copy->deadline_ns, err);
    if (r == 0)
        r = path_of(pool, source.key, from, err);
    if (r == 0)
        r = path_of(pool, names.unfinished, to, err);
    if (r == 0)
        r = begin(pool, &names, copy->to[0] == LOCAL_VOLUME ? copy->bytes : 0, copy->deadline_ns, &fd, err);
    if (r == 0)
        r = directory_copy(from, to, copy->deadline_ns, copy->cancel, err);
    if (r == -EIO)
        r = err_set(err, -EBUSY,
                    "pool '%s': files of '%.60s' could not be copied; when they change all the time, stop their pod; "
                    "see this node's log",
                    pool->name, copy->from);
    if (r == 0)
        r = finish(pool, &names, fd, err);
    if (r < 0)
        give_up(pool, &names);
    return r;
}

static int grow(const struct local_pool *pool, const char *id, int64_t bytes, bool full, struct err *err) {
    struct names names = names_of(id);
    uint32_t project = PROJECT_NONE;
    (void)full;
    int fd cleanup_close = open_directory(pool, names.key);
    int r = fd < 0 ? err_set(err, -EIO, "pool '%s': the data of '%.60s' is gone", pool->name, id) : 0;
    if (r == 0)
        r = project_get(fd, &project, err);
    if (r == 0 && project == PROJECT_NONE)
        r = err_set(err, -EIO, "pool '%s': volume '%.60s' lost its project; restore it from a snapshot", pool->name,
                    id);
    return r < 0 ? r : project_limit(pool->data_fd, project, bytes, err);
}

static void sweep(const struct local_pool *pool, const char *name) {
    char gone[HASH_ID_LEN + sizeof "..gone"];
    struct err err = ERR_NONE;
    if (name[0] != '.') { // out of sight first: what is removed in part must not be taken for a volume
        (void)snprintf(gone, sizeof gone, ".%.*s.gone", HASH_ID_LEN, name);
        name = renameat(pool->data_fd, name, pool->data_fd, gone) == 0 ? gone : name;
    }
    if (discard(pool, name, clock_monotonic(&clock_system) + SWEEP_NS, &err) < 0)
        log_warning("what is left of a volume goes at the next start", LOG_S("pool", pool->name),
                    LOG_S("reason", err.msg));
}

// ---- at the node ----

static int find(const struct local_pool *pool, const char *id, struct attachment *ret, struct err *err) {
    struct names names = names_of(id);
    struct stat st;
    *ret = (struct attachment){.directory = true};
    int r = path_of(pool, names.key, ret->path, err);
    if (r < 0)
        return r;
    if (fstatat(pool->data_fd, names.key, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : allocation_complain(pool, -errno, "looking for a directory", err);
    ret->attached = true;
    ret->file_system = st.st_dev;
    ret->tail = strlen(pool->directory);
    return 0;
}

// The limit is set again: that of a volume which grew shortly before a power cut may be the former one.
static int attach(const struct local_pool *pool, const struct local_record *record, bool autoclear,
                  struct attachment *ret, int *ret_fd, struct err *err) {
    (void)autoclear, (void)ret_fd;
    int r = find(pool, record->id, ret, err);
    if (r == 0 && !ret->attached)
        r = err_set(err, -EIO, "pool '%s': the data of '%.60s' is gone; restore it from a snapshot or a backup",
                    pool->name, record->id);
    return r < 0 ? r : grow(pool, record->id, record->bytes, false, err);
}

static int detach(const struct attachment *attachment, struct err *err) {
    (void)attachment, (void)err; // a directory is nothing that could be let go
    return 0;
}

const struct allocation allocation_quota = {
    .name = "quota",
    .directory = true,
    .slow_removal = true,
    .open = quota_open,
    .sweep = sweep,
    .exists = exists,
    .allocated = allocated,
    .create = create,
    .copy = copy,
    .grow = grow,
    .remove = remove_data,
    .find = find,
    .attach = attach,
    .detach = detach,
};
