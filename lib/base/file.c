// SPDX-License-Identifier: Apache-2.0
#include "lib/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"

int file_read(int dir_fd, const char *name, size_t max, char **ret, size_t *ret_len) {
    int fd cleanup_close = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || (size_t)st.st_size > max)
        return -EBADMSG;
    size_t size = (size_t)st.st_size, len = 0;
    char *text cleanup_free = mem_alloc(size + 1);
    if (!text)
        return -ENOMEM;
    while (len < size) {
        ssize_t n = read(fd, text + len, size - len);
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    text[len] = '\0';
    *ret = take_ptr(text);
    *ret_len = len;
    return 0;
}

static int write_all(int fd, const char *text, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0)
            return -errno;
        text += n;
        len -= (size_t)n;
    }
    return 0;
}

int file_replace(int dir_fd, const char *name, const char *text, size_t len) {
    char temporary[FILE_NAME_MAX + sizeof "." FILE_UNFINISHED_SUFFIX];
    int n = snprintf(temporary, sizeof temporary, ".%s" FILE_UNFINISHED_SUFFIX, name);
    if (n < 0 || (size_t)n >= sizeof temporary)
        return -ENAMETOOLONG;
    int fd cleanup_close = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int r = fd < 0 ? -errno : write_all(fd, text, len);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (r == 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
        r = -errno;
    if (r == 0 && fsync(dir_fd) < 0)
        r = -errno;
    if (r < 0)
        (void)unlinkat(dir_fd, temporary, 0);
    return r;
}

int file_remove(int dir_fd, const char *name) {
    if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
        return -errno;
    return fsync(dir_fd) < 0 ? -errno : 0;
}
