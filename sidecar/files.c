// SPDX-License-Identifier: Apache-2.0
#include "sidecar/files.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "sidecar/job.h"

struct file_systems {
    char *folder;
    pthread_mutex_t lock; // of what follows; the file systems themselves never change
    struct file_system **items;
    size_t count;
};

void file_list_done(struct file_list *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].name);
    free(list->items);
    *list = (struct file_list){0};
}

int file_path_normalise(const char *path, size_t len, char **ret, struct err *err) {
    struct str out cleanup_str = {0};
    if (len > FILE_PATH_MAX)
        return err_set(err, -ENAMETOOLONG, "the path has %zu bytes; the limit is %d", len, FILE_PATH_MAX);
    for (size_t from = 0, to = 0; from < len; from = to + 1) {
        for (to = from; to < len && path[to] != '/'; to++)
            continue;
        if (to == from)
            continue;
        if (!str_is_path_component(path + from, to - from))
            return err_set(err, -EINVAL,
                           "the path has a component that is no name: give UTF-8 without control characters, 1 to 255 "
                           "bytes, not '.' or '..'");
        if (out.len)
            (void)str_append(&out, "/");
        (void)str_append_bytes(&out, path + from, to - from);
    }
    *ret = out.len ? str_take(&out) : mem_strdup("");
    return *ret ? 0 : err_set(err, -ENOMEM, "out of memory");
}

// ---- the registry ----

static struct file_system *file_system_free(struct file_system *fs) {
    if (!fs)
        return NULL;
    if (fs->ops)
        fs->ops->close(fs->self);
    free(fs->workspace);
    free(fs->name);
    free(fs);
    return NULL;
}
DEFINE_CLEANUP(file_system)

int file_systems_new(const char *folder, struct file_systems **ret, struct err *err) {
    struct file_systems *all = mem_zalloc(sizeof *all);
    if (!all)
        return err_set(err, -ENOMEM, "out of memory");
    (void)pthread_mutex_init(&all->lock, NULL);
    all->folder = mem_strdup(folder);
    *ret = all;
    return all->folder ? 0 : err_set(err, -ENOMEM, "out of memory");
}

struct file_systems *file_systems_free(struct file_systems *all) {
    if (!all)
        return NULL;
    for (size_t i = 0; i < all->count; i++)
        (void)file_system_free(all->items[i]);
    free(all->items);
    free(all->folder);
    (void)pthread_mutex_destroy(&all->lock);
    free(all);
    return NULL;
}

static struct file_system *find(struct file_systems *all, const char *workspace, const char *name) {
    for (size_t i = 0; i < all->count; i++)
        if (str_eq(all->items[i]->workspace, workspace) && (!name || str_eq(all->items[i]->name, name)))
            return all->items[i];
    return NULL;
}

// Under the lock.
static int add(struct file_systems *all, const char *workspace, const char *name, const char *directory,
               struct err *err) {
    struct file_system *fs cleanup(file_system_freep) = mem_zalloc(sizeof *fs);
    struct file_system **grown = mem_realloc(all->items, all->count + 1, sizeof(struct file_system *));
    if (grown)
        all->items = grown;
    if (!fs || !grown)
        return err_set(err, -ENOMEM, "out of memory");
    fs->workspace = mem_strdup(workspace);
    fs->name = mem_strdup(name);
    if (!fs->workspace || !fs->name)
        return err_set(err, -ENOMEM, "out of memory");
    int r = file_directory_open(directory, fs, err);
    if (r < 0)
        return r;
    all->items[all->count++] = take_ptr(fs);
    return 0;
}

int file_systems_add(struct file_systems *all, const char *text, const char *workspace, struct err *err) {
    char *copy cleanup_free = mem_strdup(text);
    if (!copy)
        return err_set(err, -ENOMEM, "out of memory");
    char *directory = strchr(copy, '='), *name = copy;
    if (!directory || directory[1] != '/')
        return err_set(err, -EINVAL, "'%.100s' is not [WORKSPACE/]NAME=/DIRECTORY", text);
    *directory++ = '\0';
    char *slash = strchr(copy, '/');
    if (slash) {
        *slash = '\0';
        workspace = copy;
        name = slash + 1;
    }
    if (!workspace)
        return err_set(err, -EINVAL,
                       "'%.100s' does not say whose it is, and there are several workspaces: write "
                       "WORKSPACE/NAME=DIRECTORY",
                       text);
    int r = label_check("workspace", workspace, strlen(workspace), err);
    if (r == 0)
        r = label_check("file system", name, strlen(name), err);
    if (r < 0)
        return r;
    LOCK_SCOPE(&all->lock);
    if (find(all, workspace, name))
        return err_set(err, -EEXIST, "workspace '%s' has two file systems named '%s'", workspace, name);
    return add(all, workspace, name, directory, err);
}

// Under the lock: every workspace has at least one.
static int ensure_default(struct file_systems *all, const char *workspace, struct err *err) {
    if (find(all, workspace, NULL))
        return 0;
    char *directory cleanup_free = mem_printf("%s/%s", all->folder, workspace);
    if (!directory)
        return err_set(err, -ENOMEM, "out of memory");
    if ((mkdir(all->folder, 0700) < 0 && errno != EEXIST) || (mkdir(directory, 0700) < 0 && errno != EEXIST))
        return err_set(err, -EIO, "cannot make the directory %s: %s", directory, err_name(errno));
    return add(all, workspace, "default", directory, err);
}

int file_systems_find(struct file_systems *all, const char *workspace, const char *name, struct file_system **ret,
                      struct err *err) {
    LOCK_SCOPE(&all->lock);
    int r = ensure_default(all, workspace, err);
    if (r < 0)
        return r;
    *ret = find(all, workspace, name);
    return *ret ? 0 : err_set(err, -ENOENT, "no file system '%.63s'", name);
}

size_t file_systems_of(struct file_systems *all, const char *workspace, struct file_system **ret, size_t max) {
    struct err err = ERR_NONE;
    size_t count = 0;
    LOCK_SCOPE(&all->lock);
    if (ensure_default(all, workspace, &err) < 0)
        return 0;
    for (size_t i = 0; i < all->count && count < max; i++)
        if (str_eq(all->items[i]->workspace, workspace))
            ret[count++] = all->items[i];
    return count;
}
