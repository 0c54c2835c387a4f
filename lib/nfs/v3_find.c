// SPDX-License-Identifier: Apache-2.0
// Finding an export with NFSv3: the port mapper (RFC 1833), the MOUNT protocol (RFC 1813 appendix I), FSINFO.
#include <errno.h>
#include <stdlib.h>

#include "lib/nfs/protocol.h"
#include "lib/nfs/share.h"
#include "lib/nfs/status.h"
#include "lib/nfs/v3.h"

enum { PORT_MAPPER = 111, IPPROTO_NUMBER_TCP = 6, EXPORT_PATH_MAX = 1024 };

struct ask {
    const struct nfs_options *options;
    struct sockaddr_storage address;
    int64_t deadline_ns;
};

// One call to a program at a port; `out` has the arguments already.
static int exchange(const struct ask *ask, uint16_t port, const struct xdr_out *out, struct xdr_in *in, uint8_t **buf) {
    struct sockaddr_storage address = ask->address;
    net_set_port(&address, port);
    int r = net_exchange(&address, out, ask->deadline_ns, in, buf);
    return r < 0 ? r : rpc_get_reply(in);
}

static void begin(struct xdr_out *out, const struct ask *ask, uint32_t program, uint32_t version, uint32_t procedure) {
    struct rpc_target target = {program, version, procedure};
    rpc_put_call(out, (uint32_t)ask->deadline_ns, &target, &ask->options->cred);
}

static int find_port(const struct ask *ask, uint32_t program, uint16_t *ret, struct err *err) {
    uint8_t call[512], *buf cleanup_free = NULL;
    struct xdr_out out = {.buf = call, .cap = sizeof call};
    struct xdr_in in = {0};
    begin(&out, ask, PMAP_PROGRAM, PMAP_V2, PMAP2_GETPORT);
    xdr_put_u32(&out, program);
    xdr_put_u32(&out, 3);
    xdr_put_u32(&out, IPPROTO_NUMBER_TCP);
    xdr_put_u32(&out, 0);
    rpc_finish_call(&out, 0);
    int r = exchange(ask, PORT_MAPPER, &out, &in, &buf);
    if (r < 0)
        return nfs_unreachable(ask->options, "port mapper", PORT_MAPPER, r, err);
    uint32_t port = xdr_get_u32(&in);
    if (in.bad || port == 0 || port > UINT16_MAX)
        return err_set(err, -EPROTONOSUPPORT,
                       "NFS server '%s' has not registered %s version 3: enable NFSv3 there or use version 4",
                       ask->options->server, program == NFS_PROGRAM ? "NFS" : "MOUNT");
    *ret = (uint16_t)port;
    return 0;
}

static int mount_refused(const struct nfs_options *o, uint32_t status, struct err *err) {
    switch (status) {
    case MNT3ERR_NOENT:
    case MNT3ERR_NOTDIR:
        return err_set(err, -ENOENT, "NFS server '%s' has no export '%s': check the share and the server's exports",
                       o->server, o->path);
    case MNT3ERR_PERM:
    case MNT3ERR_ACCES:
        return err_set(err, -EACCES, "NFS server '%s' does not allow this host to mount '%s': allow it in its exports",
                       o->server, o->path);
    default:
        return err_set(err, nfs_status_error(status), "NFS server '%s' cannot mount '%s' (MOUNT status %u)", o->server,
                       o->path, status);
    }
}

static int get_root(const struct nfs_options *o, struct xdr_in *in, struct nfs_fh *ret, struct err *err) {
    uint32_t status = xdr_get_u32(in), len = 0;
    if (!in->bad && status != 0)
        return mount_refused(o, status, err);
    const uint8_t *fh = xdr_get_opaque(in, NFS_V3_FH_MAX, &len);
    uint32_t flavours = xdr_get_u32(in);
    bool sys = flavours == 0;
    for (uint32_t i = 0; i < flavours && !in->bad; i++)
        sys |= xdr_get_u32(in) <= AUTH_UNIX;
    if (in->bad || !fh || len == 0)
        return err_set(err, -EPROTO, "NFS server '%s' sent a malformed MOUNT reply", o->server);
    if (!sys)
        return err_set(err, -EACCES, "export '%s' of NFS server '%s' wants Kerberos: allow sec=sys there", o->path,
                       o->server);
    *ret = (struct nfs_fh){.len = (uint8_t)len};
    memcpy(ret->data, fh, len);
    return 0;
}

static int mount_export(const struct ask *ask, struct nfs_fh *ret, struct err *err) {
    uint8_t call[512 + EXPORT_PATH_MAX], *buf cleanup_free = NULL;
    struct xdr_out out = {.buf = call, .cap = sizeof call};
    struct xdr_in in = {0};
    uint16_t port = ask->options->mount_port;
    int r = port ? 0 : find_port(ask, MOUNT_PROGRAM, &port, err);
    if (r < 0)
        return r;
    begin(&out, ask, MOUNT_PROGRAM, MOUNT_V3, MOUNT3_MNT);
    xdr_put_text(&out, ask->options->path);
    rpc_finish_call(&out, 0);
    r = exchange(ask, port, &out, &in, &buf);
    if (r < 0)
        return nfs_unreachable(ask->options, "mount service", port, r, err);
    return get_root(ask->options, &in, ret, err);
}

static int get_limits(const struct ask *ask, uint16_t port, struct share_target *target, struct err *err) {
    uint8_t call[512], *buf cleanup_free = NULL;
    struct xdr_out out = {.buf = call, .cap = sizeof call};
    struct xdr_in in = {0};
    begin(&out, ask, NFS_PROGRAM, 3, NFS3_FSINFO);
    xdr_put_opaque(&out, target->root.data, target->root.len);
    rpc_finish_call(&out, 0);
    int r = exchange(ask, port, &out, &in, &buf);
    if (r < 0)
        return nfs_unreachable(ask->options, "NFS service", port, r, err);
    uint32_t status = xdr_get_u32(&in);
    if (!in.bad && status != NFS3_OK)
        return err_set(err, nfs_status_error(status), "NFS server '%s' refuses FSINFO on '%s': %s",
                       ask->options->server, ask->options->path, err_name(nfs_status_error(status)));
    if (xdr_get_u32(&in))
        (void)xdr_get_fixed(&in, 84); // attributes
    target->read_max = nfs_clamp_io(xdr_get_u32(&in));
    (void)xdr_get_u64(&in); // preferred size and multiple of a READ
    target->write_max = nfs_clamp_io(xdr_get_u32(&in));
    return in.bad ? err_set(err, -EPROTO, "NFS server '%s' sent a malformed FSINFO reply", ask->options->server) : 0;
}

int nfs_v3_find(const struct nfs_options *options, const struct sockaddr_storage *address, int64_t deadline_ns,
                struct share_target *ret, struct err *err) {
    struct ask ask = {options, *address, deadline_ns};
    uint16_t port = options->nfs_port;
    *ret = (struct share_target){.address = *address, .protocol = &nfs_v3};
    int r = port ? 0 : find_port(&ask, NFS_PROGRAM, &port, err);
    if (r == 0)
        r = mount_export(&ask, &ret->root, err);
    if (r == 0)
        r = get_limits(&ask, port, ret, err);
    net_set_port(&ret->address, port);
    return r;
}
