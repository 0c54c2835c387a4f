// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "lib/nfs/protocol.h"
#include "lib/nfs/status.h"
#include "lib/nfs/v4.h"

enum { TAG_MAX = 1024 };

struct v4_compound v4_begin(struct xdr_out *out) {
    xdr_put_u32(out, 0); // tag
    xdr_put_u32(out, 0); // minor version
    struct v4_compound c = {.out = out, .count_at = out->len};
    xdr_put_u32(out, 0);
    return c;
}

void v4_end(struct v4_compound *c) {
    if (!c->out->full)
        xdr_store_u32(c->out->buf + c->count_at, c->count);
}

void v4_op(struct v4_compound *c, uint32_t op) {
    xdr_put_u32(c->out, op);
    c->count++;
}

void v4_putfh(struct v4_compound *c, const struct nfs_fh *fh) {
    v4_op(c, OP_PUTFH);
    xdr_put_opaque(c->out, fh->data, fh->len);
}

void v4_getattr(struct v4_compound *c) {
    v4_op(c, OP_GETATTR);
    v4_put_attr_bitmap(c->out);
}

int v4_get_compound(struct xdr_in *in, uint32_t *ret_status) {
    uint32_t status = xdr_get_u32(in), len = 0;
    (void)xdr_get_opaque(in, TAG_MAX, &len);
    (void)xdr_get_u32(in); // operations
    if (ret_status)
        *ret_status = status;
    return in->bad ? -EPROTO : nfs_status_error(status);
}

void v4_expect(struct xdr_in *in, uint32_t op) {
    if (xdr_get_u32(in) != op || xdr_get_u32(in) != NFS4_OK)
        in->bad = true;
}

void v4_get_fh(struct xdr_in *in, struct nfs_fh *fh) {
    uint32_t len = 0;
    const uint8_t *data = xdr_get_opaque(in, NFS_FH_MAX, &len);
    if (!data || len == 0)
        in->bad = true;
    *fh = (struct nfs_fh){.len = (uint8_t)len};
    if (data)
        memcpy(fh->data, data, len);
}

void v4_get_change(struct xdr_in *in) {
    (void)xdr_get_fixed(in, 4 + 8 + 8);
}

void v4_get_bitmap(struct xdr_in *in) {
    uint32_t words = xdr_get_u32(in);
    if (words > xdr_left(in) / 4)
        in->bad = true;
    (void)xdr_get_fixed(in, (size_t)4 * words);
}
