// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "lib/nfs/directory.h"
#include "lib/nfs/protocol.h"
#include "lib/nfs/status.h"
#include "lib/nfs/v4.h"
#include "lib/nfs/values.h"

static void get_attr(struct xdr_in *in, struct nfs_call *call) {
    struct v4_attrs attrs;
    v4_expect(in, OP_GETATTR);
    v4_get_fattr(in, &attrs);
    call->attr = attrs.attr;
    call->has_attr = attrs.has_attr && !in->bad;
}

static void get_object(struct xdr_in *in, struct nfs_call *call) {
    v4_expect(in, OP_GETFH);
    v4_get_fh(in, &call->out_fh);
    get_attr(in, call);
}

static void get_access(struct xdr_in *in, struct nfs_call *call) {
    v4_expect(in, OP_ACCESS);
    (void)xdr_get_u32(in); // supported
    call->access &= nfs_get_access(in);
    get_attr(in, call);
}

static void get_entry(struct xdr_in *in, struct nfs_dirent *entry, const uint8_t **ret_name, uint32_t *ret_len) {
    struct v4_attrs attrs;
    entry->cookie = xdr_get_u64(in);
    *ret_name = xdr_get_opaque(in, NFS_NAME_MAX, ret_len);
    v4_get_fattr(in, &attrs);
    entry->fileid = attrs.attr.fileid;
    entry->attr = attrs.attr;
    entry->has_attr = attrs.has_attr && attrs.error == NFS4_OK;
    entry->fh = attrs.fh;
    entry->has_fh = attrs.fh.len > 0;
}

static int get_directory(struct xdr_in *in, struct nfs_call *call) {
    v4_expect(in, OP_READDIR);
    nfs_get_verifier(in, call);
    return nfs_directory_decode(call, in, get_entry);
}

static void get_fsstat(struct xdr_in *in, struct nfs_call *call) {
    struct v4_attrs attrs;
    v4_expect(in, OP_GETATTR);
    v4_get_fattr(in, &attrs);
    call->fsstat = attrs.fsstat;
}

static void get_linked(struct xdr_in *in, struct nfs_call *call) {
    v4_expect(in, OP_SAVEFH);
    v4_expect(in, OP_PUTFH);
    v4_expect(in, OP_LINK);
    v4_get_change(in);
    v4_expect(in, OP_RESTOREFH);
    get_attr(in, call);
}

static void get_made(struct xdr_in *in, struct nfs_call *call) {
    v4_expect(in, OP_CREATE);
    v4_get_change(in);
    v4_get_bitmap(in);
    get_object(in, call);
}

static int get_operation(struct xdr_in *in, struct nfs_call *call) {
    switch (call->op) {
    case NFS_GETATTR:
        get_attr(in, call);
        return 0;
    case NFS_SETATTR:
        v4_expect(in, OP_SETATTR);
        v4_get_bitmap(in);
        get_attr(in, call);
        return 0;
    case NFS_LOOKUP:
        v4_expect(in, OP_LOOKUP);
        get_object(in, call);
        return 0;
    case NFS_ACCESS:
        get_access(in, call);
        return 0;
    case NFS_READLINK:
        v4_expect(in, OP_READLINK);
        return nfs_get_text(in, call);
    case NFS_WRITE:
        v4_expect(in, OP_WRITE);
        return nfs_get_written(in, call);
    case NFS_COMMIT:
        v4_expect(in, OP_COMMIT);
        nfs_get_verifier(in, call);
        return 0;
    case NFS_MKDIR:
    case NFS_SYMLINK:
    case NFS_MKNOD:
        get_made(in, call);
        return 0;
    case NFS_LINK:
        get_linked(in, call);
        return 0;
    case NFS_READDIR:
        return get_directory(in, call);
    case NFS_FSSTAT:
        get_fsstat(in, call);
        return 0;
    case NFS_REMOVE:
    case NFS_RMDIR:
    case NFS_RENAME:
    case NFS_READ:   // v4_decode_read
    case NFS_CREATE: // v4_create.c
    case NFS_OP_COUNT:
        break;
    }
    return 0;
}

int v4_decode(struct req *req, struct xdr_in *in) {
    if (req->call->op == NFS_CREATE)
        return v4_decode_create(req, in);
    uint32_t status = 0;
    int r = v4_get_compound(in, &status);
    if (req->call->op == NFS_READDIR && status == NFS4ERR_NOT_SAME) // the verifier's cookies are gone (RFC 7530 16.24)
        r = nfs_status_error(NFS4ERR_BAD_COOKIE);
    if (r < 0)
        return r;
    v4_expect(in, OP_PUTFH);
    r = get_operation(in, req->call);
    return r >= 0 && in->bad ? -EPROTO : r;
}

int v4_decode_read(struct req *req, struct xdr_in *in, uint32_t *ret_len) {
    int r = v4_get_compound(in, NULL);
    if (r < 0)
        return r;
    v4_expect(in, OP_PUTFH);
    get_attr(in, req->call);
    v4_expect(in, OP_READ);
    req->call->eof = xdr_get_u32(in) != 0;
    *ret_len = xdr_get_u32(in);
    return 0;
}
