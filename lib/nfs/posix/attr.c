// SPDX-License-Identifier: Apache-2.0
// GETATTR, SETATTR, ACCESS, READLINK, FSSTAT.
#include "lib/nfs/posix/attr.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "lib/base/mem.h"
#include "lib/nfs/posix/files.h"
#include "lib/nfs/posix/node.h"

int posix_stat(int fd, bool fresh, struct statx *ret) {
    int sync = fresh ? AT_STATX_FORCE_SYNC : AT_STATX_SYNC_AS_STAT;
    if (statx(fd, "", AT_EMPTY_PATH | sync, STATX_BASIC_STATS | STATX_BTIME, ret) < 0)
        return errno == ENOENT ? -ESTALE : -errno;
    return ret->stx_nlink == 0 ? -ESTALE : 0;
}

static struct timespec put_time(const struct statx_timestamp *time) {
    return (struct timespec){.tv_sec = time->tv_sec, .tv_nsec = time->tv_nsec};
}

void posix_put_attr(const struct statx *stx, struct nfs_attr *ret) {
    *ret = (struct nfs_attr){
        .mode = stx->stx_mode,
        .nlink = stx->stx_nlink,
        .uid = stx->stx_uid,
        .gid = stx->stx_gid,
        .size = stx->stx_size,
        .used = stx->stx_blocks * 512,
        .fsid = makedev(stx->stx_dev_major, stx->stx_dev_minor),
        .fileid = stx->stx_ino,
        .rdev_major = stx->stx_rdev_major,
        .rdev_minor = stx->stx_rdev_minor,
        .atime = put_time(&stx->stx_atime),
        .mtime = put_time(&stx->stx_mtime),
        .ctime = put_time(&stx->stx_ctime),
    };
}

int posix_tell_attr(struct nfs_call *call, int fd, bool fresh) {
    struct statx stx;
    int r = posix_stat(fd, fresh, &stx);
    if (r < 0)
        return r;
    posix_put_attr(&stx, &call->attr);
    call->has_attr = true;
    return 0;
}

void posix_tell_dir_attr(struct nfs_call *call, int dir_fd) {
    struct statx stx;
    call->has_dir_attr = posix_stat(dir_fd, false, &stx) == 0;
    if (call->has_dir_attr)
        posix_put_attr(&stx, &call->dir_attr);
}

// ---- setting

static int apply_owner(int fd, const struct nfs_setattr *set) {
    if (!(set->mask & (NFS_SET_UID | NFS_SET_GID)))
        return 0;
    uid_t uid = set->mask & NFS_SET_UID ? set->uid : (uid_t)-1;
    gid_t gid = set->mask & NFS_SET_GID ? set->gid : (gid_t)-1;
    return fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

// chmod(2) takes no O_PATH descriptor; below /proc/self/fd it reaches the object itself.
static int change_mode(struct posix_worker *worker, int fd, mode_t mode) {
    char number[16];
    (void)snprintf(number, sizeof number, "%d", fd);
    return fchmodat(posix_owner(worker)->proc_fd, number, mode, 0) < 0 ? -errno : 0;
}

static int apply_mode(struct posix_worker *worker, int fd, const struct nfs_setattr *set, bool created) {
    if (!(set->mask & NFS_SET_MODE))
        return 0;
    mode_t mode = set->mode & 07777;
    if (created) { // mkdir(2) leaves these out, and chown(2) took them off
        struct stat st;
        if (fstat(fd, &st) < 0)
            return -errno;
        if (S_ISLNK(st.st_mode) || !(mode & (S_ISUID | S_ISGID) & ~st.st_mode))
            return 0;
        mode |= st.st_mode & S_ISGID;
    }
    return change_mode(worker, fd, mode);
}

static struct timespec pick_time(unsigned mask, unsigned now, unsigned given, const struct timespec *time) {
    if (mask & now)
        return (struct timespec){.tv_nsec = UTIME_NOW};
    return mask & given ? *time : (struct timespec){.tv_nsec = UTIME_OMIT};
}

static int apply_times(int fd, const struct nfs_setattr *set) {
    if (!(set->mask & (NFS_SET_ATIME | NFS_SET_MTIME | NFS_SET_ATIME_NOW | NFS_SET_MTIME_NOW)))
        return 0;
    const struct timespec times[2] = {
        pick_time(set->mask, NFS_SET_ATIME_NOW, NFS_SET_ATIME, &set->atime),
        pick_time(set->mask, NFS_SET_MTIME_NOW, NFS_SET_MTIME, &set->mtime),
    };
    return syscall(SYS_utimensat, fd, "", times, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int posix_apply(struct posix_worker *worker, int fd, const struct nfs_setattr *set, bool created) {
    int r = apply_owner(fd, set);
    if (r == 0)
        r = apply_mode(worker, fd, set, created);
    if (r == 0)
        r = apply_times(fd, set);
    return r;
}

static int apply_size(struct posix_worker *worker, const struct nfs_call *call) {
    struct posix_file *file = NULL;
    if (!(call->set.mask & NFS_SET_SIZE))
        return 0;
    if (call->set.size > INT64_MAX)
        return -EFBIG;
    int r = posix_file_get(worker, &call->fh, POSIX_FILE_WRITE, &file);
    if (r == 0 && ftruncate(file->fd, (off_t)call->set.size) < 0)
        r = -errno;
    posix_file_put(worker, file);
    return r;
}

// ---- the operations

int posix_getattr(struct posix_worker *worker, struct nfs_call *call) {
    struct posix_node node cleanup_node = POSIX_NODE_NONE;
    int r = posix_node_get(worker, &call->fh, &node);
    return r < 0 ? r : posix_tell_attr(call, node.fd, true);
}

int posix_setattr(struct posix_worker *worker, struct nfs_call *call) {
    struct posix_node node cleanup_node = POSIX_NODE_NONE;
    struct statx stx;
    int r = posix_node_get(worker, &call->fh, &node);
    if (r == 0)
        r = posix_stat(node.fd, false, &stx);
    if (r == 0)
        r = apply_size(worker, call);
    if (r == 0)
        r = posix_apply(worker, node.fd, &call->set, false);
    if (r == -ENOENT)
        r = -ESTALE;
    return r < 0 ? r : posix_tell_attr(call, node.fd, false);
}

// The kernel's own judgement of the thread's user, mode by mode.
int posix_access(struct posix_worker *worker, struct nfs_call *call) {
    static const uint32_t modes[] = {R_OK, W_OK, X_OK};
    struct posix_node node cleanup_node = POSIX_NODE_NONE;
    uint32_t granted = 0;
    int r = posix_node_get(worker, &call->fh, &node);
    if (r == 0)
        r = posix_tell_attr(call, node.fd, true);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(modes); i++)
        if ((call->access & modes[i]) && posix_may(node.fd, (int)modes[i]))
            granted |= modes[i];
    call->access = granted;
    return r;
}

int posix_readlink(struct posix_worker *worker, struct nfs_call *call) {
    struct posix_node node cleanup_node = POSIX_NODE_NONE;
    char text[PATH_MAX];
    struct statx stx;
    int r = posix_node_get(worker, &call->fh, &node);
    if (r == 0)
        r = posix_stat(node.fd, false, &stx);
    if (r == 0 && !S_ISLNK(stx.stx_mode))
        r = -EINVAL;
    if (r < 0)
        return r;
    ssize_t n = readlinkat(node.fd, "", text, sizeof text);
    if (n < 0)
        return -errno;
    call->text = mem_strndup(text, (size_t)n);
    return call->text ? 0 : -ENOMEM;
}

int posix_fsstat(struct posix_worker *worker, struct nfs_call *call) {
    struct posix_node node cleanup_node = POSIX_NODE_NONE;
    struct statvfs st;
    int r = posix_node_get(worker, &call->fh, &node);
    if (r == 0 && fstatvfs(node.fd, &st) < 0)
        r = -errno;
    if (r < 0)
        return r;
    uint64_t unit = st.f_frsize ? st.f_frsize : st.f_bsize;
    call->fsstat = (struct nfs_fsstat){.total_bytes = st.f_blocks * unit,
                                       .free_bytes = st.f_bfree * unit,
                                       .avail_bytes = st.f_bavail * unit,
                                       .total_files = st.f_files,
                                       .free_files = st.f_ffree,
                                       .avail_files = st.f_favail};
    return 0;
}
