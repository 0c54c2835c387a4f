// SPDX-License-Identifier: Apache-2.0
// An upload into a directory: a nameless file that gets its name when all of it is on the disk.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "sidecar/files_directory.h"

struct file_upload {
    int parent, fd;
    char *path, *name;
    char temporary[64]; // the name it has meanwhile; "": none
};

static struct file_upload *file_upload_free(struct file_upload *upload) {
    if (!upload)
        return NULL;
    if (upload->parent >= 0 && *upload->temporary)
        (void)unlinkat(upload->parent, upload->temporary, 0);
    if (upload->fd >= 0)
        (void)close(upload->fd);
    if (upload->parent >= 0)
        (void)close(upload->parent);
    free(upload->path);
    free(upload->name);
    free(upload);
    return NULL;
}
DEFINE_CLEANUP(file_upload)

static void make_temporary_name(struct file_upload *upload) {
    unsigned char bytes[16];
    char id[HASH_ID_LEN + 1];
    clock_random(&clock_system, bytes, sizeof bytes);
    hash_encode(bytes, id);
    (void)snprintf(upload->temporary, sizeof upload->temporary, "%s%s", directory_hidden, id);
}

static int open_file(struct file_upload *upload) {
    upload->fd = openat(upload->parent, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    if (upload->fd >= 0)
        return 0;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL)
        return -errno;
    make_temporary_name(upload); // not every file system has nameless files
    upload->fd = openat(upload->parent, upload->temporary, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (upload->fd >= 0)
        return 0;
    upload->temporary[0] = '\0';
    return -errno;
}

int directory_upload(void *self, const char *path, struct file_upload **ret, struct err *err) {
    struct file_upload *upload cleanup(file_upload_freep) = mem_zalloc(sizeof *upload);
    const char *name = NULL;
    struct stat st;
    if (!upload)
        return err_set(err, -ENOMEM, "out of memory");
    upload->parent = upload->fd = -1;
    int r = directory_open_parent(self, path, &upload->parent, &name, err);
    if (r < 0)
        return r;
    upload->path = mem_strdup(path);
    upload->name = mem_strdup(name);
    if (!upload->path || !upload->name)
        return err_set(err, -ENOMEM, "out of memory");
    if (fstatat(upload->parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
        return err_set(err, -EISDIR, "'/%.150s' is a directory", path);
    r = open_file(upload);
    if (r < 0)
        return directory_error(r, path, err);
    *ret = take_ptr(upload);
    return 0;
}

int directory_upload_write(struct file_upload *upload, const void *data, size_t len, struct err *err) {
    for (const char *at = data; len > 0;) {
        ssize_t n = write(upload->fd, at, len);
        if (n < 0 && errno != EINTR)
            return directory_error(-errno, upload->path, err);
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

// Gives the file its name. One that is there is replaced by a rename, so that there is always one or the other.
static int name_file(struct file_upload *upload) {
    char self[64];
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", upload->fd);
    if (!*upload->temporary) {
        if (linkat(AT_FDCWD, self, upload->parent, upload->name, AT_SYMLINK_FOLLOW) == 0)
            return 0;
        if (errno != EEXIST)
            return -errno;
        make_temporary_name(upload);
        if (linkat(AT_FDCWD, self, upload->parent, upload->temporary, AT_SYMLINK_FOLLOW) < 0) {
            upload->temporary[0] = '\0';
            return -errno;
        }
    }
    if (renameat(upload->parent, upload->temporary, upload->parent, upload->name) < 0)
        return -errno;
    upload->temporary[0] = '\0';
    return 0;
}

int directory_upload_commit(struct file_upload *upload, struct err *err) {
    struct file_upload *own cleanup(file_upload_freep) = upload;
    int r = fsync(own->fd) < 0 ? -errno : name_file(own);
    return r < 0 ? directory_error(r, own->path, err) : directory_sync(own->parent, own->path, err);
}

void directory_upload_cancel(struct file_upload *upload) {
    (void)file_upload_free(upload);
}
