// SPDX-License-Identifier: Apache-2.0
// NFSv4.0 (RFC 7530): every operation is one compound on handles, without sessions and without kept state.
//
// Why:  READ, WRITE and SETATTR use the anonymous stateid. Only CREATE of a regular file needs an OPEN, and with it a
//       client id per connection: made by the first CREATE, made again when the server forgot it. Since the file is
//       closed at once, no lease has to be kept alive.
#pragma once

#include "lib/nfs/connection.h"

extern const struct protocol nfs_v4;

enum v4_step { // req->step of a CREATE; other operations have one step only
    V4_FIRST,
    V4_SETCLIENTID,
    V4_SETCLIENTID_CONFIRM,
    V4_OPEN_CONFIRM,
    V4_CLOSE,
};

struct v4_client { // conn->state
    const struct nfs_cred *cred;
    enum { V4_CLIENT_NONE, V4_CLIENT_ASKING, V4_CLIENT_READY } state;
    const struct req *asking; // the CREATE that asks for the client id
    uint64_t id, next_owner;
    uint8_t verifier[8], confirm[8];
    char name[64];
};

// A compound being written: operations are counted.
struct v4_compound {
    struct xdr_out *out;
    size_t count_at;
    uint32_t count;
};
struct v4_compound v4_begin(struct xdr_out *out);
void v4_end(struct v4_compound *c);
void v4_op(struct v4_compound *c, uint32_t op);
void v4_putfh(struct v4_compound *c, const struct nfs_fh *fh);
void v4_getattr(struct v4_compound *c);

// Results: the compound's status (0 or -errno; *ret_status when given), then operation by operation.
int v4_get_compound(struct xdr_in *in, uint32_t *ret_status) must_check;
void v4_expect(struct xdr_in *in, uint32_t op); // sets in->bad when another operation's result comes
void v4_get_fh(struct xdr_in *in, struct nfs_fh *fh);
void v4_get_change(struct xdr_in *in); // change_info4
void v4_get_bitmap(struct xdr_in *in);

// Attributes (v4_attr.c).
struct v4_attrs {
    struct nfs_attr attr;
    bool has_attr; // everything of `attr` but what a server may not support
    struct nfs_fh fh;
    uint32_t error; // of one entry of a READDIR
    uint64_t read_max, write_max;
    struct nfs_fsstat fsstat;
};
void v4_put_bitmap(struct xdr_out *out, uint32_t word0, uint32_t word1);
void v4_put_attr_bitmap(struct xdr_out *out); // all of struct nfs_attr
void v4_put_dirent_bitmap(struct xdr_out *out, bool attr);
void v4_put_fsstat_bitmap(struct xdr_out *out);
void v4_put_limits_bitmap(struct xdr_out *out);
void v4_put_fattr(struct xdr_out *out, const struct nfs_setattr *set, unsigned mask);
void v4_put_type(struct xdr_out *out, uint32_t type); // an fattr4 with the type alone
void v4_get_fattr(struct xdr_in *in, struct v4_attrs *ret);

int v4_encode_create(struct req *req, struct xdr_out *out) must_check; // v4_create.c
int v4_decode_create(struct req *req, struct xdr_in *in) must_check;
void v4_gone(struct req *req);
int v4_encode(struct req *req, struct xdr_out *out) must_check; // v4_encode.c
int v4_decode(struct req *req, struct xdr_in *in) must_check;   // v4_decode.c
int v4_decode_read(struct req *req, struct xdr_in *in, uint32_t *ret_len) must_check;
