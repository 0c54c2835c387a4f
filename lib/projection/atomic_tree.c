// SPDX-License-Identifier: Apache-2.0
#include "lib/projection/atomic_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/str.h"

#define NAMES_TRIED 16
#define COMPARE_STEP 16384

bool atomic_tree_is_name(const char *name) {
    return str_starts(name, "..") && name[2] >= '0' && name[2] <= '9' && strlen(name) < ATOMIC_TREE_NAME &&
           !strchr(name, '/');
}

int atomic_tree_make(int dir_fd, const struct clock *clock, uint32_t mode, char ret_name[static ATOMIC_TREE_NAME],
                     int *ret_fd) {
    time_t now = clock_wall(clock) / NS_PER_S;
    struct tm tm;
    char stamp[32] = "2000_01_01_00_00_00";
    if (gmtime_r(&now, &tm))
        (void)strftime(stamp, sizeof stamp, "%Y_%m_%d_%H_%M_%S", &tm);
    int r = -EEXIST;
    for (int i = 0; r == -EEXIST && i < NAMES_TRIED; i++) {
        uint32_t number = 0;
        clock_random(clock, &number, sizeof number);
        (void)snprintf(ret_name, ATOMIC_TREE_NAME, "..%s.%010u", stamp, number);
        r = mkdirat(dir_fd, ret_name, 0700) == 0 ? 0 : -errno;
    }
    if (r < 0)
        return r;
    int fd cleanup_close = openat(dir_fd, ret_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, mode) < 0) { // whatever the umask is
        r = -errno;
        (void)unlinkat(dir_fd, ret_name, AT_REMOVEDIR);
        return r;
    }
    *ret_fd = take_fd(&fd);
    return 0;
}

static int close_dir(DIR *dir, int r) {
    (void)closedir(dir);
    return r;
}

int atomic_tree_remove(int dir_fd, const char *name) {
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int r = -errno;
        (void)close(fd);
        return r;
    }
    for (const struct dirent *entry; (entry = readdir(dir));)
        if (!str_eq(entry->d_name, ".") && !str_eq(entry->d_name, "..") && unlinkat(fd, entry->d_name, 0) < 0 &&
            errno != ENOENT)
            return close_dir(dir, -errno);
    (void)closedir(dir);
    return unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

int atomic_tree_count(int atomic_tree_fd, size_t *ret, int64_t *ret_room) {
    struct stat st;
    int fd = openat(atomic_tree_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int r = -errno;
        if (fd >= 0)
            (void)close(fd);
        return r;
    }
    *ret = 0;
    *ret_room = 0;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (str_eq(entry->d_name, ".") || str_eq(entry->d_name, ".."))
            continue;
        ++*ret;
        *ret_room +=
            fstatat(atomic_tree_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? atomic_tree_room(st.st_size) : 0;
    }
    return close_dir(dir, 0);
}

static int compare_content(int fd, const char *data, size_t len, bool *ret_same) {
    char buf[COMPARE_STEP];
    size_t at = 0;
    while (at < len) {
        ssize_t n = read(fd, buf, sizeof buf < len - at ? sizeof buf : len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0 || memcmp(buf, data + at, (size_t)n) != 0)
            return 0;
        at += (size_t)n;
    }
    *ret_same = true;
    return 0;
}

int atomic_tree_compare(int atomic_tree_fd, const struct atomic_file *file, uint32_t mode, bool *ret_same,
                        int64_t *ret_bytes) {
    struct stat st;
    *ret_same = false;
    *ret_bytes = -1;
    if (fstatat(atomic_tree_fd, file->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    *ret_bytes = st.st_size;
    *ret_same = !file->data;
    if (!file->data || !S_ISREG(st.st_mode) || (st.st_mode & 07777) != mode || (uint64_t)st.st_size != file->len)
        return 0;
    int fd cleanup_close = openat(atomic_tree_fd, file->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : compare_content(fd, file->data, file->len, ret_same);
}

int atomic_tree_write(int atomic_tree_fd, const struct atomic_file *file, uint32_t mode) {
    int fd cleanup_close =
        openat(atomic_tree_fd, file->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    const char *data = file->data;
    for (size_t at = 0; at < file->len;) {
        ssize_t n = write(fd, data + at, file->len - at);
        if (n < 0 && errno != EINTR)
            return -errno;
        at += n > 0 ? (size_t)n : 0;
    }
    return fchmod(fd, mode) == 0 ? 0 : -errno;
}
