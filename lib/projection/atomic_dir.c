// SPDX-License-Identifier: Apache-2.0
#include "lib/projection/atomic_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/projection/atomic_tree.h"

#define DATA "..data"
#define DATA_TMP "..data_tmp"
#define LINK_TMP "..link_tmp"
#define OLD_MAX 32          // versions kept
#define OLD_FILES_MAX 16384 // in all of them: each costs a directory entry
#define NAME_BYTES 256

struct old_version {
    char name[ATOMIC_TREE_NAME];
    size_t files;
    int64_t room, until_ns; // room: that it has to itself
};

struct atomic_dir {
    char *path;
    int fd;
    struct atomic_dir_options options;
    char current[ATOMIC_TREE_NAME]; // what ..data names; "": nothing
    size_t count;                   // of its files
    int64_t room;                   // that they take
    bool links_right;               // of `current`, as far as we know
    struct old_version old[OLD_MAX];
    size_t old_count;
};

static int failed(const struct atomic_dir *dir, struct err *err, int r, const char *what) {
    return err_set(err, r, "%s of the files in '%.120s': %s", what, dir->path, err_name(r));
}

// ---- what lies there --------------------------------------------------------------------------------------------------

static int open_tree(const struct atomic_dir *dir, const char *name, int *ret) {
    *ret = openat(dir->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *ret < 0 ? -errno : 0;
}

static int find_current(struct atomic_dir *dir) {
    char target[ATOMIC_TREE_NAME + 1] = "";
    int tree cleanup_close = -1;
    ssize_t n = readlinkat(dir->fd, DATA, target, sizeof target - 1);
    if (n < 0)
        return errno == ENOENT || errno == EINVAL ? 0 : -errno;
    if (!atomic_tree_is_name(target) || open_tree(dir, target, &tree) < 0)
        return 0; // of nobody, or to nowhere: the first write replaces it
    (void)snprintf(dir->current, sizeof dir->current, "%s", target);
    return atomic_tree_count(tree, &dir->count, &dir->room);
}

// Calls `each` for every name; stops at its first failure.
static int walk(const struct atomic_dir *dir, int (*each)(const struct atomic_dir *dir, const char *name, void *arg),
                void *arg) {
    int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    int r = list ? 0 : -errno;
    if (!list) {
        if (fd >= 0)
            (void)close(fd);
        return r;
    }
    for (const struct dirent *entry; r == 0 && (entry = readdir(list));)
        if (!str_eq(entry->d_name, ".") && !str_eq(entry->d_name, ".."))
            r = each(dir, entry->d_name, arg);
    (void)closedir(list);
    return r;
}

static int sweep_one(const struct atomic_dir *dir, const char *name, void *arg) {
    (void)arg;
    if (atomic_tree_is_name(name) && !str_eq(name, dir->current))
        return atomic_tree_remove(dir->fd, name);
    if ((str_eq(name, DATA_TMP) || str_eq(name, LINK_TMP)) && unlinkat(dir->fd, name, 0) < 0)
        return -errno;
    return 0;
}

int atomic_dir_open(const struct atomic_dir_options *options, struct atomic_dir **ret, struct err *err) {
    struct atomic_dir *dir cleanup(atomic_dir_freep) = mem_zalloc(sizeof *dir);
    if (!dir)
        return err_set(err, -ENOMEM, "out of memory");
    dir->fd = -1;
    dir->options = *options;
    dir->options.file_mode = options->file_mode ? options->file_mode : 0644;
    dir->options.dir_mode = options->dir_mode ? options->dir_mode : 0755;
    dir->options.clock = options->clock ? options->clock : &clock_system;
    dir->path = mem_strdup(options->path);
    if (!dir->path)
        return err_set(err, -ENOMEM, "out of memory");
    if (mkdir(dir->path, 0755) < 0 && errno != EEXIST)
        return err_set(err, -errno, "cannot make the directory '%.120s': %s", dir->path, err_name(errno));
    dir->fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0)
        return err_set(err, -errno, "cannot open the directory '%.120s': %s", dir->path, err_name(errno));
    int r = find_current(dir);
    if (r == 0)
        r = walk(dir, sweep_one, NULL);
    if (r < 0)
        return failed(dir, err, r, "looking after the versions");
    *ret = take_ptr(dir);
    return 0;
}

struct atomic_dir *atomic_dir_free(struct atomic_dir *dir) {
    if (!dir)
        return NULL;
    for (size_t i = 0; i < dir->old_count; i++)
        (void)atomic_tree_remove(dir->fd, dir->old[i].name);
    if (dir->fd >= 0)
        (void)close(dir->fd);
    free(dir->path);
    free(dir);
    return NULL;
}

bool atomic_dir_has_version(const struct atomic_dir *dir) {
    return dir->current[0];
}

// ---- links --------------------------------------------------------------------------------------------------------------

static int link_target(const struct atomic_dir *dir, const char *name, char ret[static NAME_BYTES + 16]) {
    ssize_t n = readlinkat(dir->fd, name, ret, NAME_BYTES + 15);
    ret[n < 0 ? 0 : n] = '\0';
    return n < 0 ? -errno : 0;
}

// Also over what somebody else may have put there, but a directory.
static int make_link(const struct atomic_dir *dir, const char *name) {
    char target[NAME_BYTES + 16], there[NAME_BYTES + 16];
    (void)snprintf(target, sizeof target, DATA "/%s", name);
    if (symlinkat(target, dir->fd, name) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    if (link_target(dir, name, there) == 0 && str_eq(there, target))
        return 0;
    (void)unlinkat(dir->fd, LINK_TMP, 0);
    if (symlinkat(target, dir->fd, LINK_TMP) < 0)
        return -errno;
    return renameat(dir->fd, LINK_TMP, dir->fd, name) == 0 ? 0 : -errno;
}

struct names {
    const char **sorted;
    size_t count;
};

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int prune_one(const struct atomic_dir *dir, const char *name, void *arg) {
    const struct names *names = arg;
    char target[NAME_BYTES + 16];
    if (str_starts(name, "..") || link_target(dir, name, target) < 0 || !str_starts(target, DATA "/") ||
        bsearch(&name, names->sorted, names->count, sizeof name, compare_names))
        return 0;
    return unlinkat(dir->fd, name, 0) == 0 || errno == ENOENT ? 0 : -errno;
}

static int prune_links(const struct atomic_dir *dir, const struct atomic_file *files, size_t count) {
    const char **sorted cleanup_free = mem_array(count + 1, sizeof *sorted);
    if (!sorted)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        sorted[i] = files[i].name;
    qsort(sorted, count, sizeof *sorted, compare_names);
    return walk(dir, prune_one, &(struct names){sorted, count});
}

// ---- writing ------------------------------------------------------------------------------------------------------------

struct plan { // what a write does
    const struct atomic_file *files;
    size_t count;
    bool *same;   // as in the version before
    bool *there;  // with this name there
    size_t known; // how many are
    bool differs;
    int old_fd;
    int64_t room, shared_room; // of all files; of those that are in both versions
};

static void plan_done(struct plan *plan) {
    free(plan->same);
    if (plan->old_fd >= 0)
        (void)close(plan->old_fd);
}

static int look_at(const struct atomic_dir *dir, struct plan *plan, size_t i) {
    const struct atomic_file *file = &plan->files[i];
    int64_t bytes = -1;
    int r =
        plan->old_fd < 0 ? 0 : atomic_tree_compare(plan->old_fd, file, dir->options.file_mode, &plan->same[i], &bytes);
    if (r < 0 || (!file->data && bytes < 0))
        return r < 0 ? r : -ESTALE;
    plan->there[i] = bytes >= 0;
    plan->known += plan->there[i];
    plan->differs = plan->differs || !plan->same[i];
    plan->shared_room += plan->same[i] ? atomic_tree_room(bytes) : 0;
    plan->room += atomic_tree_room(plan->same[i] ? bytes : (int64_t)file->len);
    return 0;
}

static int make_plan(const struct atomic_dir *dir, struct plan *plan, struct err *err) {
    plan->same = mem_array(plan->count + 1, 2 * sizeof *plan->same);
    if (!plan->same)
        return err_set(err, -ENOMEM, "out of memory");
    plan->there = plan->same + plan->count + 1;
    if (dir->current[0] && open_tree(dir, dir->current, &plan->old_fd) < 0)
        plan->old_fd = -1; // somebody took it away: everything is written anew
    plan->differs = plan->old_fd < 0;
    for (size_t i = 0; i < plan->count; i++) {
        size_t len = strlen(plan->files[i].name);
        if (!len || len >= NAME_BYTES || strchr(plan->files[i].name, '/') || str_starts(plan->files[i].name, "..") ||
            str_eq(plan->files[i].name, "."))
            return err_set(err, -EINVAL, "'%.60s' is no name of a file", plan->files[i].name);
        int r = look_at(dir, plan, i);
        if (r < 0)
            return err_set(err, r, "the file '%.60s' in '%.120s': %s", plan->files[i].name, dir->path, err_name(r));
    }
    plan->differs = plan->differs || plan->known != dir->count;
    return 0;
}

static int fill(const struct atomic_dir *dir, const struct plan *plan, int atomic_tree_fd, struct err *err) {
    for (size_t i = 0; i < plan->count; i++) {
        const struct atomic_file *file = &plan->files[i];
        int r = !plan->same[i] ? atomic_tree_write(atomic_tree_fd, file, dir->options.file_mode)
                : linkat(plan->old_fd, file->name, atomic_tree_fd, file->name, 0) == 0 ? 0
                                                                                       : -errno;
        if (r < 0)
            return err_set(err, r, "the file '%.60s' in '%.120s' cannot be written: %s", file->name, dir->path,
                           err_name(r));
    }
    return 0;
}

static int swap(const struct atomic_dir *dir, const char *name, struct err *err) {
    (void)unlinkat(dir->fd, DATA_TMP, 0);
    if (symlinkat(name, dir->fd, DATA_TMP) == 0 && renameat(dir->fd, DATA_TMP, dir->fd, DATA) == 0)
        return 0;
    int r = failed(dir, err, -errno, "the change");
    (void)unlinkat(dir->fd, DATA_TMP, 0);
    return r;
}

static void retire(struct atomic_dir *dir, int64_t room) {
    if (dir->current[0] && dir->options.keep_ns > 0) {
        if (dir->old_count == OLD_MAX) {
            (void)atomic_tree_remove(dir->fd, dir->old[0].name);
            memmove(dir->old, dir->old + 1, --dir->old_count * sizeof dir->old[0]);
        }
        struct old_version *old = &dir->old[dir->old_count++];
        *old = (struct old_version){
            .files = dir->count, .room = room, .until_ns = clock_monotonic(dir->options.clock) + dir->options.keep_ns};
        memcpy(old->name, dir->current, sizeof old->name);
    } else if (dir->current[0]) {
        (void)atomic_tree_remove(dir->fd, dir->current);
    }
}

static int right_links(struct atomic_dir *dir, const struct plan *plan, bool removed, struct err *err) {
    int r = 0;
    for (size_t i = 0; r == 0 && i < plan->count; i++)
        if (!dir->links_right || !plan->there[i])
            r = make_link(dir, plan->files[i].name);
    if (r == 0 && (removed || !dir->links_right))
        r = prune_links(dir, plan->files, plan->count);
    dir->links_right = r == 0;
    return r < 0 ? failed(dir, err, r, "the links") : 0;
}

int atomic_dir_write(struct atomic_dir *dir, const struct atomic_file *files, size_t count, bool *ret_changed,
                     struct err *err) {
    struct plan plan cleanup(plan_done) = {.files = files, .count = count, .old_fd = -1};
    char name[ATOMIC_TREE_NAME] = "";
    int tree cleanup_close = -1;
    *ret_changed = false;
    int r = make_plan(dir, &plan, err);
    if (r < 0)
        return r;
    bool removed = plan.known != dir->count;
    if (!plan.differs)
        return dir->links_right ? 0 : right_links(dir, &plan, false, err);
    r = atomic_tree_make(dir->fd, dir->options.clock, dir->options.dir_mode, name, &tree);
    if (r < 0)
        return failed(dir, err, r, "a new version");
    r = fill(dir, &plan, tree, err);
    if (r == 0)
        r = swap(dir, name, err);
    if (r < 0) {
        (void)atomic_tree_remove(dir->fd, name);
        return r;
    }
    *ret_changed = true;
    r = right_links(dir, &plan, removed, err);
    retire(dir, dir->room - plan.shared_room);
    memcpy(dir->current, name, sizeof dir->current);
    dir->count = count;
    dir->room = plan.room;
    (void)atomic_dir_tidy(dir);
    return r;
}

int64_t atomic_dir_tidy(struct atomic_dir *dir) {
    int64_t now = clock_monotonic(dir->options.clock), room = 0;
    size_t files = 0, gone = 0;
    for (size_t i = 0; i < dir->old_count; i++) {
        room += dir->old[i].room;
        files += dir->old[i].files;
    }
    for (; gone < dir->old_count; gone++) {
        bool fits = room <= dir->options.keep_bytes && files <= OLD_FILES_MAX;
        if (fits && dir->old[gone].until_ns > now)
            break;
        room -= dir->old[gone].room;
        files -= dir->old[gone].files;
        (void)atomic_tree_remove(dir->fd, dir->old[gone].name);
    }
    dir->old_count -= gone;
    memmove(dir->old, dir->old + gone, dir->old_count * sizeof dir->old[0]);
    return dir->old_count ? dir->old[0].until_ns - now : DEADLINE_NONE;
}
