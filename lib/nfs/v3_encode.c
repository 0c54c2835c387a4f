// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "lib/nfs/protocol.h"
#include "lib/nfs/v3.h"
#include "lib/nfs/values.h"

static void put_fh(struct xdr_out *out, const struct nfs_fh *fh) {
    xdr_put_opaque(out, fh->data, fh->len);
}

static void put_where(struct xdr_out *out, const struct nfs_call *call) {
    put_fh(out, &call->fh);
    xdr_put_text(out, call->name);
}

static void put_optional_u32(struct xdr_out *out, bool set, uint32_t value) {
    xdr_put_u32(out, set);
    if (set)
        xdr_put_u32(out, value);
}

static void put_time(struct xdr_out *out, bool now, bool set, const struct timespec *t) {
    xdr_put_u32(out, set ? SET_TO_CLIENT_TIME : now ? SET_TO_SERVER_TIME : DONT_CHANGE);
    if (!set)
        return;
    xdr_put_u32(out, (uint32_t)t->tv_sec);
    xdr_put_u32(out, (uint32_t)t->tv_nsec);
}

static void put_sattr(struct xdr_out *out, const struct nfs_setattr *set, unsigned mask) {
    put_optional_u32(out, mask & NFS_SET_MODE, set->mode & 07777);
    put_optional_u32(out, mask & NFS_SET_UID, set->uid);
    put_optional_u32(out, mask & NFS_SET_GID, set->gid);
    xdr_put_u32(out, (mask & NFS_SET_SIZE) != 0);
    if (mask & NFS_SET_SIZE)
        xdr_put_u64(out, set->size);
    put_time(out, mask & NFS_SET_ATIME_NOW, mask & NFS_SET_ATIME, &set->atime);
    put_time(out, mask & NFS_SET_MTIME_NOW, mask & NFS_SET_MTIME, &set->mtime);
}

static int put_file(struct xdr_out *out, const struct nfs_call *call) { // GETATTR, READLINK and FSSTAT
    put_fh(out, &call->fh);
    return 0;
}

static int put_name(struct xdr_out *out, const struct nfs_call *call) { // LOOKUP, REMOVE and RMDIR
    put_where(out, call);
    return 0;
}

static int put_setattr(struct xdr_out *out, const struct nfs_call *call) {
    put_fh(out, &call->fh);
    put_sattr(out, &call->set, call->set.mask);
    xdr_put_u32(out, 0); // no guard
    return 0;
}

static int put_access(struct xdr_out *out, const struct nfs_call *call) {
    put_fh(out, &call->fh);
    nfs_put_access(out, call->access);
    return 0;
}

static int put_range(struct xdr_out *out, const struct nfs_call *call) { // READ and COMMIT
    put_fh(out, &call->fh);
    xdr_put_u64(out, call->offset);
    xdr_put_u32(out, call->count);
    return 0;
}

static int put_write(struct xdr_out *out, const struct nfs_call *call) {
    put_fh(out, &call->fh);
    xdr_put_u64(out, call->offset);
    xdr_put_u32(out, call->count);
    xdr_put_u32(out, call->stable ? FILE_SYNC : UNSTABLE);
    xdr_put_u32(out, call->count); // the data follow
    return 0;
}

static int put_create(struct xdr_out *out, const struct nfs_call *call) {
    put_where(out, call);
    xdr_put_u32(out, call->exclusive ? GUARDED : UNCHECKED);
    put_sattr(out, &call->set, call->set.mask & ~(call->exclusive ? 0U : (unsigned)NFS_SET_SIZE));
    return 0;
}

static int put_mkdir(struct xdr_out *out, const struct nfs_call *call) {
    put_where(out, call);
    put_sattr(out, &call->set, call->set.mask & ~(unsigned)NFS_SET_SIZE);
    return 0;
}

static int put_symlink(struct xdr_out *out, const struct nfs_call *call) {
    put_where(out, call);
    put_sattr(out, &call->set, call->set.mask & ~(unsigned)(NFS_SET_SIZE | NFS_SET_MODE));
    xdr_put_text(out, call->target);
    return 0;
}

static int put_mknod(struct xdr_out *out, const struct nfs_call *call) {
    static const struct {
        uint32_t mode, type;
    } types[] = {{S_IFCHR, NF3CHR}, {S_IFBLK, NF3BLK}, {S_IFSOCK, NF3SOCK}, {S_IFIFO, NF3FIFO}};
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if (types[i].mode != (call->set.mode & S_IFMT))
            continue;
        put_where(out, call);
        xdr_put_u32(out, types[i].type);
        put_sattr(out, &call->set, call->set.mask & ~(unsigned)NFS_SET_SIZE);
        if (types[i].type == NF3CHR || types[i].type == NF3BLK) {
            xdr_put_u32(out, call->rdev_major);
            xdr_put_u32(out, call->rdev_minor);
        }
        return 0;
    }
    return -EINVAL;
}

static int put_readdir(struct xdr_out *out, struct req *req) {
    const struct nfs_call *call = req->call;
    req->step = nfs_v3_plain_readdir(req) ? NFS_V3_PLAIN : 0;
    put_fh(out, &call->fh);
    xdr_put_u64(out, call->cookie);
    xdr_put_fixed(out, call->verifier, sizeof call->verifier);
    xdr_put_u32(out, NFS_V3_READDIR_MAX); // READDIR: count; READDIRPLUS: dircount, which has no names' limit of its own
    if (req->step != NFS_V3_PLAIN)
        xdr_put_u32(out, NFS_V3_READDIR_MAX);
    return 0;
}

static int put_where2(struct xdr_out *out, const struct nfs_call *call) { // LINK: file, directory and name
    put_fh(out, &call->fh);
    put_fh(out, &call->fh2);
    xdr_put_text(out, call->name);
    return 0;
}

static int put_rename(struct xdr_out *out, const struct nfs_call *call) {
    put_where(out, call);
    put_fh(out, &call->fh2);
    xdr_put_text(out, call->name2);
    return 0;
}

static int (*const encoders[NFS_OP_COUNT])(struct xdr_out *out, const struct nfs_call *call) = {
    [NFS_GETATTR] = put_file,  [NFS_SETATTR] = put_setattr, [NFS_LOOKUP] = put_name,     [NFS_ACCESS] = put_access,
    [NFS_READLINK] = put_file, [NFS_READ] = put_range,      [NFS_WRITE] = put_write,     [NFS_COMMIT] = put_range,
    [NFS_CREATE] = put_create, [NFS_MKDIR] = put_mkdir,     [NFS_SYMLINK] = put_symlink, [NFS_MKNOD] = put_mknod,
    [NFS_LINK] = put_where2,   [NFS_REMOVE] = put_name,     [NFS_RMDIR] = put_name,      [NFS_RENAME] = put_rename,
    [NFS_FSSTAT] = put_file,
};

int nfs_v3_encode(struct req *req, struct xdr_out *out) {
    const struct nfs_call *call = req->call;
    if (call->fh.len > NFS_V3_FH_MAX || call->fh2.len > NFS_V3_FH_MAX)
        return -EBADF;
    if (req->step == NFS_V3_FIND)
        return put_name(out, call);
    if (req->step == NFS_V3_STAT) {
        put_fh(out, nfs_v3_object(req));
        return 0;
    }
    if (call->op == NFS_READDIR)
        return put_readdir(out, req);
    if (call->op == NFS_WRITE) {
        req->tail = call->data;
        req->tail_len = call->count;
    }
    return encoders[call->op] ? encoders[call->op](out, call) : -EINVAL;
}
