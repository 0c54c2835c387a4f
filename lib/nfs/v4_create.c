// SPDX-License-Identifier: Apache-2.0
// CREATE of a regular file: NFSv4.0 has OPEN for it, which needs a client id and has to be confirmed and closed.
//
//   FIRST (OPEN) ── no client id yet ──▶ SETCLIENTID ─▶ SETCLIENTID_CONFIRM ─▶ FIRST
//        │                               (other CREATEs are parked until it is there)
//        ├── the owner is new ─▶ OPEN_CONFIRM ─▶ CLOSE ─▶ done
//        └── else ─────────────────────────────▶ CLOSE ─▶ done
#include <errno.h>
#include <stdio.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/nfs/protocol.h"
#include "lib/nfs/share.h"
#include "lib/nfs/v4.h"

enum { CALLBACK_PROGRAM = 0x40000000, RENEWALS_MAX = 2 };

static void put_client(struct v4_compound *c, const struct v4_client *client) {
    v4_op(c, OP_SETCLIENTID);
    xdr_put_fixed(c->out, client->verifier, sizeof client->verifier);
    xdr_put_text(c->out, client->name);
    xdr_put_u32(c->out, CALLBACK_PROGRAM); // nobody listens there: without a callback no delegation is granted
    xdr_put_text(c->out, "tcp");
    xdr_put_text(c->out, "0.0.0.0.0.0");
    xdr_put_u32(c->out, 0);
}

static void put_open(struct v4_compound *c, struct req *req, struct v4_client *client) {
    const struct nfs_call *call = req->call;
    if (req->owner == 0)
        req->owner = ++client->next_owner;
    v4_putfh(c, &call->fh);
    v4_op(c, OP_OPEN);
    xdr_put_u32(c->out, 0); // sequence number of this owner
    xdr_put_u32(c->out, call->exclusive ? OPEN4_SHARE_ACCESS_WRITE : OPEN4_SHARE_ACCESS_READ);
    xdr_put_u32(c->out, OPEN4_SHARE_DENY_NONE);
    xdr_put_u64(c->out, client->id);
    xdr_put_opaque(c->out, &req->owner, sizeof req->owner);
    xdr_put_u32(c->out, OPEN4_CREATE);
    xdr_put_u32(c->out, call->exclusive ? GUARDED4 : UNCHECKED4);
    v4_put_fattr(c->out, &call->set, call->set.mask & ~(call->exclusive ? 0U : (unsigned)NFS_SET_SIZE));
    xdr_put_u32(c->out, CLAIM_NULL);
    xdr_put_text(c->out, call->name);
    v4_op(c, OP_GETFH);
    v4_getattr(c);
}

static int choose_step(struct req *req, struct v4_client *client) {
    if (req->step != V4_FIRST || client->state == V4_CLIENT_READY)
        return 0;
    if (client->state == V4_CLIENT_ASKING)
        return -EBUSY;
    client->state = V4_CLIENT_ASKING;
    client->asking = req;
    req->step = V4_SETCLIENTID;
    return 0;
}

int v4_encode_create(struct req *req, struct xdr_out *out) {
    struct v4_client *client = req->conn->state;
    int r = choose_step(req, client);
    if (r < 0)
        return r;
    struct v4_compound c = v4_begin(out);
    switch ((enum v4_step)req->step) {
    case V4_FIRST:
        put_open(&c, req, client);
        break;
    case V4_SETCLIENTID:
        put_client(&c, client);
        break;
    case V4_SETCLIENTID_CONFIRM:
        v4_op(&c, OP_SETCLIENTID_CONFIRM);
        xdr_put_u64(out, client->id);
        xdr_put_fixed(out, client->confirm, sizeof client->confirm);
        break;
    case V4_OPEN_CONFIRM:
        v4_putfh(&c, &req->call->out_fh);
        v4_op(&c, OP_OPEN_CONFIRM);
        xdr_put_fixed(out, req->stateid, sizeof req->stateid);
        xdr_put_u32(out, req->seqid);
        break;
    case V4_CLOSE:
        v4_putfh(&c, &req->call->out_fh);
        v4_op(&c, OP_CLOSE);
        xdr_put_u32(out, req->seqid);
        xdr_put_fixed(out, req->stateid, sizeof req->stateid);
        break;
    }
    v4_end(&c);
    return 0;
}

// The server does not know the client id (any more): the next step asks for a new one, not for ever at once.
static int renew(struct req *req, struct v4_client *client) {
    if (client->state == V4_CLIENT_READY)
        client->state = V4_CLIENT_NONE;
    req->owner = 0;
    req->step = V4_FIRST;
    return ++req->renewals <= RENEWALS_MAX ? PROTOCOL_NEXT : -EAGAIN;
}

static bool is_client_lost(uint32_t status) {
    return status == NFS4ERR_STALE_CLIENTID || status == NFS4ERR_EXPIRED || status == NFS4ERR_STALE_STATEID ||
           status == NFS4ERR_BAD_SEQID;
}

static int get_client(struct req *req, struct xdr_in *in, struct v4_client *client) {
    v4_expect(in, OP_SETCLIENTID);
    client->id = xdr_get_u64(in);
    const uint8_t *confirm = xdr_get_fixed(in, sizeof client->confirm);
    if (!confirm)
        return -EPROTO;
    memcpy(client->confirm, confirm, sizeof client->confirm);
    req->step = V4_SETCLIENTID_CONFIRM;
    return PROTOCOL_NEXT;
}

static void get_stateid(struct req *req, struct xdr_in *in) {
    const uint8_t *stateid = xdr_get_fixed(in, sizeof req->stateid);
    if (stateid)
        memcpy(req->stateid, stateid, sizeof req->stateid);
}

static int get_opened(struct req *req, struct xdr_in *in) {
    struct nfs_call *call = req->call;
    struct v4_attrs attrs;
    v4_expect(in, OP_PUTFH);
    v4_expect(in, OP_OPEN);
    get_stateid(req, in);
    v4_get_change(in);
    uint32_t flags = xdr_get_u32(in);
    v4_get_bitmap(in);
    if (xdr_get_u32(in) != OPEN_DELEGATE_NONE)
        in->bad = true;
    v4_expect(in, OP_GETFH);
    v4_get_fh(in, &call->out_fh);
    v4_expect(in, OP_GETATTR);
    v4_get_fattr(in, &attrs);
    call->attr = attrs.attr;
    call->has_attr = attrs.has_attr;
    req->step = flags & OPEN4_RESULT_CONFIRM ? V4_OPEN_CONFIRM : V4_CLOSE;
    req->seqid = 1;
    return in->bad ? -EPROTO : PROTOCOL_NEXT;
}

static int get_confirmed(struct req *req, struct xdr_in *in) {
    v4_expect(in, OP_PUTFH);
    v4_expect(in, OP_OPEN_CONFIRM);
    get_stateid(req, in);
    req->step = V4_CLOSE;
    req->seqid++;
    return in->bad ? 0 : PROTOCOL_NEXT;
}

// Later again, as the next request of its owner: all but a few refusals use the sequence number up (RFC 7530 9.1.7).
static int delayed(struct req *req, uint32_t status) {
    if (status != NFS4ERR_RESOURCE)
        req->seqid++;
    return -EAGAIN;
}

int v4_decode_create(struct req *req, struct xdr_in *in) {
    struct v4_client *client = req->conn->state;
    uint32_t status = 0;
    int r = v4_get_compound(in, &status);
    switch ((enum v4_step)req->step) {
    case V4_SETCLIENTID:
        return r < 0 ? r : get_client(req, in, client);
    case V4_SETCLIENTID_CONFIRM:
        client->state = r < 0 ? V4_CLIENT_NONE : V4_CLIENT_READY;
        client->asking = NULL;
        conn_release(req->conn);
        req->step = V4_FIRST;
        if (r < 0 && !is_client_lost(status))
            return r;
        return r < 0 ? renew(req, client) : PROTOCOL_NEXT;
    case V4_FIRST:
        if (r == 0)
            return get_opened(req, in);
        req->owner = 0; // its sequence number may be used up (RFC 7530 9.1.7): another try would be taken for this one
        return is_client_lost(status) ? renew(req, client) : r;
    case V4_OPEN_CONFIRM: // the file is there: what fails from here on leaves nothing but an open that expires
        return r == -EAGAIN ? delayed(req, status) : r < 0 ? 0 : get_confirmed(req, in);
    case V4_CLOSE:
        return r == -EAGAIN ? delayed(req, status) : 0;
    }
    return -EPROTO;
}

void v4_gone(struct req *req) {
    struct v4_client *client = req->conn->state;
    if (client->asking != req)
        return;
    client->asking = NULL;
    client->state = V4_CLIENT_NONE;
    conn_release(req->conn);
}

int nfs_v4_attach(struct conn *conn, const struct nfs_cred *cred) {
    uint64_t unique[2];
    struct v4_client *client = mem_zalloc(sizeof *client);
    if (!client)
        return -ENOMEM;
    clock_random(&clock_system, unique, sizeof unique);
    clock_random(&clock_system, client->verifier, sizeof client->verifier);
    (void)snprintf(client->name, sizeof client->name, "stowage-%016llx%016llx", (unsigned long long)unique[0],
                   (unsigned long long)unique[1]);
    client->cred = cred;
    conn->state = client;
    return 0;
}

void nfs_v4_detach(struct conn *conn) {
    free(take_ptr(conn->state));
}
