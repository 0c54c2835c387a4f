// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

static int check(const char *path, struct err *err) {
    if (path[0] != '/')
        return err_set(err, -EINVAL, "path '%.120s' must be absolute", path);
    if (strlen(path) >= PATH_MAX)
        return err_set(err, -EINVAL, "path is longer than %d bytes", PATH_MAX - 1);
    bool any = false;
    for (const char *at = path + 1; *at;) {
        size_t len = strcspn(at, "/");
        if (len > NAME_MAX || (len == 1 && at[0] == '.') || (len == 2 && at[0] == '.' && at[1] == '.'))
            return err_set(err, -EINVAL, "path '%.120s' must not hold '.', '..' or names over %d bytes", path,
                           NAME_MAX);
        any = any || len > 0;
        at += len + (at[len] == '/');
    }
    return any ? 0 : err_set(err, -EINVAL, "path '/' cannot be a volume's");
}

// "/a//b/" → parent "/a", name "b". Both allocated.
static int split(const char *path, char **ret_parent, char **ret_name) {
    size_t end = strlen(path);
    while (path[end - 1] == '/')
        end--;
    size_t name = end;
    while (path[name - 1] != '/')
        name--;
    size_t parent = name;
    while (parent > 1 && path[parent - 1] == '/')
        parent--;
    char *parent_text cleanup_free = mem_strndup(path, parent);
    *ret_name = mem_strndup(path + name, end - name);
    if (!parent_text || !*ret_name)
        return -ENOMEM;
    *ret_parent = take_ptr(parent_text);
    return 0;
}

static int open_parent(const char *parent, struct err *err) {
    int fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 ? fd : err_set(err, -errno, "parent directory %s: %s", parent, err_name(errno));
}

static int refuse_hanging(const struct mount_table *table, const char *path, struct err *err) {
    const struct mount_entry *above = mount_table_above(table, path);
    if (!above || !mount_type_may_hang(above->fs_type) || str_eq(above->target, "/"))
        return 0;
    return err_set(err, -EINVAL, "path %.120s is inside of the %s mount %.80s; a volume's path must be on a local disk",
                   path, above->fs_type, above->target);
}

static int resolve_parent(const char *parent, char ret[PATH_MAX], struct err *err) {
    int fd cleanup_close = open_parent(parent, err);
    if (fd < 0)
        return fd;
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, ret, PATH_MAX - 1);
    if (n < 0)
        return err_set(err, -errno, "parent directory %s: %s", parent, err_name(errno));
    ret[n] = '\0';
    return 0;
}

int path_resolve(const char *path, const struct mount_table *table, char **ret, struct err *err) {
    char *parent cleanup_free = NULL;
    char *name cleanup_free = NULL;
    int r = check(path, err);
    if (r == 0)
        r = refuse_hanging(table, path, err);
    if (r < 0)
        return r;
    char resolved[PATH_MAX];
    r = split(path, &parent, &name);
    if (r == 0)
        r = resolve_parent(parent, resolved, err);
    if (r < 0)
        return r == -ENOMEM ? err_set(err, r, "out of memory") : r;
    char *full cleanup_free = mem_printf("%s/%s", resolved[1] ? resolved : "", name);
    if (!full)
        return err_set(err, -ENOMEM, "out of memory");
    r = refuse_hanging(table, full, err);
    if (r == 0)
        *ret = take_ptr(full);
    return r;
}

int path_make_tree(const char *path, struct err *err) {
    char *copy cleanup_free = mem_strdup(path);
    if (!copy)
        return err_set(err, -ENOMEM, "out of memory");
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0755) < 0 && errno != EEXIST)
            return err_set(err, -errno, "directory %s: %s", copy, err_name(errno));
        *slash = '/';
    }
    if (mkdir(copy, 0700) < 0 && errno != EEXIST)
        return err_set(err, -errno, "directory %s: %s", path, err_name(errno));
    return 0;
}

int path_make_directory(const char *path, bool *ret_created, struct err *err) {
    char *parent cleanup_free = NULL;
    char *name cleanup_free = NULL;
    *ret_created = false;
    if (split(path, &parent, &name) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    int fd cleanup_close = open_parent(parent, err);
    if (fd < 0)
        return fd;
    if (mkdirat(fd, name, 0750) == 0)
        *ret_created = true;
    else if (errno != EEXIST)
        return err_set(err, -errno, "mkdir %s: %s", path, err_name(errno));
    struct stat st;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
        return err_set(err, -errno, "%s: %s", path, err_name(errno));
    if (!S_ISDIR(st.st_mode)) // mount(2) would follow a link to wherever it points
        return err_set(err, -ENOTDIR, "%s is no directory but a file or a link; remove it", path);
    return 0;
}

int path_remove_directory(const char *path, struct err *err) {
    char *parent cleanup_free = NULL;
    char *name cleanup_free = NULL;
    if (split(path, &parent, &name) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    int fd cleanup_close = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return err_set(err, -errno, "parent directory %s: %s", parent, err_name(errno));
    if (unlinkat(fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    if (errno == ENOTEMPTY || errno == EEXIST)
        return err_set(err, -ENOTEMPTY, "%s holds files that are not the volume's; move them away", path);
    return err_set(err, -errno, "rmdir %s: %s", path, err_name(errno));
}
