// SPDX-License-Identifier: Apache-2.0
#include "lib/nfs/v4.h"

#include "lib/nfs/protocol.h"

static uint32_t procedure(const struct req *req) {
    (void)req;
    return NFSPROC4_COMPOUND;
}

// A client id belongs to whoever asked for it (RFC 7530 16.33.5).
static const struct nfs_cred *cred(const struct req *req) {
    const struct v4_client *client = req->conn->state;
    return client->asking == req ? client->cred : NULL;
}

const struct protocol nfs_v4 = {
    .version = 4,
    .procedure = procedure,
    .cred = cred,
    .encode = v4_encode,
    .decode = v4_decode,
    .decode_read = v4_decode_read,
    .gone = v4_gone,
};
