// SPDX-License-Identifier: Apache-2.0
// NFSv3 (RFC 1813): arguments and results of every operation.
#pragma once

#include "lib/nfs/connection.h"

extern const struct protocol nfs_v3;

#define NFS_V3_FH_MAX 64
#define NFS_V3_READDIR_MAX ((uint32_t)NFS_IO_MAX)

enum {                // req->step
    NFS_V3_PLAIN = 1, // READDIR without attributes
    NFS_V3_FIND,      // the LOOKUP after a CREATE whose reply had no handle
    NFS_V3_STAT,      // the GETATTR after a reply without the attributes that its caller is promised
};

const struct nfs_fh *nfs_v3_object(const struct req *req); // of NFS_V3_STAT
int nfs_v3_encode(struct req *req, struct xdr_out *out) must_check;
int nfs_v3_decode(struct req *req, struct xdr_in *in) must_check;
int nfs_v3_decode_read(struct req *req, struct xdr_in *in, uint32_t *ret_len) must_check;
// READDIRPLUS was refused by this server: READDIR without attributes from now on (req->conn->state).
bool nfs_v3_plain_readdir(const struct req *req);
void nfs_v3_set_plain_readdir(const struct req *req);
