// SPDX-License-Identifier: Apache-2.0
// A call on its way: encoded, queued, answered, delayed, forgotten.
#include <errno.h>
#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/nfs/connection.h"
#include "lib/nfs/protocol.h"

#define DELAY_FIRST_NS (100 * NS_PER_MS)
#define DELAY_MAX_NS (5 * NS_PER_S)
#define REPEAT_FIRST_NS (100 * NS_PER_MS) // a server may drop a duplicate of what it is still working on
#define REPEAT_MAX_NS (15 * NS_PER_S)

void conn_queue_append(struct conn_queue *q, struct req *req) {
    req->prev = q->last;
    req->next = NULL;
    *(q->last ? &q->last->next : &q->first) = req;
    q->last = req;
}

void conn_queue_remove(struct conn_queue *q, struct req *req) {
    *(req->prev ? &req->prev->next : &q->first) = req->next;
    *(req->next ? &req->next->prev : &q->last) = req->prev;
    req->prev = req->next = NULL;
}

struct req *conn_find(struct conn *conn, uint32_t xid) {
    struct req *req = conn->buckets[xid % CONN_BUCKETS];
    while (req && req->xid != xid)
        req = req->hash_next;
    return req;
}

void conn_set_timer(struct conn *conn, int64_t when) {
    if (when < conn->next_timer_ns)
        conn->next_timer_ns = when;
}

// Takes the request off the wire: its reply will find nobody.
static void deactivate(struct req *req) {
    struct conn *conn = req->conn;
    struct req **at = &conn->buckets[req->xid % CONN_BUCKETS];
    while (*at && *at != req)
        at = &(*at)->hash_next;
    if (!*at)
        return;
    *at = req->hash_next;
    // Part of it was sent and the rest may never be: the server must not see the two halves of different calls.
    if (conn->next_send == req && conn->sent > 0)
        conn_lost(conn);
    if (conn->next_send == req)
        conn->next_send = req->next;
    if (conn->in.data_req == req) {
        conn->in.data_req = NULL;
        req->call->count = req->asked;
    }
    if (req->call->op == NFS_READ)
        conn->reads--;
    conn_queue_remove(&conn->active, req);
    free(take_ptr(req->msg));
}

static void wait_in_line(struct req *req, int64_t retry_ns) {
    req->retry_ns = retry_ns;
    conn_queue_append(&req->conn->waiting, req);
    conn_set_timer(req->conn, retry_ns);
}

void conn_forget(struct req *req) {
    deactivate(req);
    if (req->conn->protocol->gone)
        req->conn->protocol->gone(req);
    free(req->probe);
    free(req);
}

void conn_finish(struct req *req, int result) {
    struct conn *conn = req->conn;
    struct nfs_call *call = req->origin;
    conn_forget(req);
    (void)atomic_fetch_sub_explicit(&conn->in_flight, 1, memory_order_relaxed);
    call->result = result;
    call->done(call);
}

void conn_delay(struct req *req) {
    deactivate(req);
    req->delay_ns = req->delay_ns == 0 ? DELAY_FIRST_NS : req->delay_ns * 2;
    if (req->delay_ns > DELAY_MAX_NS)
        req->delay_ns = DELAY_MAX_NS;
    wait_in_line(req, clock_monotonic(&clock_system) + req->delay_ns);
}

void conn_release(struct conn *conn) {
    for (struct req *req = conn->waiting.first; req; req = req->next)
        if (req->parked)
            req->retry_ns = 0;
    conn->next_timer_ns = 0;
}

void conn_repeat(struct req *req) {
    deactivate(req);
    req->replayed = false;
    conn_start(req->conn, req);
}

// The number of before for the same call of a process before us; a fresh one for everything else.
static uint32_t choose_xid(struct conn *conn, struct req *req) {
    uint64_t again = req->origin->again;
    uint32_t xid = (uint32_t)again;
    if (!again || req->replayed || req->call != req->origin || req->step || again >> 32 != conn->index + 1 ||
        conn_find(conn, xid))
        return conn->next_xid++;
    int64_t *after = &req->repeat_after_ns;
    *after = *after == 0 ? REPEAT_FIRST_NS : *after * 2 < REPEAT_MAX_NS ? *after * 2 : REPEAT_MAX_NS;
    req->repeat_ns = clock_monotonic(&clock_system) + *after;
    conn_set_timer(conn, req->repeat_ns);
    req->replayed = req->resent = true;
    return xid;
}

static int encode(struct conn *conn, struct req *req, uint32_t xid) {
    struct xdr_out out = {.buf = conn->scratch, .cap = RPC_CALL_MAX};
    struct rpc_target target = {NFS_PROGRAM, conn->protocol->version, conn->protocol->procedure(req)};
    const struct nfs_cred *cred = conn->protocol->cred(req);
    if (!cred)
        cred = req->call->cred ? req->call->cred : conn->default_cred;
    rpc_put_call(&out, xid, &target, cred);
    req->tail = NULL;
    req->tail_len = 0;
    int r = conn->protocol->encode(req, &out);
    if (r < 0)
        return r;
    rpc_finish_call(&out, ((size_t)req->tail_len + 3) & ~(size_t)3);
    if (out.full)
        return -EMSGSIZE;
    req->msg = mem_alloc(out.len);
    if (!req->msg)
        return -ENOMEM;
    memcpy(req->msg, out.buf, out.len);
    req->msg_len = out.len;
    return 0;
}

void conn_start(struct conn *conn, struct req *req) {
    uint32_t xid = choose_xid(conn, req);
    int r = encode(conn, req, xid);
    req->parked = r == -EBUSY;
    if (req->parked) {
        req->replayed = false;
        wait_in_line(req, DEADLINE_NONE);
        return;
    }
    if (r < 0) {
        conn_finish(req, r);
        return;
    }
    req->xid = xid;
    if (req->origin->sent && req->call == req->origin)
        *req->origin->sent = (uint64_t)(conn->index + 1) << 32 | xid;
    req->hash_next = conn->buckets[req->xid % CONN_BUCKETS];
    conn->buckets[req->xid % CONN_BUCKETS] = req;
    conn_queue_append(&conn->active, req);
    if (!conn->next_send)
        conn->next_send = req;
    if (req->call->op == NFS_READ)
        conn->reads++;
}

static void settle(struct req *req, int result) {
    if (result != -EAGAIN && result != PROTOCOL_NEXT)
        result = conn_judge(req, result);
    if (result == -EAGAIN) {
        conn_delay(req);
    } else if (result == PROTOCOL_NEXT) {
        deactivate(req);
        conn_start(req->conn, req);
    } else {
        conn_finish(req, result);
    }
}

void conn_answered(struct req *req, struct xdr_in *in) {
    int r = rpc_get_reply(in);
    settle(req, r < 0 ? r : req->conn->protocol->decode(req, in));
}

void conn_read_done(struct req *req, int result) {
    settle(req, result);
}
