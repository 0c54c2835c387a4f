// SPDX-License-Identifier: Apache-2.0
// Finding an export with NFSv4.0: the path is looked up from the server's root.
#include <errno.h>

#include "lib/base/clock.h"
#include "lib/nfs/protocol.h"
#include "lib/nfs/share.h"
#include "lib/nfs/status.h"
#include "lib/nfs/v4.h"

enum { NFS_PORT_DEFAULT = 2049 };

static int put_path(struct v4_compound *c, const struct nfs_options *o, struct err *err) {
    for (const char *at = o->path; *at;) {
        size_t len = strcspn(at, "/");
        if (len > NFS_NAME_MAX || (len == 1 && at[0] == '.') || (len == 2 && at[0] == '.' && at[1] == '.'))
            return err_set(err, -EINVAL, "share '%s' has a component that is '.', '..' or above %d bytes", o->path,
                           NFS_NAME_MAX);
        if (len > 0) {
            v4_op(c, OP_LOOKUP);
            xdr_put_opaque(c->out, at, len);
        }
        at += len + (at[len] == '/');
    }
    return 0;
}

static int put_find(struct xdr_out *out, const struct nfs_options *o, struct err *err) {
    uint32_t xid = 0;
    const struct rpc_target target = {NFS_PROGRAM, 4, NFSPROC4_COMPOUND};
    clock_random(&clock_system, &xid, sizeof xid);
    rpc_put_call(out, xid, &target, &o->cred);
    struct v4_compound c = v4_begin(out);
    v4_op(&c, OP_PUTROOTFH);
    int r = put_path(&c, o, err);
    v4_op(&c, OP_GETFH);
    v4_op(&c, OP_GETATTR);
    v4_put_limits_bitmap(out);
    v4_end(&c);
    rpc_finish_call(out, 0);
    return r;
}

static int refused(const struct nfs_options *o, int r, struct err *err) {
    switch (r) {
    case -ENOENT:
    case -ENOTDIR:
        return err_set(err, -ENOENT, "NFS server '%s' has no export '%s': check the share and the server's exports",
                       o->server, o->path);
    case -EACCES:
    case -EPERM:
        return err_set(err, -EACCES, "NFS server '%s' does not allow this host to use '%s': allow it in its exports",
                       o->server, o->path);
    case -EPROTONOSUPPORT:
        return err_set(err, r, "NFS server '%s' does not speak NFSv4.0: enable it there or use version 3", o->server);
    default:
        return err_set(err, r, "NFS server '%s' cannot open '%s': %s", o->server, o->path, err_name(r));
    }
}

static int get_found(const struct nfs_options *o, struct xdr_in *in, struct share_target *ret, struct err *err) {
    struct v4_attrs attrs;
    int r = v4_get_compound(in, NULL);
    if (r < 0)
        return refused(o, r, err);
    v4_expect(in, OP_PUTROOTFH);
    uint32_t op = xdr_get_u32(in);
    for (; op == OP_LOOKUP && !in->bad; op = xdr_get_u32(in))
        (void)xdr_get_u32(in);
    if (op != OP_GETFH || xdr_get_u32(in) != NFS4_OK)
        in->bad = true;
    v4_get_fh(in, &ret->root);
    v4_expect(in, OP_GETATTR);
    v4_get_fattr(in, &attrs);
    ret->read_max = nfs_clamp_io(attrs.read_max);
    ret->write_max = nfs_clamp_io(attrs.write_max);
    return in->bad ? err_set(err, -EPROTO, "NFS server '%s' sent a malformed reply", o->server) : 0;
}

int nfs_v4_find(const struct nfs_options *options, const struct sockaddr_storage *address, int64_t deadline_ns,
                struct share_target *ret, struct err *err) {
    uint8_t call[RPC_CALL_MAX], *buf cleanup_free = NULL;
    struct xdr_out out = {.buf = call, .cap = sizeof call};
    struct xdr_in in = {0};
    uint16_t port = options->nfs_port ? options->nfs_port : NFS_PORT_DEFAULT;
    *ret = (struct share_target){.address = *address, .protocol = &nfs_v4};
    net_set_port(&ret->address, port);
    int r = put_find(&out, options, err);
    if (r < 0)
        return r;
    r = net_exchange(&ret->address, &out, deadline_ns, &in, &buf);
    if (r == 0)
        r = rpc_get_reply(&in);
    if (r < 0)
        return nfs_unreachable(options, "NFS service", port, r, err);
    return get_found(options, &in, ret, err);
}
