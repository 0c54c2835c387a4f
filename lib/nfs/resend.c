// SPDX-License-Identifier: Apache-2.0
// What a refusal means when the call was sent twice.
//
// Why: a server that was restarted has forgotten what it answered (its duplicate request cache is in memory). It may
//      have carried out the first one; then it refuses the second one as done already:
//
//        REMOVE, RMDIR  -ENOENT   what was asked for is so: 0
//        LINK           -EEXIST   0 when the name is a link to this very file
//        RENAME         -ENOENT   0 when the new name is there. Whether somebody else removed the old one at that moment
//                                 cannot be known; afterwards both look the same.
//        CREATE, MKDIR, SYMLINK, MKNOD  -EEXIST   stays: whether the object is ours or another client's cannot be
//                                 known, and two that both believe to have made it are worse than none.
#include <errno.h>

#include "lib/base/mem.h"
#include "lib/nfs/connection.h"

static int ask(struct req *req, enum nfs_op op, const struct nfs_fh *fh) {
    const struct nfs_call *origin = req->origin;
    *req->probe = (struct nfs_call){
        .op = op, .fh = *fh, .name = origin->op == NFS_RENAME ? origin->name2 : origin->name, .cred = origin->cred};
    req->call = req->probe;
    req->step = 0;
    return PROTOCOL_NEXT;
}

static bool is_same_file(const struct nfs_attr *a, const struct nfs_attr *b) {
    return a->fsid == b->fsid && a->fileid == b->fileid;
}

static int judge_link(struct req *req) {
    struct nfs_call *origin = req->origin, *probe = req->probe;
    bool same = probe->op == NFS_LOOKUP ? nfs_fh_eq(&probe->out_fh, &origin->fh)
                                        : probe->has_attr && is_same_file(&probe->attr, &origin->attr);
    if (!same && probe->op == NFS_LOOKUP && probe->has_attr) { // some servers' handles depend on the directory
        origin->attr = probe->attr;
        return ask(req, NFS_GETATTR, &origin->fh);
    }
    if (!same)
        return req->refusal;
    origin->attr = probe->attr;
    origin->has_attr = probe->has_attr;
    return 0;
}

int conn_judge(struct req *req, int result) {
    const struct nfs_call *origin = req->origin;
    if (req->call != origin)
        return result < 0 ? req->refusal : origin->op == NFS_LINK ? judge_link(req) : 0;
    if (!req->resent)
        return result;
    if (origin->op == NFS_REMOVE || origin->op == NFS_RMDIR)
        return result == -ENOENT ? 0 : result;
    if (!(origin->op == NFS_LINK && result == -EEXIST) && !(origin->op == NFS_RENAME && result == -ENOENT))
        return result;
    req->probe = mem_alloc(sizeof *req->probe);
    req->refusal = result;
    return req->probe ? ask(req, NFS_LOOKUP, &origin->fh2) : result;
}
