// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "lib/nfs/protocol.h"
#include "lib/nfs/v4.h"
#include "lib/nfs/values.h"

static const uint8_t anonymous[16]; // the stateid of nobody's open (RFC 7530 9.1.4.3)

static int put_read(struct v4_compound *c, const struct nfs_call *call) {
    v4_getattr(c); // before READ, so that the data come last
    v4_op(c, OP_READ);
    xdr_put_fixed(c->out, anonymous, sizeof anonymous);
    xdr_put_u64(c->out, call->offset);
    xdr_put_u32(c->out, call->count);
    return 0;
}

static int put_write(struct v4_compound *c, const struct nfs_call *call) {
    v4_op(c, OP_WRITE);
    xdr_put_fixed(c->out, anonymous, sizeof anonymous);
    xdr_put_u64(c->out, call->offset);
    xdr_put_u32(c->out, call->stable ? FILE_SYNC4 : UNSTABLE4);
    xdr_put_u32(c->out, call->count); // the data follow
    return 0;
}

static int put_setattr(struct v4_compound *c, const struct nfs_call *call) {
    v4_op(c, OP_SETATTR);
    xdr_put_fixed(c->out, anonymous, sizeof anonymous);
    v4_put_fattr(c->out, &call->set, call->set.mask);
    v4_getattr(c);
    return 0;
}

static int put_access(struct v4_compound *c, const struct nfs_call *call) {
    v4_op(c, OP_ACCESS);
    nfs_put_access(c->out, call->access);
    v4_getattr(c);
    return 0;
}

static void put_name(struct v4_compound *c, const char *name) {
    v4_op(c, OP_LOOKUP);
    xdr_put_text(c->out, name);
}

static void put_object(struct v4_compound *c) {
    v4_op(c, OP_GETFH);
    v4_getattr(c);
}

static int special_type(uint32_t mode, uint32_t *ret) {
    switch (mode & S_IFMT) {
    case S_IFCHR:
        *ret = NF4CHR;
        return 0;
    case S_IFBLK:
        *ret = NF4BLK;
        return 0;
    case S_IFSOCK:
        *ret = NF4SOCK;
        return 0;
    case S_IFIFO:
        *ret = NF4FIFO;
        return 0;
    default:
        return -EINVAL;
    }
}

static int put_create(struct v4_compound *c, const struct nfs_call *call) { // MKDIR, SYMLINK, MKNOD
    uint32_t type = call->op == NFS_MKDIR ? NF4DIR : NF4LNK;
    unsigned mask = call->set.mask & ~(unsigned)NFS_SET_SIZE;
    int r = call->op == NFS_MKNOD ? special_type(call->set.mode, &type) : 0;
    if (r < 0)
        return r;
    v4_op(c, OP_CREATE);
    xdr_put_u32(c->out, type);
    if (type == NF4LNK) {
        xdr_put_text(c->out, call->target);
        mask &= ~(unsigned)NFS_SET_MODE;
    } else if (type == NF4BLK || type == NF4CHR) {
        xdr_put_u32(c->out, call->rdev_major);
        xdr_put_u32(c->out, call->rdev_minor);
    }
    xdr_put_text(c->out, call->name);
    v4_put_fattr(c->out, &call->set, mask);
    put_object(c);
    return 0;
}

static int put_link(struct v4_compound *c, const struct nfs_call *call) {
    v4_op(c, OP_SAVEFH);
    v4_putfh(c, &call->fh2);
    v4_op(c, OP_LINK);
    xdr_put_text(c->out, call->name);
    v4_op(c, OP_RESTOREFH);
    v4_getattr(c);
    return 0;
}

static int put_rename(struct v4_compound *c, const struct nfs_call *call) {
    v4_op(c, OP_SAVEFH);
    v4_putfh(c, &call->fh2);
    v4_op(c, OP_RENAME);
    xdr_put_text(c->out, call->name);
    xdr_put_text(c->out, call->name2);
    return 0;
}

// v4 removes anything by one operation: the type is checked first, by the server, in the same compound.
static int put_remove(struct v4_compound *c, const struct nfs_call *call) {
    put_name(c, call->name);
    v4_op(c, call->op == NFS_RMDIR ? OP_VERIFY : OP_NVERIFY);
    v4_put_type(c->out, NF4DIR);
    v4_putfh(c, &call->fh);
    v4_op(c, OP_REMOVE);
    xdr_put_text(c->out, call->name);
    return 0;
}

static int put_readdir(struct v4_compound *c, const struct nfs_call *call) {
    v4_op(c, OP_READDIR);
    xdr_put_u64(c->out, call->cookie);
    xdr_put_fixed(c->out, call->verifier, sizeof call->verifier);
    xdr_put_u32(c->out, NFS_IO_MAX); // bytes of names
    xdr_put_u32(c->out, NFS_IO_MAX); // of all
    v4_put_dirent_bitmap(c->out, call->want_attr);
    return 0;
}

static int put_getattr(struct v4_compound *c, const struct nfs_call *call) {
    (void)call;
    v4_getattr(c);
    return 0;
}

static int put_lookup(struct v4_compound *c, const struct nfs_call *call) {
    put_name(c, call->name);
    put_object(c);
    return 0;
}

static int put_readlink(struct v4_compound *c, const struct nfs_call *call) {
    (void)call;
    v4_op(c, OP_READLINK);
    return 0;
}

static int put_commit(struct v4_compound *c, const struct nfs_call *call) {
    v4_op(c, OP_COMMIT);
    xdr_put_u64(c->out, call->offset);
    xdr_put_u32(c->out, call->count);
    return 0;
}

static int put_fsstat(struct v4_compound *c, const struct nfs_call *call) {
    (void)call;
    v4_op(c, OP_GETATTR);
    v4_put_fsstat_bitmap(c->out);
    return 0;
}

// What follows PUTFH; CREATE is v4_create.c's.
static int (*const encoders[NFS_OP_COUNT])(struct v4_compound *c, const struct nfs_call *call) = {
    [NFS_GETATTR] = put_getattr,   [NFS_SETATTR] = put_setattr, [NFS_LOOKUP] = put_lookup, [NFS_ACCESS] = put_access,
    [NFS_READLINK] = put_readlink, [NFS_READ] = put_read,       [NFS_WRITE] = put_write,   [NFS_COMMIT] = put_commit,
    [NFS_MKDIR] = put_create,      [NFS_SYMLINK] = put_create,  [NFS_MKNOD] = put_create,  [NFS_LINK] = put_link,
    [NFS_REMOVE] = put_remove,     [NFS_RMDIR] = put_remove,    [NFS_RENAME] = put_rename, [NFS_READDIR] = put_readdir,
    [NFS_FSSTAT] = put_fsstat,
};

int v4_encode(struct req *req, struct xdr_out *out) {
    const struct nfs_call *call = req->call;
    if (call->op == NFS_CREATE)
        return v4_encode_create(req, out);
    struct v4_compound c = v4_begin(out);
    v4_putfh(&c, &call->fh);
    if (call->op == NFS_WRITE) {
        req->tail = call->data;
        req->tail_len = call->count;
    }
    int r = encoders[call->op] ? encoders[call->op](&c, call) : -EINVAL;
    v4_end(&c);
    return r;
}
