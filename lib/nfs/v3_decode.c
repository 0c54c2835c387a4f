// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "lib/nfs/directory.h"
#include "lib/nfs/protocol.h"
#include "lib/nfs/status.h"
#include "lib/nfs/v3.h"
#include "lib/nfs/values.h"

static struct timespec get_time(struct xdr_in *in) {
    uint32_t sec = xdr_get_u32(in), nsec = xdr_get_u32(in);
    return (struct timespec){.tv_sec = sec, .tv_nsec = nsec < 1000000000 ? (long)nsec : 0};
}

static void get_fattr(struct xdr_in *in, struct nfs_attr *attr) {
    static const uint32_t types[] = {[NF3REG] = S_IFREG, [NF3DIR] = S_IFDIR,   [NF3BLK] = S_IFBLK, [NF3CHR] = S_IFCHR,
                                     [NF3LNK] = S_IFLNK, [NF3SOCK] = S_IFSOCK, [NF3FIFO] = S_IFIFO};
    uint32_t type = xdr_get_u32(in);
    if (type >= ARRAY_SIZE(types) || !types[type])
        in->bad = true;
    *attr = (struct nfs_attr){.mode = in->bad ? 0 : types[type]};
    attr->mode |= xdr_get_u32(in) & 07777;
    attr->nlink = xdr_get_u32(in);
    attr->uid = xdr_get_u32(in);
    attr->gid = xdr_get_u32(in);
    attr->size = xdr_get_u64(in);
    attr->used = xdr_get_u64(in);
    attr->rdev_major = xdr_get_u32(in);
    attr->rdev_minor = xdr_get_u32(in);
    attr->fsid = xdr_get_u64(in);
    attr->fileid = xdr_get_u64(in);
    attr->atime = get_time(in);
    attr->mtime = get_time(in);
    attr->ctime = get_time(in);
}

static bool get_post_op(struct xdr_in *in, struct nfs_attr *attr) {
    if (!xdr_get_u32(in))
        return false;
    get_fattr(in, attr);
    return !in->bad;
}

static void get_call_attr(struct xdr_in *in, struct nfs_call *call) {
    call->has_attr = get_post_op(in, &call->attr);
}

static void skip_attr_before(struct xdr_in *in) {
    if (xdr_get_u32(in))
        (void)xdr_get_fixed(in, 8 + 8 + 8); // size, mtime and ctime
}

static void get_wcc(struct xdr_in *in, struct nfs_call *call) {
    skip_attr_before(in);
    get_call_attr(in, call);
}

// At the end of a reply whose change is done already: nonsense here makes nobody fail.
static void get_dir_wcc(const struct xdr_in *in, struct nfs_call *call) {
    struct xdr_in tail = *in;
    skip_attr_before(&tail);
    call->has_dir_attr = get_post_op(&tail, &call->dir_attr) && S_ISDIR(call->dir_attr.mode);
}

static void get_fh(struct xdr_in *in, struct nfs_fh *fh) {
    uint32_t len = 0;
    const uint8_t *data = xdr_get_opaque(in, NFS_V3_FH_MAX, &len);
    if (!data || len == 0)
        in->bad = true;
    *fh = (struct nfs_fh){.len = (uint8_t)len};
    if (data)
        memcpy(fh->data, data, len);
}

static int get_found(struct xdr_in *in, struct nfs_call *call) {
    get_fh(in, &call->out_fh);
    get_call_attr(in, call);
    return 0;
}

// CREATE, MKDIR, SYMLINK, MKNOD. A server may leave out the handle (RFC 1813 3.3.8): then it is looked up.
static int get_made(struct xdr_in *in, struct req *req) {
    if (xdr_get_u32(in))
        get_fh(in, &req->call->out_fh);
    get_call_attr(in, req->call);
    get_dir_wcc(in, req->call);
    if (req->call->out_fh.len > 0)
        return 0;
    req->step = NFS_V3_FIND;
    return PROTOCOL_NEXT;
}

static int get_link_target(struct xdr_in *in, struct nfs_call *call) {
    get_call_attr(in, call);
    return nfs_get_text(in, call);
}

static void get_access(struct xdr_in *in, struct nfs_call *call) {
    get_call_attr(in, call);
    call->access &= nfs_get_access(in);
}

static int get_written(struct xdr_in *in, struct nfs_call *call) {
    get_wcc(in, call);
    return nfs_get_written(in, call);
}

static void get_entry(struct xdr_in *in, struct nfs_dirent *entry, const uint8_t **ret_name, uint32_t *ret_len) {
    entry->fileid = xdr_get_u64(in);
    *ret_name = xdr_get_opaque(in, NFS_NAME_MAX, ret_len);
    entry->cookie = xdr_get_u64(in);
}

static void get_entry_plus(struct xdr_in *in, struct nfs_dirent *entry, const uint8_t **ret_name, uint32_t *ret_len) {
    get_entry(in, entry, ret_name, ret_len);
    entry->has_attr = get_post_op(in, &entry->attr);
    entry->has_fh = xdr_get_u32(in) != 0;
    if (entry->has_fh)
        get_fh(in, &entry->fh);
}

static int get_directory(struct req *req, struct xdr_in *in) {
    struct nfs_call *call = req->call;
    get_call_attr(in, call);
    nfs_get_verifier(in, call);
    return nfs_directory_decode(call, in, req->step == NFS_V3_PLAIN ? get_entry : get_entry_plus);
}

static void get_fsstat(struct xdr_in *in, struct nfs_call *call) {
    get_call_attr(in, call);
    call->fsstat.total_bytes = xdr_get_u64(in);
    call->fsstat.free_bytes = xdr_get_u64(in);
    call->fsstat.avail_bytes = xdr_get_u64(in);
    call->fsstat.total_files = xdr_get_u64(in);
    call->fsstat.free_files = xdr_get_u64(in);
    call->fsstat.avail_files = xdr_get_u64(in);
}

static int get_results(struct req *req, struct xdr_in *in) {
    struct nfs_call *call = req->call;
    switch (call->op) {
    case NFS_GETATTR:
        get_fattr(in, &call->attr);
        call->has_attr = true;
        return 0;
    case NFS_LOOKUP:
        return get_found(in, call);
    case NFS_ACCESS:
        get_access(in, call);
        return 0;
    case NFS_READLINK:
        return get_link_target(in, call);
    case NFS_WRITE:
        return get_written(in, call);
    case NFS_COMMIT:
        get_wcc(in, call);
        nfs_get_verifier(in, call);
        return 0;
    case NFS_CREATE:
    case NFS_MKDIR:
    case NFS_SYMLINK:
    case NFS_MKNOD:
        return get_made(in, req);
    case NFS_SETATTR:
        get_wcc(in, call);
        return 0;
    case NFS_LINK:
        get_call_attr(in, call);
        return 0;
    case NFS_READDIR:
        return get_directory(req, in);
    case NFS_FSSTAT:
        get_fsstat(in, call);
        return 0;
    case NFS_REMOVE:
    case NFS_RMDIR:
        get_dir_wcc(in, call);
        return 0;
    case NFS_RENAME:
    case NFS_READ: // nfs_v3_decode_read
    case NFS_OP_COUNT:
        break;
    }
    return 0;
}

static bool promises_attr(enum nfs_op op) {
    switch (op) {
    case NFS_LOOKUP:
    case NFS_CREATE:
    case NFS_MKDIR:
    case NFS_SYMLINK:
    case NFS_MKNOD:
    case NFS_SETATTR:
    case NFS_LINK:
        return true;
    default:
        return false;
    }
}

const struct nfs_fh *nfs_v3_object(const struct req *req) {
    const struct nfs_call *call = req->call;
    return call->op == NFS_SETATTR || call->op == NFS_LINK ? &call->fh : &call->out_fh;
}

static int get_stat(struct req *req, struct xdr_in *in) {
    get_fattr(in, &req->call->attr);
    req->call->has_attr = !in->bad;
    return in->bad ? -EPROTO : 0;
}

static int refused(struct req *req, uint32_t status) {
    if (req->step == NFS_V3_STAT && req->call->op != NFS_LOOKUP && status != NFS3ERR_JUKEBOX)
        return 0; // what was asked for has been done
    if (req->call->op == NFS_READDIR && req->step != NFS_V3_PLAIN && status == NFS3ERR_NOTSUPP) {
        nfs_v3_set_plain_readdir(req);
        return PROTOCOL_NEXT;
    }
    return nfs_status_error(status);
}

int nfs_v3_decode(struct req *req, struct xdr_in *in) {
    uint32_t status = xdr_get_u32(in);
    if (in->bad)
        return -EPROTO;
    if (status != NFS3_OK)
        return refused(req, status);
    if (req->step == NFS_V3_STAT)
        return get_stat(req, in);
    int r = req->step == NFS_V3_FIND ? get_found(in, req->call) : get_results(req, in);
    if (r < 0 || in->bad)
        return r < 0 ? r : -EPROTO;
    if (r == 0 && !req->call->has_attr && promises_attr(req->call->op)) { // a server may leave them out (RFC 1813 2.6)
        req->step = NFS_V3_STAT;
        return PROTOCOL_NEXT;
    }
    return r;
}

int nfs_v3_decode_read(struct req *req, struct xdr_in *in, uint32_t *ret_len) {
    uint32_t status = xdr_get_u32(in);
    if (in->bad || status != NFS3_OK)
        return in->bad ? -EPROTO : nfs_status_error(status);
    get_call_attr(in, req->call);
    (void)xdr_get_u32(in); // count, which the length of the data repeats
    req->call->eof = xdr_get_u32(in) != 0;
    *ret_len = xdr_get_u32(in);
    return 0;
}
