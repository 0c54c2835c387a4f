// SPDX-License-Identifier: Apache-2.0
// Whole trees of a directory: removing and measuring them, by descriptors, so that nothing can lead the walk elsewhere.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/base/str.h"
#include "sidecar/files_directory.h"

#define DEPTH_MAX 200 // directories inside each other: each holds a descriptor

static void close_dirp(DIR **dir) {
    if (*dir)
        (void)closedir(*dir);
}

static int open_dir(int parent, const char *name, DIR **ret) {
    int fd cleanup_close = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    *ret = fdopendir(fd);
    if (!*ret)
        return -errno;
    (void)take_fd(&fd);
    return 0;
}

// The next entry but "." and ".."; NULL at the end or on a failure, which *ret_error tells.
static struct dirent *next_entry(DIR *dir, int *ret_error) {
    struct dirent *entry;
    do {
        errno = 0;
        entry = readdir(dir);
    } while (entry && (str_eq(entry->d_name, ".") || str_eq(entry->d_name, "..")));
    *ret_error = entry ? 0 : -errno;
    return entry;
}

static int remove_tree(int parent, const char *name, unsigned depth) {
    DIR *dir cleanup(close_dirp) = NULL;
    int r = depth < DEPTH_MAX ? open_dir(parent, name, &dir) : -EMFILE;
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    for (struct dirent *entry; r == 0 && (entry = next_entry(dir, &r));) {
        if (unlinkat(dirfd(dir), entry->d_name, 0) == 0 || errno == ENOENT)
            continue;
        r = errno == EISDIR ? remove_tree(dirfd(dir), entry->d_name, depth + 1) : -errno;
    }
    if (r == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        r = -errno;
    return r;
}

int directory_remove_tree(int parent, const char *name, struct err *err) {
    int r = remove_tree(parent, name, 0);
    if (r == -EMFILE)
        return err_set(err, -ENAMETOOLONG, "'%.100s' has directories more than %d deep; remove the lower ones first",
                       name, DEPTH_MAX);
    return r < 0 ? directory_error(r, name, err) : 0;
}

static int add_usage(int parent, const char *name, int64_t deadline_ns, unsigned depth, int64_t *total) {
    DIR *dir cleanup(close_dirp) = NULL;
    int r = depth < DEPTH_MAX ? open_dir(parent, name, &dir) : -ETIMEDOUT;
    if (r < 0) // gone meanwhile, or not ours to look into: lost+found, as a rule
        return r == -ENOENT || r == -EACCES || r == -EPERM ? 0 : r;
    for (struct dirent *entry; r == 0 && (entry = next_entry(dir, &r));) {
        struct stat st;
        if (clock_monotonic(&clock_system) > deadline_ns)
            return -ETIMEDOUT;
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue; // removed meanwhile
        *total += (int64_t)st.st_blocks * 512;
        if (S_ISDIR(st.st_mode))
            r = add_usage(dirfd(dir), entry->d_name, deadline_ns, depth + 1, total);
    }
    return r;
}

int directory_usage(int root, int64_t deadline_ns, int64_t *ret_bytes) {
    *ret_bytes = 0;
    return add_usage(root, ".", deadline_ns, 0, ret_bytes);
}
