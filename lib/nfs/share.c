// SPDX-License-Identifier: Apache-2.0
// A share: its connections, and which of them a call takes.
#include "lib/nfs/share.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/nfs/v3.h"

#define OPEN_TIMEOUT_NS (10 * NS_PER_S)
enum { CONNECTIONS_MAX = 16, PATH_BYTES_MAX = 1023 };

struct share {
    struct nfs_share base;
    struct nfs_info info;
    struct nfs_cred cred;
    char *server, *path;
    atomic_uint turn;
    unsigned opened; // of `conns`
    struct conn conns[];
};

uint32_t nfs_clamp_io(uint64_t limit) {
    return limit == 0 || limit > NFS_IO_MAX ? NFS_IO_MAX : (uint32_t)limit;
}

int nfs_unreachable(const struct nfs_options *o, const char *what, uint16_t port, int r, struct err *err) {
    switch (r) {
    case -ECONNREFUSED:
        return err_set(err, r, "NFS server '%s' refuses connections to its %s (port %u): is it running?", o->server,
                       what, port);
    case -ETIMEDOUT:
        return err_set(err, r, "NFS server '%s' did not answer in time (%s, port %u): is it up, is a firewall between?",
                       o->server, what, port);
    case -EHOSTUNREACH:
    case -ENETUNREACH:
        return err_set(err, -EHOSTUNREACH, "NFS server '%s' cannot be reached: check its address and the route",
                       o->server);
    case -EPROTONOSUPPORT:
        return err_set(err, r, "NFS server '%s' does not speak this version of NFS (%s, port %u)", o->server, what,
                       port);
    case -EPROTO:
        return err_set(err, -EHOSTUNREACH,
                       "what answers on NFS server '%s' at port %u is no %s: check nfsPort and mountPort", o->server,
                       port, what);
    case -EACCES:
        return err_set(err, r, "NFS server '%s' refuses our credentials (%s): allow sec=sys for '%s'", o->server, what,
                       o->path);
    default:
        return err_set(err, r, "NFS server '%s' cannot be asked (%s, port %u): %s", o->server, what, port, err_name(r));
    }
}

static int check_options(const struct nfs_options *o, struct err *err) {
    if (str_empty(o->server))
        return err_set(err, -EINVAL, "no NFS server was given");
    if (str_empty(o->path) || o->path[0] != '/' || strlen(o->path) > PATH_BYTES_MAX)
        return err_set(err, -EINVAL, "share '%s' must be an absolute path of at most %d bytes", o->path ? o->path : "",
                       PATH_BYTES_MAX);
    if (o->version != 0 && o->version != 3 && o->version != 4)
        return err_set(err, -EINVAL, "NFS version %d is not supported: 3 or 4", o->version);
    if (o->connections > CONNECTIONS_MAX)
        return err_set(err, -EINVAL, "%u connections are too many: at most %d", o->connections, CONNECTIONS_MAX);
    if (o->cred.group_count > NFS_GROUPS_MAX)
        return err_set(err, -EINVAL, "%u groups are too many: at most %d", o->cred.group_count, NFS_GROUPS_MAX);
    return 0;
}

// One version at one of the server's addresses after the other.
static int find_version(const struct nfs_options *o, int version, const struct net_addresses *addresses,
                        int64_t deadline_ns, struct share_target *ret, struct err *err) {
    int r = -EHOSTUNREACH;
    for (size_t i = 0; i < addresses->count; i++) {
        int64_t now = clock_monotonic(&clock_system); // an address that does not answer must leave time for the others
        int64_t until = now + (deadline_ns - now) / (int64_t)(addresses->count - i);
        r = version == 3 ? nfs_v3_find(o, &addresses->items[i], until, ret, err)
                         : nfs_v4_find(o, &addresses->items[i], until, ret, err);
        if (r != -ECONNREFUSED && r != -EHOSTUNREACH && r != -ETIMEDOUT)
            break;
    }
    return r;
}

static bool has_no_v3(int r) {
    return r == -EPROTONOSUPPORT || r == -ECONNREFUSED || r == -ECONNRESET;
}

static int find(const struct nfs_options *o, struct share_target *ret, struct err *err) {
    int64_t deadline_ns = o->deadline_ns ? o->deadline_ns : clock_monotonic(&clock_system) + OPEN_TIMEOUT_NS;
    struct net_addresses addresses = {0};
    int r = net_resolve(o->server, deadline_ns, &addresses, err);
    if (r < 0)
        return r;
    r = find_version(o, o->version == 4 ? 4 : 3, &addresses, deadline_ns, ret, err);
    if (o->version != 0 || r == 0 || !has_no_v3(r))
        return r;
    struct err second = ERR_NONE;
    int r4 = find_version(o, 4, &addresses, deadline_ns, ret, &second);
    if (r4 == -ECONNREFUSED) // neither is there: the first message tells more
        return r;
    *err = second;
    return r4;
}

static void share_submit(struct nfs_share *base, struct nfs_call *call) {
    struct share *share = (struct share *)base;
    unsigned turn = atomic_fetch_add_explicit(&share->turn, 1, memory_order_relaxed);
    struct conn *best = &share->conns[turn % share->opened];
    unsigned least = atomic_load_explicit(&best->in_flight, memory_order_relaxed);
    if (call->again && call->again >> 32 <= share->opened) { // where it was sent the first time
        best = &share->conns[(call->again >> 32) - 1];
        least = 0;
    }
    for (unsigned i = 1; i < share->opened && least > 0; i++) {
        struct conn *conn = &share->conns[(turn + i) % share->opened];
        unsigned n = atomic_load_explicit(&conn->in_flight, memory_order_relaxed);
        if (n < least) {
            least = n;
            best = conn;
        }
    }
    nfs_call_reset(call);
    uint32_t most = call->op == NFS_READ ? share->info.read_max : call->op == NFS_WRITE ? share->info.write_max : 0;
    if (most > 0 && call->count > most) // a server may hang up on more than it said it takes
        call->count = most;
    call->priv = best;
    conn_submit(best, call);
}

static void share_cancel(struct nfs_share *base, struct nfs_call *call) {
    (void)base;
    if (call->priv)
        conn_cancel(call->priv, call);
}

static const struct nfs_info *share_info(struct nfs_share *base) {
    return &((struct share *)base)->info;
}

static void share_close(struct nfs_share *base) {
    struct share *share = (struct share *)base;
    for (unsigned i = 0; i < share->opened; i++)
        conn_stop(&share->conns[i]);
    for (unsigned i = 0; i < share->opened; i++) {
        conn_free(&share->conns[i]);
        if (share->info.version == 4)
            nfs_v4_detach(&share->conns[i]);
    }
    free(share->server);
    free(share->path);
    free(share);
}

static int open_connections(struct share *share, const struct nfs_options *o, const struct share_target *target) {
    unsigned count = o->connections ? o->connections : 1;
    for (; share->opened < count; share->opened++) {
        struct conn *conn = &share->conns[share->opened];
        int r = share->info.version == 4 ? nfs_v4_attach(conn, &share->cred) : 0;
        conn->server = share->server;
        conn->index = share->opened;
        conn->told_port = o->local_ports ? &o->local_ports[share->opened] : NULL;
        conn->local_port = conn->told_port ? (uint16_t)*conn->told_port : 0;
        if (r == 0)
            r = conn_open(conn, target->protocol, &target->address, &share->cred, o->soft);
        if (r < 0) {
            nfs_v4_detach(conn);
            return r;
        }
    }
    return 0;
}

static int make(const struct nfs_options *o, const struct share_target *target, struct nfs_share **ret) {
    static const struct nfs_backend backend = {share_submit, share_cancel, share_info, share_close};
    struct share *share = mem_zalloc(sizeof *share + (o->connections ? o->connections : 1) * sizeof(struct conn));
    if (!share)
        return -ENOMEM;
    share->base.backend = &backend;
    share->cred = o->cred;
    share->server = mem_strdup(o->server);
    share->path = mem_strdup(o->path);
    share->info = (struct nfs_info){.version = (int)target->protocol->version,
                                    .read_max = target->read_max,
                                    .write_max = target->write_max,
                                    .root = target->root,
                                    .server = share->server,
                                    .path = share->path};
    int r = share->server && share->path ? open_connections(share, o, target) : -ENOMEM;
    if (r < 0) {
        share_close(&share->base);
        return r;
    }
    *ret = &share->base;
    return 0;
}

int nfs_share_open(const struct nfs_options *options, struct nfs_share **ret, struct err *err) {
    struct share_target target = {0};
    struct err ignored = ERR_NONE;
    if (!err)
        err = &ignored;
    int r = check_options(options, err);
    if (r == 0)
        r = find(options, &target, err);
    if (r < 0)
        return r;
    r = make(options, &target, ret);
    return r < 0 ? err_set(err, r, "connections to NFS server '%s' cannot be made: %s", options->server, err_name(r))
                 : 0;
}
