// SPDX-License-Identifier: Apache-2.0
#include "lib/nfs/v3.h"

#include "lib/nfs/protocol.h"

static uint32_t procedure(const struct req *req) {
    static const uint32_t procedures[NFS_OP_COUNT] = {
        [NFS_GETATTR] = NFS3_GETATTR, [NFS_SETATTR] = NFS3_SETATTR,     [NFS_LOOKUP] = NFS3_LOOKUP,
        [NFS_ACCESS] = NFS3_ACCESS,   [NFS_READLINK] = NFS3_READLINK,   [NFS_READ] = NFS3_READ,
        [NFS_WRITE] = NFS3_WRITE,     [NFS_COMMIT] = NFS3_COMMIT,       [NFS_CREATE] = NFS3_CREATE,
        [NFS_MKDIR] = NFS3_MKDIR,     [NFS_SYMLINK] = NFS3_SYMLINK,     [NFS_MKNOD] = NFS3_MKNOD,
        [NFS_LINK] = NFS3_LINK,       [NFS_REMOVE] = NFS3_REMOVE,       [NFS_RMDIR] = NFS3_RMDIR,
        [NFS_RENAME] = NFS3_RENAME,   [NFS_READDIR] = NFS3_READDIRPLUS, [NFS_FSSTAT] = NFS3_FSSTAT,
    };
    if (req->step == NFS_V3_FIND)
        return NFS3_LOOKUP;
    if (req->step == NFS_V3_STAT)
        return NFS3_GETATTR;
    if (req->call->op == NFS_READDIR && nfs_v3_plain_readdir(req))
        return NFS3_READDIR;
    return procedures[req->call->op];
}

static const struct nfs_cred *cred(const struct req *req) {
    (void)req;
    return NULL;
}

static char plain; // only its address counts

bool nfs_v3_plain_readdir(const struct req *req) {
    return !req->call->want_attr || req->conn->state == &plain;
}

void nfs_v3_set_plain_readdir(const struct req *req) {
    req->conn->state = &plain;
}

const struct protocol nfs_v3 = {
    .version = 3,
    .procedure = procedure,
    .cred = cred,
    .encode = nfs_v3_encode,
    .decode = nfs_v3_decode,
    .decode_read = nfs_v3_decode_read,
};
