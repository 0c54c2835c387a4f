// SPDX-License-Identifier: Apache-2.0
#include "lib/nfs/message.h"

#include <errno.h>

#include "lib/nfs/protocol.h"

enum { RPC_VERSION = 2, AUTH_MAX_BYTES = 400 };

static void put_auth_sys(struct xdr_out *out, const struct nfs_cred *cred) {
    static const char machine[] = "stowage";
    uint32_t groups = cred->group_count < NFS_GROUPS_MAX ? cred->group_count : NFS_GROUPS_MAX;
    xdr_put_u32(out, AUTH_UNIX);
    xdr_put_u32(out, 4 + 4 + 8 + 4 + 4 + 4 + 4 * groups);
    xdr_put_u32(out, 0); // stamp
    xdr_put_opaque(out, machine, sizeof machine - 1);
    xdr_put_u32(out, cred->uid);
    xdr_put_u32(out, cred->gid);
    xdr_put_u32(out, groups);
    for (uint32_t i = 0; i < groups; i++)
        xdr_put_u32(out, cred->groups[i]);
}

void rpc_put_call(struct xdr_out *out, uint32_t xid, const struct rpc_target *target, const struct nfs_cred *cred) {
    xdr_put_u32(out, 0); // record mark
    xdr_put_u32(out, xid);
    xdr_put_u32(out, CALL);
    xdr_put_u32(out, RPC_VERSION);
    xdr_put_u32(out, target->program);
    xdr_put_u32(out, target->version);
    xdr_put_u32(out, target->procedure);
    put_auth_sys(out, cred);
    xdr_put_u32(out, AUTH_NONE); // verifier
    xdr_put_u32(out, 0);
}

void rpc_finish_call(struct xdr_out *out, size_t extra) {
    if (!out->full)
        xdr_store_u32(out->buf, RPC_LAST_FRAGMENT | (uint32_t)(out->len - 4 + extra));
}

static int accepted(uint32_t status) {
    switch (status) {
    case SUCCESS:
        return 0;
    case PROG_UNAVAIL:
    case PROG_MISMATCH:
        return -EPROTONOSUPPORT;
    case PROC_UNAVAIL:
        return -EOPNOTSUPP;
    default:
        return -EREMOTEIO;
    }
}

int rpc_get_reply(struct xdr_in *in) {
    uint32_t verifier = 0;
    if (xdr_get_u32(in) != REPLY)
        return -EPROTO;
    if (xdr_get_u32(in) != MSG_ACCEPTED) {
        uint32_t reason = xdr_get_u32(in);
        return in->bad || reason != AUTH_ERROR ? -EPROTO : -EACCES;
    }
    (void)xdr_get_u32(in);
    (void)xdr_get_opaque(in, AUTH_MAX_BYTES, &verifier);
    uint32_t status = xdr_get_u32(in);
    return in->bad ? -EPROTO : accepted(status);
}
