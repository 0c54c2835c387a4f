// SPDX-License-Identifier: Apache-2.0
#include "sidecar/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"

int data_dir_make(const char *path, struct err *err) {
    char *partial cleanup_free = mem_strdup(path);
    if (!partial)
        return err_set(err, -ENOMEM, "out of memory");
    for (char *slash = partial; slash;) {
        slash = strchr(slash + 1, '/');
        if (slash)
            *slash = '\0';
        if (mkdir(partial, 0700) < 0 && errno != EEXIST)
            return err_set(err, -errno, "cannot make the folder %s: %s; give another --data-dir", partial,
                           err_name(errno));
        if (slash)
            *slash = '/';
    }
    return 0;
}

static int make_key(const char *file, const struct clock *clock, struct signer *ret, struct err *err) {
    char *partial cleanup_free = mem_printf("%s.partial", file);
    if (!partial)
        return err_set(err, -ENOMEM, "out of memory");
    clock_random(clock, ret->key, sizeof ret->key);
    int fd cleanup_close = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || write(fd, ret->key, sizeof ret->key) != (ssize_t)sizeof ret->key || fsync(fd) < 0 ||
        rename(partial, file) < 0)
        return err_set(err, -errno, "cannot write %s: %s", file, err_name(errno));
    return 0;
}

int data_dir_signer(const char *path, const struct clock *clock, struct signer *ret, struct err *err) {
    char *file cleanup_free = mem_printf("%s/signing-key", path);
    if (!file)
        return err_set(err, -ENOMEM, "out of memory");
    int fd cleanup_close = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return make_key(file, clock, ret, err);
    if (fd < 0)
        return err_set(err, -errno, "cannot read %s: %s", file, err_name(errno));
    if (read(fd, ret->key, sizeof ret->key) != (ssize_t)sizeof ret->key)
        return err_set(err, -EIO, "%s is no key of %zu bytes; remove it to have one made", file, sizeof ret->key);
    return 0;
}
