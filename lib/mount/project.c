// SPDX-License-Identifier: Apache-2.0
#include "lib/mount/project.h"

#include <errno.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/quota.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define TRIES_MAX 4096

// By descriptor (Linux 5.14), so that no name of the device is needed, which may be hidden or another one in a container.
static int control(int fd, int command, uint32_t project, void *arg) {
#ifdef SYS_quotactl_fd
    return syscall(SYS_quotactl_fd, fd, QCMD(command, PRJQUOTA), project, arg) < 0 ? -errno : 0;
#else
    (void)fd, (void)command, (void)project, (void)arg;
    return -ENOSYS;
#endif
}

int project_probe(int fd, const char **ret_type, struct err *err) {
    struct fs_quota_statv state = {.qs_version = FS_QSTATV_VERSION1};
    struct statfs st;
    if (fstatfs(fd, &st) < 0)
        return err_set(err, -errno, "statfs: %s", err_name(errno));
    *ret_type = st.f_type == XFS_SUPER_MAGIC ? "xfs" : st.f_type == EXT4_SUPER_MAGIC ? "ext4" : NULL;
    if (!*ret_type)
        return err_set(err, -EOPNOTSUPP, "is neither XFS nor ext4; put it on one of them, or take kind 'image'");
    int r = control(fd, Q_XGETQSTATV, 0, &state);
    if (r == -EPERM)
        return err_set(err, r, "quotactl is not allowed; run with CAP_SYS_ADMIN");
    if (r == 0 && (state.qs_flags & FS_QUOTA_PDQ_ENFD))
        return 0;
    return err_set(err, -EOPNOTSUPP,
                   "has no project quota; mount it with 'prjquota'%s, or take kind 'image' (needs Linux 5.14)",
                   *ret_type[0] == 'e' ? " after tune2fs -O project,quota" : "");
}

static int get(int fd, uint32_t project, struct if_dqblk *ret, struct err *err) {
    *ret = (struct if_dqblk){0};
    int r = control(fd, Q_GETQUOTA, project, ret);
    return r == -ENOENT || r == -ESRCH ? 0 : r < 0 ? err_set(err, r, "project quota: %s", err_name(r)) : 0;
}

int project_choose(int fd, uint32_t first, uint32_t *ret, struct err *err) {
    for (uint32_t i = 0; i < TRIES_MAX; i++) {
        struct if_dqblk quota;
        uint32_t project = first + i;
        int r = project == PROJECT_NONE ? 0 : get(fd, project, &quota, err);
        if (r < 0)
            return r;
        if (project == PROJECT_NONE || quota.dqb_bhardlimit || quota.dqb_curinodes || quota.dqb_curspace)
            continue;
        *ret = project;
        return 0;
    }
    return err_set(err, -ENOSPC, "no free project number near %u", first);
}

int project_limit(int fd, uint32_t project, int64_t bytes, struct err *err) {
    uint64_t blocks = ((uint64_t)bytes + QIF_DQBLKSIZE - 1) / QIF_DQBLKSIZE;
    struct if_dqblk quota = {.dqb_bhardlimit = blocks, .dqb_bsoftlimit = blocks, .dqb_valid = QIF_BLIMITS};
    int r = control(fd, Q_SETQUOTA, project, &quota);
    return r < 0 ? err_set(err, r, "the limit of project %u cannot be set: %s", project, err_name(r)) : 0;
}

int project_used(int fd, uint32_t project, int64_t *ret_bytes, struct err *err) {
    struct if_dqblk quota;
    int r = get(fd, project, &quota, err);
    *ret_bytes = r == 0 ? (int64_t)quota.dqb_curspace : 0;
    return r;
}

int project_set(int fd, uint32_t project, struct err *err) {
    struct fsxattr attributes;
    if (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) < 0)
        return err_set(err, -errno, "project of a directory: %s", err_name(errno));
    attributes.fsx_projid = project;
    attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
    if (ioctl(fd, FS_IOC_FSSETXATTR, &attributes) < 0)
        return err_set(err, -errno, "a directory does not take project %u: %s", project, err_name(errno));
    return 0;
}

int project_get(int fd, uint32_t *ret, struct err *err) {
    struct fsxattr attributes;
    if (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) < 0)
        return err_set(err, -errno, "project of a directory: %s", err_name(errno));
    *ret = attributes.fsx_projid;
    return 0;
}
