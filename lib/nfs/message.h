// SPDX-License-Identifier: Apache-2.0
// ONC RPC messages (RFC 5531) over TCP: the call header with AUTH_SYS credentials, the reply header.
#pragma once

#include "lib/nfs/nfs.h"
#include "lib/nfs/xdr.h"

#define RPC_LAST_FRAGMENT UINT32_C(0x80000000) // in the record mark that precedes a message on a stream
#define RPC_CALL_MAX ((size_t)16 * 1024)       // bytes of one call without the data of a WRITE
#define RPC_REPLY_MAX ((size_t)NFS_IO_MAX + 64 * 1024)

struct rpc_target {
    uint32_t program, version, procedure;
};

// Writes room for the record mark and the header up to the procedure's arguments.
void rpc_put_call(struct xdr_out *out, uint32_t xid, const struct rpc_target *target, const struct nfs_cred *cred);
// Sets the record mark; `extra` bytes follow outside of `out`.
void rpc_finish_call(struct xdr_out *out, size_t extra);
// Reads the reply's header after the xid. -EPROTONOSUPPORT (no such program or version), -EOPNOTSUPP (no such
// procedure), -EACCES (credentials refused), -EPROTO, -EREMOTEIO (the server could not decode or failed).
int rpc_get_reply(struct xdr_in *in) must_check;
