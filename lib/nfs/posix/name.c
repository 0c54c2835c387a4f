// SPDX-License-Identifier: Apache-2.0
// Operations on names in a directory. nfs_call_check has seen to it that each is one component, and not "..".
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "lib/nfs/posix/attr.h"
#include "lib/nfs/posix/files.h"
#include "lib/nfs/posix/node.h"
#include "lib/nfs/posix/table.h"

// ---- telling what is there

// Takes `fd`, of call->name in call->fh.
static int tell(struct posix_worker *worker, struct nfs_call *call, int fd) {
    struct statx stx;
    int r = posix_stat(fd, false, &stx);
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    r = posix_node_learn(worker, &call->fh, call->name, fd, &stx, &call->out_fh);
    posix_put_attr(&stx, &call->attr);
    call->has_attr = r == 0;
    return r;
}

int posix_lookup(struct posix_worker *worker, struct nfs_call *call) {
    struct posix_node dir cleanup_node = POSIX_NODE_NONE;
    int fd = -1;
    int r = posix_node_get(worker, &call->fh, &dir);
    if (r == 0)
        r = posix_dir_error(dir.fd, posix_open_name(dir.fd, call->name, &fd));
    return r < 0 ? r : tell(worker, call, fd);
}

// ---- making

// What was made a moment ago by `made` (its result): finishes it, and tells.
static int finish(struct posix_worker *worker, struct nfs_call *call, int dir_fd, int made) {
    int fd = -1;
    int r = made < 0 ? -errno : posix_open_name(dir_fd, call->name, &fd);
    if (r == 0)
        r = posix_apply(worker, fd, &call->set, true);
    if (r < 0 && fd >= 0)
        (void)close(fd);
    if (r == 0)
        r = tell(worker, call, fd);
    posix_tell_dir_attr(call, dir_fd);
    return posix_dir_error(dir_fd, r);
}

static mode_t mode_of(const struct nfs_call *call, mode_t otherwise) {
    return call->set.mask & NFS_SET_MODE ? call->set.mode & 07777 : otherwise;
}

static int find_existing(struct posix_worker *worker, struct nfs_call *call, int dir_fd) {
    int fd = -1;
    int r = posix_open_name(dir_fd, call->name, &fd);
    if (r == 0)
        r = tell(worker, call, fd);
    return r == 0 && !S_ISREG(call->attr.mode) ? -EEXIST : r;
}

// Keeps `opened` for the writes that are about to come: the creator may write whatever the mode is.
static int finish_file(struct posix_worker *worker, struct nfs_call *call, int dir_fd, int opened) {
    int r = posix_apply(worker, opened, &call->set, true);
    int fd = r == 0 ? posix_reopen(worker, opened, O_PATH) : -1;
    if (r == 0 && call->set.mask & NFS_SET_SIZE && ftruncate(opened, (off_t)call->set.size) < 0)
        r = -errno;
    if (r == 0)
        r = fd < 0 ? fd : tell(worker, call, fd);
    else if (fd >= 0)
        (void)close(fd);
    if (r == 0)
        posix_file_keep(worker, &call->out_fh, POSIX_FILE_WRITE, opened);
    else
        (void)close(opened);
    posix_tell_dir_attr(call, dir_fd);
    return r;
}

int posix_create(struct posix_worker *worker, struct nfs_call *call) {
    struct posix_node dir cleanup_node = POSIX_NODE_NONE;
    int r = posix_node_get(worker, &call->fh, &dir);
    if (r < 0)
        return r;
    int fd = openat(dir.fd, call->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                    mode_of(call, 0644));
    if (fd >= 0)
        return finish_file(worker, call, dir.fd, fd);
    r = -errno;
    return r == -EEXIST && !call->exclusive ? find_existing(worker, call, dir.fd) : posix_dir_error(dir.fd, r);
}

int posix_mkdir(struct posix_worker *worker, struct nfs_call *call) {
    struct posix_node dir cleanup_node = POSIX_NODE_NONE;
    int r = posix_node_get(worker, &call->fh, &dir);
    return r < 0 ? r : finish(worker, call, dir.fd, mkdirat(dir.fd, call->name, mode_of(call, 0755)));
}

int posix_symlink(struct posix_worker *worker, struct nfs_call *call) {
    struct posix_node dir cleanup_node = POSIX_NODE_NONE;
    int r = posix_node_get(worker, &call->fh, &dir);
    return r < 0 ? r : finish(worker, call, dir.fd, symlinkat(call->target, dir.fd, call->name));
}

int posix_mknod(struct posix_worker *worker, struct nfs_call *call) {
    struct posix_node dir cleanup_node = POSIX_NODE_NONE;
    mode_t type = call->set.mode & S_IFMT;
    if (type != S_IFIFO && type != S_IFSOCK && type != S_IFCHR && type != S_IFBLK)
        return -EINVAL;
    int r = posix_node_get(worker, &call->fh, &dir);
    dev_t device = makedev(call->rdev_major, call->rdev_minor);
    return r < 0 ? r : finish(worker, call, dir.fd, mknodat(dir.fd, call->name, type | mode_of(call, 0644), device));
}

int posix_link(struct posix_worker *worker, struct nfs_call *call) {
    struct posix_node file cleanup_node = POSIX_NODE_NONE, dir cleanup_node = POSIX_NODE_NONE;
    char number[16];
    struct statx stx;
    int r = posix_node_get(worker, &call->fh, &file);
    if (r == 0)
        r = posix_node_get(worker, &call->fh2, &dir);
    if (r == 0)
        r = posix_stat(file.fd, false, &stx);
    if (r == 0 && S_ISDIR(stx.stx_mode))
        r = -EISDIR;
    if (r < 0)
        return r;
    (void)snprintf(number, sizeof number, "%d", file.fd);
    if (linkat(posix_owner(worker)->proc_fd, number, dir.fd, call->name, AT_SYMLINK_FOLLOW) < 0)
        return posix_dir_error(dir.fd, -errno);
    return posix_tell_attr(call, file.fd, false);
}

// ---- removing

// What a name stands for before it is taken away or replaced; false: nothing.
static bool look(int dir_fd, const char *name, struct statx *ret) {
    return statx(dir_fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME, ret) == 0;
}

// Its last name went: no descriptor of ours is to keep its room.
static void let_go(struct posix_worker *worker, const struct statx *old) {
    if (!S_ISDIR(old->stx_mode) && old->stx_nlink > 1)
        return;
    posix_files_drop(worker, old->stx_ino);
    if (posix_owner(worker)->table)
        posix_table_forget(posix_owner(worker)->table, old);
}

static int unlink_name(struct posix_worker *worker, struct nfs_call *call, int flags) {
    struct posix_node dir cleanup_node = POSIX_NODE_NONE;
    struct statx old;
    int r = posix_node_get(worker, &call->fh, &dir);
    if (r < 0)
        return r;
    bool known = look(dir.fd, call->name, &old);
    r = unlinkat(dir.fd, call->name, flags) < 0 ? -errno : 0;
    if (r == 0 && known)
        let_go(worker, &old);
    posix_tell_dir_attr(call, dir.fd);
    return r == -EEXIST ? -ENOTEMPTY : posix_dir_error(dir.fd, r); // POSIX lets file systems say either
}

int posix_remove(struct posix_worker *worker, struct nfs_call *call) {
    return unlink_name(worker, call, 0);
}

int posix_rmdir(struct posix_worker *worker, struct nfs_call *call) {
    return unlink_name(worker, call, AT_REMOVEDIR);
}

// Where handles are found by name, the new name is to be known.
static void learn_moved(struct posix_worker *worker, const struct nfs_call *call, int dir_fd) {
    struct nfs_fh fh;
    struct statx stx;
    int fd = -1;
    if (posix_open_name(dir_fd, call->name2, &fd) < 0)
        return;
    if (posix_stat(fd, false, &stx) < 0)
        (void)close(fd);
    else
        (void)!posix_node_learn(worker, &call->fh2, call->name2, fd, &stx, &fh);
}

int posix_rename(struct posix_worker *worker, struct nfs_call *call) {
    struct posix_node from cleanup_node = POSIX_NODE_NONE, to cleanup_node = POSIX_NODE_NONE;
    struct statx old, moved;
    int r = posix_node_get(worker, &call->fh, &from);
    if (r == 0)
        r = posix_node_get(worker, &call->fh2, &to);
    if (r < 0)
        return r;
    bool replaces = look(to.fd, call->name2, &old) &&
                    !(look(from.fd, call->name, &moved) && moved.stx_ino == old.stx_ino); // two names of one file stay
    if (renameat2(from.fd, call->name, to.fd, call->name2, 0) < 0) {
        r = -errno == -EEXIST ? -ENOTEMPTY : -errno;
        r = posix_dir_error(from.fd, r);
        return posix_dir_error(to.fd, r);
    }
    if (replaces)
        let_go(worker, &old);
    if (posix_owner(worker)->table)
        learn_moved(worker, call, to.fd);
    return 0;
}
