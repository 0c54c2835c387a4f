// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/attr.h"

#include <stddef.h>
#include <sys/sysmacros.h>

#include "lib/base/clock.h"
#include "node-plugin/cachefs/fs.h"

#define BLOCK_SIZE 4096u      // unit of statfs
#define IO_SIZE (64u * 1024u) // st_blksize: what stdio reads and writes at a time

void attr_to_stat(const struct nfs_attr *attr, struct stat *ret) {
    *ret = (struct stat){.st_ino = attr->fileid,
                         .st_mode = attr->mode,
                         .st_nlink = attr->nlink,
                         .st_uid = attr->uid,
                         .st_gid = attr->gid,
                         .st_rdev = makedev(attr->rdev_major, attr->rdev_minor),
                         .st_size = (off_t)attr->size,
                         .st_blksize = IO_SIZE,
                         .st_blocks = (blkcnt_t)((attr->used + 511) / 512),
                         .st_atim = attr->atime,
                         .st_mtim = attr->mtime,
                         .st_ctim = attr->ctime};
}

void attr_to_statvfs(const struct nfs_fsstat *fsstat, struct statvfs *ret) {
    *ret = (struct statvfs){.f_bsize = BLOCK_SIZE,
                            .f_frsize = BLOCK_SIZE,
                            .f_blocks = fsstat->total_bytes / BLOCK_SIZE,
                            .f_bfree = fsstat->free_bytes / BLOCK_SIZE,
                            .f_bavail = fsstat->avail_bytes / BLOCK_SIZE,
                            .f_files = fsstat->total_files,
                            .f_ffree = fsstat->free_files,
                            .f_favail = fsstat->avail_files,
                            .f_namemax = NFS_NAME_MAX};
}

struct node_stamp attr_stamp(const struct nfs_attr *attr) {
    return (struct node_stamp){.mtime = attr->mtime, .ctime = attr->ctime, .size = attr->size, .valid = true};
}

bool attr_is_fresh(const struct nfs_attr *attr, int64_t now_ns) {
    const struct timespec *last = attr->mtime.tv_sec > attr->ctime.tv_sec ? &attr->mtime : &attr->ctime;
    return last->tv_sec + 2 >= now_ns / NS_PER_S;
}

void attr_from_fuse(const struct stat *st, int to_set, struct nfs_setattr *ret) {
    static const struct {
        int fuse;
        unsigned nfs;
    } bits[] = {
        {FUSE_SET_ATTR_MODE, NFS_SET_MODE}, {FUSE_SET_ATTR_UID, NFS_SET_UID},     {FUSE_SET_ATTR_GID, NFS_SET_GID},
        {FUSE_SET_ATTR_SIZE, NFS_SET_SIZE}, {FUSE_SET_ATTR_ATIME, NFS_SET_ATIME}, {FUSE_SET_ATTR_MTIME, NFS_SET_MTIME},
    };
    *ret = (struct nfs_setattr){.mode = st->st_mode & 07777,
                                .uid = st->st_uid,
                                .gid = st->st_gid,
                                .size = (uint64_t)st->st_size,
                                .atime = st->st_atim,
                                .mtime = st->st_mtim};
    for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
        if (to_set & bits[i].fuse)
            ret->mask |= bits[i].nfs;
    // "now" is the server's: a caller that may write but does not own the file may set no other time
    if (to_set & FUSE_SET_ATTR_ATIME_NOW)
        ret->mask = (ret->mask & ~(unsigned)NFS_SET_ATIME) | NFS_SET_ATIME_NOW;
    if (to_set & FUSE_SET_ATTR_MTIME_NOW)
        ret->mask = (ret->mask & ~(unsigned)NFS_SET_MTIME) | NFS_SET_MTIME_NOW;
}
