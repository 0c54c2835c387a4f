// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/node_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "lib/base/file.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/base/strmap.h"
#include "node-plugin/path.h"

#define RECORD_MAX (1024 * 1024) // bytes
#define SUFFIX ".json"
#define NAME_SIZE (HASH_ID_LEN + sizeof ".json.damaged")

struct node_store {
    char *directory;
    int fd, lock_fd;
    pthread_mutex_t lock;  // of `refused`
    struct strmap refused; // file name of a record that is there but cannot be used → the remedy, as static text
};

struct node_store *node_store_free(struct node_store *store) {
    if (store) {
        if (store->fd >= 0)
            (void)close(store->fd);
        if (store->lock_fd >= 0)
            (void)close(store->lock_fd);
        strmap_done(&store->refused);
        (void)pthread_mutex_destroy(&store->lock);
        free(store->directory);
        free(store);
    }
    return NULL;
}

int node_store_open(const char *directory, struct node_store **ret, struct err *err) {
    struct node_store *store cleanup(node_store_freep) = mem_zalloc(sizeof *store);
    if (!store)
        return err_set(err, -ENOMEM, "out of memory");
    store->fd = store->lock_fd = -1;
    (void)pthread_mutex_init(&store->lock, NULL);
    store->directory = mem_strdup(directory);
    if (!store->directory)
        return err_set(err, -ENOMEM, "out of memory");
    int r = path_make_tree(directory, err);
    if (r < 0)
        return err_wrap(err, r, "state directory %s; give another by --state-dir", directory);
    if ((store->fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        r = -errno;
    if (r == 0 && (store->lock_fd = openat(store->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0)
        r = -errno;
    if (r < 0)
        return err_set(err, r, "state directory %s: %s; give another by --state-dir", directory, err_name(r));
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return err_set(err, -EADDRINUSE, "state directory %s is in use by another stowage-node; stop it first",
                       directory);
    *ret = take_ptr(store);
    return 0;
}

static void file_name(const char *id, char ret[NAME_SIZE]) {
    hash_id(id, strlen(id), ret);
    (void)memcpy(ret + HASH_ID_LEN, SUFFIX, sizeof SUFFIX);
}

static int parse(const char *name, const char *text, size_t len, struct staged **ret, struct err *err) {
    struct json *json cleanup(json_freep) = NULL;
    int r = json_parse(text, len, RECORD_MAX, &json, err);
    struct staged *staged cleanup(staged_freep) = NULL;
    if (r == 0)
        r = staged_decode(json, &staged, err);
    if (r < 0)
        return r;
    char expected[NAME_SIZE];
    file_name(staged->id, expected);
    if (!str_eq(expected, name))
        return err_set(err, -EBADMSG, "its name does not belong to the volume '%.60s' that it tells of", staged->id);
    *ret = take_ptr(staged);
    return 0;
}

static int refuse(struct node_store *store, const char *name, const char *why, const char *reason) {
    log_error("state file is left alone; nothing is changed about its volume", LOG_S("file", name),
              LOG_S("reason", reason), LOG_S("remedy", why));
    LOCK_SCOPE(&store->lock);
    return strmap_put(&store->refused, name, (void *)(uintptr_t)why);
}

static int set_aside(struct node_store *store, const char *name, const struct err *err) {
    char aside[NAME_SIZE];
    (void)snprintf(aside, sizeof aside, "%s.damaged", name);
    int r = renameat(store->fd, name, store->fd, aside) < 0 ? -errno : 0;
    log_error("state file is damaged; its volume's mounts are found again from the mount table", LOG_S("file", name),
              LOG_S("reason", err->msg), LOG_S("kept as", aside));
    return r;
}

static bool is_record_name(const char *name) {
    char key[HASH_ID_LEN + 1];
    if (strlen(name) != HASH_ID_LEN + strlen(SUFFIX) || !str_eq(name + HASH_ID_LEN, SUFFIX))
        return false;
    (void)snprintf(key, sizeof key, "%s", name);
    return hash_is_id(key);
}

static int load_one(struct node_store *store, const char *name, int (*take)(struct staged *, void *), void *arg) {
    char *text cleanup_free = NULL;
    size_t len = 0;
    struct staged *staged = NULL;
    struct err why = ERR_NONE;
    int r = file_read(store->fd, name, RECORD_MAX, &text, &len);
    if (r < 0 && r != -EBADMSG && r != -ENOMEM) // nothing is wrong with the record, as far as anybody knows
        return refuse(store, name, "repair the disk of --state-dir and restart stowage-node", err_name(r));
    if (r == 0)
        r = parse(name, text, len, &staged, &why);
    if (r == 0)
        return take(staged, arg);
    if (r == -EPROTONOSUPPORT)
        return refuse(store, name, "upgrade stowage-node, or move the file away", why.msg);
    return r == -ENOMEM ? r : set_aside(store, name, &why);
}

// What a process that was killed while it wrote has left. It never took effect, so nothing that was promised is in it.
static int sweep_unfinished(struct node_store *store, const char *name) {
    size_t len = strlen(name), suffix = strlen(FILE_UNFINISHED_SUFFIX);
    char record[NAME_SIZE];
    if (name[0] != '.' || len < suffix + 1 || len - suffix - 1 >= sizeof record ||
        !str_eq(name + len - suffix, FILE_UNFINISHED_SUFFIX))
        return 0;
    (void)snprintf(record, sizeof record, "%.*s", (int)(len - suffix - 1), name + 1);
    if (!is_record_name(record))
        return 0;
    return unlinkat(store->fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int load_entry(struct node_store *store, const char *name, int (*take)(struct staged *, void *), void *arg,
                      struct err *err) {
    int r = is_record_name(name) ? load_one(store, name, take, arg) : sweep_unfinished(store, name);
    return r < 0 ? err_set(err, r, "state file %s/%s: %s", store->directory, name, err_name(r)) : 0;
}

int node_store_load(struct node_store *store, int (*take)(struct staged *staged, void *arg), void *arg,
                    struct err *err) {
    int fd = openat(store->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        int code = -errno;
        if (fd >= 0)
            (void)close(fd);
        return err_set(err, code, "state directory %s: %s", store->directory, err_name(code));
    }
    int r = 0;
    struct dirent *entry = NULL;
    while (r == 0 && (errno = 0, entry = readdir(dir)))
        r = load_entry(store, entry->d_name, take, arg, err);
    if (r == 0 && errno != 0)
        r = err_set(err, -errno, "state directory %s: %s", store->directory, err_name(errno));
    (void)closedir(dir);
    return r;
}

static int check_refused(struct node_store *store, const char *name, const char *id, struct err *err) {
    LOCK_SCOPE(&store->lock);
    const char *remedy = strmap_get(&store->refused, name);
    return remedy ? err_set(err, -EBUSY, "the state file %.60s of volume '%.60s' cannot be used; %s", name, id, remedy)
                  : 0;
}

int node_store_check(struct node_store *store, const char *id, struct err *err) {
    char name[NAME_SIZE];
    file_name(id, name);
    return check_refused(store, name, id, err);
}

int node_store_save(struct node_store *store, const struct staged *staged, struct err *err) {
    char name[NAME_SIZE];
    file_name(staged->id, name);
    int r = check_refused(store, name, staged->id, err);
    if (r < 0)
        return r;
    struct json *json cleanup(json_freep) = staged_encode(staged);
    char *text cleanup_free = json ? json_dump(json, true) : NULL;
    if (!text)
        return err_set(err, -ENOMEM, "out of memory");
    r = file_replace(store->fd, name, text, strlen(text));
    return r < 0 ? err_set(err, r, "state file %s/%s: %s", store->directory, name, err_name(r)) : 0;
}

int node_store_remove(struct node_store *store, const char *id, struct err *err) {
    char name[NAME_SIZE];
    file_name(id, name);
    int r = check_refused(store, name, id, err);
    if (r < 0)
        return r;
    r = file_remove(store->fd, name);
    return r < 0 ? err_set(err, r, "state file %s/%s: %s", store->directory, name, err_name(r)) : 0;
}
