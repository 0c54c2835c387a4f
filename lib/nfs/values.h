// SPDX-License-Identifier: Apache-2.0
// Arguments and results that NFSv3 (RFC 1813) and NFSv4.0 (RFC 7530) spell alike.
#pragma once

#include "lib/base/cleanup.h"
#include "lib/nfs/nfs.h"
#include "lib/nfs/xdr.h"

void nfs_put_access(struct xdr_out *out, uint32_t mask); // R_OK, W_OK, X_OK
uint32_t nfs_get_access(struct xdr_in *in);

void nfs_get_verifier(struct xdr_in *in, struct nfs_call *call);
// The result of a WRITE: count, committed, verifier. -EPROTO when more was written than was sent.
int nfs_get_written(struct xdr_in *in, struct nfs_call *call) must_check;
// The target of a symbolic link, as a text of its own. -EPROTO: none, too long, or a zero byte inside.
int nfs_get_text(struct xdr_in *in, struct nfs_call *call) must_check;
