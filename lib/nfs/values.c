// SPDX-License-Identifier: Apache-2.0
#include "lib/nfs/values.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/nfs/protocol.h"

_Static_assert(ACCESS3_READ == ACCESS4_READ && ACCESS3_LOOKUP == ACCESS4_LOOKUP && ACCESS3_MODIFY == ACCESS4_MODIFY &&
                   ACCESS3_EXTEND == ACCESS4_EXTEND && ACCESS3_EXECUTE == ACCESS4_EXECUTE &&
                   (int)FILE_SYNC == (int)FILE_SYNC4,
               "RFC 7530 keeps the values of RFC 1813");

void nfs_put_access(struct xdr_out *out, uint32_t mask) {
    uint32_t bits = mask & R_OK ? ACCESS3_READ : 0;
    if (mask & W_OK)
        bits |= ACCESS3_MODIFY | ACCESS3_EXTEND;
    if (mask & X_OK)
        bits |= ACCESS3_LOOKUP | ACCESS3_EXECUTE;
    xdr_put_u32(out, bits);
}

uint32_t nfs_get_access(struct xdr_in *in) {
    uint32_t bits = xdr_get_u32(in), granted = bits & ACCESS3_READ ? R_OK : 0;
    if ((bits & (ACCESS3_MODIFY | ACCESS3_EXTEND)) == (ACCESS3_MODIFY | ACCESS3_EXTEND))
        granted |= W_OK;
    if (bits & (ACCESS3_LOOKUP | ACCESS3_EXECUTE))
        granted |= X_OK;
    return granted;
}

void nfs_get_verifier(struct xdr_in *in, struct nfs_call *call) {
    const uint8_t *verifier = xdr_get_fixed(in, sizeof call->verifier);
    if (verifier)
        memcpy(call->verifier, verifier, sizeof call->verifier);
}

int nfs_get_written(struct xdr_in *in, struct nfs_call *call) {
    uint32_t count = xdr_get_u32(in);
    call->committed = xdr_get_u32(in) == FILE_SYNC;
    nfs_get_verifier(in, call);
    if (count > call->count)
        return -EPROTO;
    call->count = count;
    return 0;
}

int nfs_get_text(struct xdr_in *in, struct nfs_call *call) {
    uint32_t len = 0;
    const uint8_t *text = xdr_get_opaque(in, PATH_MAX, &len);
    if (!text || memchr(text, 0, len))
        return -EPROTO;
    call->text = mem_strndup((const char *)text, len);
    return call->text ? 0 : -ENOMEM;
}
