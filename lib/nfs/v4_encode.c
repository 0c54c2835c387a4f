// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "lib/nfs/protocol.h"
#include "lib/nfs/v4.h"

static const uint8_t anonymous[16]; // the stateid of nobody's open (RFC 7530 9.1.4.3)

static void put_read(struct v4_compound *c, const struct nfs_call *call) {
    v4_getattr(c); // before READ, so that the data come last
    v4_op(c, OP_READ);
    xdr_put_fixed(c->out, anonymous, sizeof anonymous);
    xdr_put_u64(c->out, call->offset);
    xdr_put_u32(c->out, call->count);
}

static void put_write(struct v4_compound *c, struct req *req) {
    const struct nfs_call *call = req->call;
    v4_op(c, OP_WRITE);
    xdr_put_fixed(c->out, anonymous, sizeof anonymous);
    xdr_put_u64(c->out, call->offset);
    xdr_put_u32(c->out, call->stable ? FILE_SYNC4 : UNSTABLE4);
    xdr_put_u32(c->out, call->count); // the data follow
    req->tail = call->data;
    req->tail_len = call->count;
}

static void put_setattr(struct v4_compound *c, const struct nfs_call *call) {
    v4_op(c, OP_SETATTR);
    xdr_put_fixed(c->out, anonymous, sizeof anonymous);
    v4_put_fattr(c->out, &call->set, call->set.mask);
    v4_getattr(c);
}

static void put_access(struct v4_compound *c, const struct nfs_call *call) {
    uint32_t bits = call->access & R_OK ? ACCESS4_READ : 0;
    if (call->access & W_OK)
        bits |= ACCESS4_MODIFY | ACCESS4_EXTEND;
    if (call->access & X_OK)
        bits |= ACCESS4_LOOKUP | ACCESS4_EXECUTE;
    v4_op(c, OP_ACCESS);
    xdr_put_u32(c->out, bits);
    v4_getattr(c);
}

static void put_lookup(struct v4_compound *c, const char *name) {
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

static void put_link(struct v4_compound *c, const struct nfs_call *call) {
    v4_op(c, OP_SAVEFH);
    v4_putfh(c, &call->fh2);
    v4_op(c, OP_LINK);
    xdr_put_text(c->out, call->name);
    v4_op(c, OP_RESTOREFH);
    v4_getattr(c);
}

static void put_rename(struct v4_compound *c, const struct nfs_call *call) {
    v4_op(c, OP_SAVEFH);
    v4_putfh(c, &call->fh2);
    v4_op(c, OP_RENAME);
    xdr_put_text(c->out, call->name);
    xdr_put_text(c->out, call->name2);
}

// v4 removes anything by one operation: the type is checked first, by the server, in the same compound.
static void put_remove(struct v4_compound *c, const struct nfs_call *call) {
    put_lookup(c, call->name);
    v4_op(c, call->op == NFS_RMDIR ? OP_VERIFY : OP_NVERIFY);
    v4_put_type(c->out, NF4DIR);
    v4_putfh(c, &call->fh);
    v4_op(c, OP_REMOVE);
    xdr_put_text(c->out, call->name);
}

static void put_readdir(struct v4_compound *c, const struct nfs_call *call) {
    v4_op(c, OP_READDIR);
    xdr_put_u64(c->out, call->cookie);
    xdr_put_fixed(c->out, call->verifier, sizeof call->verifier);
    xdr_put_u32(c->out, NFS_IO_MAX); // bytes of names
    xdr_put_u32(c->out, NFS_IO_MAX); // of all
    v4_put_dirent_bitmap(c->out, call->want_attr);
}

static int put_operation(struct v4_compound *c, struct req *req) {
    const struct nfs_call *call = req->call;
    switch (call->op) {
    case NFS_GETATTR:
        v4_getattr(c);
        return 0;
    case NFS_SETATTR:
        put_setattr(c, call);
        return 0;
    case NFS_LOOKUP:
        put_lookup(c, call->name);
        put_object(c);
        return 0;
    case NFS_ACCESS:
        put_access(c, call);
        return 0;
    case NFS_READLINK:
        v4_op(c, OP_READLINK);
        return 0;
    case NFS_READ:
        put_read(c, call);
        return 0;
    case NFS_WRITE:
        put_write(c, req);
        return 0;
    case NFS_COMMIT:
        v4_op(c, OP_COMMIT);
        xdr_put_u64(c->out, call->offset);
        xdr_put_u32(c->out, call->count);
        return 0;
    case NFS_MKDIR:
    case NFS_SYMLINK:
    case NFS_MKNOD:
        return put_create(c, call);
    case NFS_LINK:
        put_link(c, call);
        return 0;
    case NFS_REMOVE:
    case NFS_RMDIR:
        put_remove(c, call);
        return 0;
    case NFS_RENAME:
        put_rename(c, call);
        return 0;
    case NFS_READDIR:
        put_readdir(c, call);
        return 0;
    case NFS_FSSTAT:
        v4_op(c, OP_GETATTR);
        v4_put_fsstat_bitmap(c->out);
        return 0;
    case NFS_CREATE: // v4_create.c
    case NFS_OP_COUNT:
        break;
    }
    return -EINVAL;
}

int v4_encode(struct req *req, struct xdr_out *out) {
    if (req->call->op == NFS_CREATE)
        return v4_encode_create(req, out);
    struct v4_compound c = v4_begin(out);
    v4_putfh(&c, &req->call->fh);
    int r = put_operation(&c, req);
    v4_end(&c);
    return r;
}
