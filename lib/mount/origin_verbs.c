// SPDX-License-Identifier: Apache-2.0
// What the child does for origin.c.
#include <errno.h>
#include <fcntl.h>
#include <libmount/libmount.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/str.h"
#include "lib/mount/verbs.h"

#define REPLY_FD 3 // of a child, see process.h

// ---- what a helper says, it says to the standard error output

static int listen_to_helper(void) {
    int fd = memfd_create("helper", MFD_CLOEXEC);
    if (fd >= 0)
        (void)dup2(fd, STDERR_FILENO);
    (void)fcntl(REPLY_FD, F_SETFD, FD_CLOEXEC); // a daemon that it leaves behind does not need it
    return fd;
}

// The last line; "" when there is none.
static void last_words(int fd, char *ret, size_t size) {
    char text[1024];
    off_t end = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
    off_t from = end > (off_t)sizeof text - 1 ? end - ((off_t)sizeof text - 1) : 0;
    ssize_t n = end > 0 ? pread(fd, text, sizeof text - 1, from) : 0;
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
        n--;
    text[n > 0 ? n : 0] = '\0';
    const char *line = strrchr(text, '\n');
    (void)snprintf(ret, size, "%s", line ? line + 1 : text);
}

// Which mount is on top there; 0: not known.
static uint64_t mount_at(const char *path) {
    struct statx stx;
    bool known = statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_MNT_ID, &stx) == 0 && (stx.stx_mask & STATX_MNT_ID);
    return known ? stx.stx_mnt_id : 0;
}

// A helper that failed may leave a mount behind that nobody serves (ENOTCONN).
static void clean_up(const char *target, uint64_t before) {
    uint64_t now = mount_at(target);
    if (before != 0 && now != before)
        (void)umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW);
}

static int set_up(struct libmnt_context *context, char **args) {
    int r = mnt_context_set_fstype(context, args[0]);
    if (r == 0)
        r = mnt_context_set_source(context, args[1]);
    if (r == 0)
        r = mnt_context_set_target(context, args[2]);
    if (r == 0)
        r = mnt_context_set_options(context, args[3]);
    if (r == 0)
        r = mnt_context_disable_mtab(context, 1);
    if (r == 0)
        r = mnt_context_disable_canonicalize(context, 1);
    return r;
}

// libmount's result is 0, a negative errno, or positive with the errno of mount(2) beside it; a helper has an exit status.
static int result_of(struct libmnt_context *context, int r) {
    if (mnt_context_helper_executed(context))
        return mnt_context_get_helper_status(context) == 0 ? 0 : -EIO;
    if (r != 0 && mnt_context_syscall_called(context))
        return -mnt_context_get_syscall_errno(context);
    return r > 0 ? -EINVAL : r;
}

int verb_origin(char **args, struct child_reply *reply, struct err *err) {
    (void)reply;
    char words[160] = "";
    struct libmnt_context *context = mnt_new_context();
    if (!context)
        return err_set(err, -ENOMEM, "out of memory");
    uint64_t before = mount_at(args[2]);
    int heard cleanup_close = listen_to_helper();
    int r = set_up(context, args);
    if (r == 0)
        r = result_of(context, mnt_context_mount(context));
    if (r < 0)
        clean_up(args[2], before);
    mnt_free_context(context);
    last_words(heard, words, sizeof words);
    if (r == -ENODEV)
        return err_set(err, r, "%s mount of %s: neither the kernel nor a mount.%s knows this type; install its client",
                       args[0], args[1], args[0]);
    return r < 0 ? err_set(err, r, "%s mount of %s: %s", args[0], args[1], *words ? words : err_name(r)) : 0;
}

// ---- a directory of this host

int verb_path(char **args, struct child_reply *reply, struct err *err) {
    (void)reply;
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    char source[64];
    int allowed cleanup_close = open(args[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (allowed < 0)
        return err_set(err, -errno, "%s: %s", args[0], err_name(errno));
    int fd cleanup_close = (int)syscall(SYS_openat2, allowed, args[1], &how, sizeof how);
    if (fd < 0)
        return err_set(err, errno == ELOOP || errno == EXDEV ? -EACCES : -errno, "%s/%s: %s", args[0], args[1],
                       errno == ELOOP || errno == EXDEV ? "it leads through a symbolic link or out of what is allowed"
                                                        : err_name(errno));
    (void)snprintf(source, sizeof source, "/proc/self/fd/%d", fd);
    if (mount(source, args[2], NULL, MS_BIND, NULL) < 0)
        return err_set(err, -errno, "bind mount of %s/%s on %s: %s", args[0], args[1], args[2], err_name(errno));
    unsigned long flags = MS_BIND | MS_REMOUNT | MS_NOSUID | MS_NODEV | (str_eq(args[3], "ro") ? MS_RDONLY : 0);
    if (mount(NULL, args[2], NULL, flags, NULL) == 0)
        return 0;
    int code = -errno;
    (void)umount2(args[2], MNT_DETACH | UMOUNT_NOFOLLOW);
    return err_set(err, code, "bind mount of %s/%s on %s: %s", args[0], args[1], args[2], err_name(code));
}
