// SPDX-License-Identifier: Apache-2.0
// The connection's socket: connecting, sending, and cutting the stream into replies.
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/nfs/connection.h"
#include "lib/nfs/net.h"

enum {
    IOV_COUNT = 96,
    PADDING_MAX = 3,
    LOSSES_TO_RESOLVE = 2,
    OTHER_PORT_EACH = 5,
    INPUT_FIRST = 64 * 1024,
    INPUT_SHORT = 4 * 1024,           // with READs on the way: what is received here has to be copied
    READ_HEAD_MAX = 3 * 1024,         // by then the head of a READ's reply is there
    RECEIVE_BUDGET = 8 * 1024 * 1024, // bytes, before the submit queue gets its turn
};
#define CONNECT_TIMEOUT_NS (10 * NS_PER_S)
#define BACKOFF_FIRST_NS (50 * NS_PER_MS)
#define BACKOFF_MAX_NS (3 * NS_PER_S)

void conn_lost(struct conn *conn) {
    for (struct req *req = conn->active.first; req && req != conn->next_send; req = req->next)
        req->resent = true;
    if (conn->in.data_req) // the next reply may bring more
        conn->in.data_req->call->count = conn->in.data_req->asked;
    if (conn->fd >= 0)
        (void)close(take_fd(&conn->fd));
    conn->generation++;
    conn->connected = false;
    conn->in.len = conn->in.used = 0;
    conn->in.data_req = NULL;
    conn->in.data_left = conn->in.skip_left = conn->in.record_left = 0;
    conn->next_send = conn->active.first;
    conn->sent = 0;
    conn->losses++;
    conn->backoff_ns = conn->backoff_ns == 0 ? BACKOFF_FIRST_NS : conn->backoff_ns * 2;
    if (conn->backoff_ns > BACKOFF_MAX_NS)
        conn->backoff_ns = BACKOFF_MAX_NS;
    conn->retry_at_ns = clock_monotonic(&clock_system) + conn->backoff_ns;
}

// Has the server another address by now? The name is resolved while we try, and the answer used by a later try.
static void refresh_address(struct conn *conn) {
    struct net_addresses found = {0};
    if (!conn->server || conn->losses < LOSSES_TO_RESOLVE)
        return;
    if (!conn->lookup)
        conn->lookup = net_lookup_start(conn->server);
    else if (net_lookup_ended(&conn->lookup, &found))
        net_choose_address(&found, &conn->address);
}

// Calls that must not be carried out twice, of which nobody knows whether they were once.
static void give_back(struct conn *conn) {
    struct req *req = conn->active.first;
    while (req) {
        if (!req->resent || !req->origin->once) {
            req = req->next;
            continue;
        }
        conn_finish(req, -ECONNRESET); // `done` may have changed the queue
        req = conn->active.first;
    }
}

void conn_reconnect(struct conn *conn, int64_t now) {
    give_back(conn);
    refresh_address(conn);
    conn->connect_by_ns = now + CONNECT_TIMEOUT_NS;
    bool other = conn->losses > 0 && conn->losses % OTHER_PORT_EACH == 0; // a firewall may hold the old one
    uint16_t port = other ? 0 : conn->local_port;
    if (net_connect_start(&conn->address, port, &conn->fd) < 0)
        conn_lost(conn);
}

int conn_connected(struct conn *conn) {
    int r = net_connect_result(conn->fd);
    if (r < 0)
        return r;
    conn->connected = true;
    conn->local_port = net_local_port(conn->fd);
    if (conn->told_port)
        *conn->told_port = conn->local_port;
    return 0;
}

// Sending. ------------------------------------------------------------------------------------------------------------

static size_t req_size(const struct req *req) {
    return req->msg_len + (((size_t)req->tail_len + 3) & ~(size_t)3);
}

static void add_iov(struct iovec *iov, int *count, const void *data, size_t len, size_t *skip) {
    if (*skip >= len) {
        *skip -= len;
        return;
    }
    iov[(*count)++] = (struct iovec){(char *)(uintptr_t)data + *skip, len - *skip};
    *skip = 0;
}

static int gather(const struct conn *conn, struct iovec *iov) {
    static const char zeros[PADDING_MAX];
    int count = 0;
    size_t skip = conn->sent;
    for (const struct req *req = conn->next_send; req && count + 3 <= IOV_COUNT; req = req->next) {
        add_iov(iov, &count, req->msg, req->msg_len, &skip);
        add_iov(iov, &count, req->tail, req->tail_len, &skip);
        add_iov(iov, &count, zeros, -req->tail_len & PADDING_MAX, &skip);
    }
    return count;
}

int conn_send(struct conn *conn) {
    while (conn->next_send) {
        struct iovec iov[IOV_COUNT];
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)gather(conn, iov)};
        ssize_t n = sendmsg(conn->fd, &msg, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        conn->sent += (size_t)n;
        while (conn->next_send && conn->sent >= req_size(conn->next_send)) {
            conn->sent -= req_size(conn->next_send);
            conn->next_send = conn->next_send->next;
        }
    }
    return 0;
}

// Receiving. ----------------------------------------------------------------------------------------------------------

static int grow(struct conn_input *in, size_t cap) {
    if (cap <= in->cap)
        return 0;
    uint8_t *buf = mem_realloc(in->buf, cap, 1);
    if (!buf)
        return -ENOMEM;
    in->buf = buf;
    in->cap = cap;
    return 0;
}

// Takes up to `*left` bytes that are in the buffer already, to `to` when given.
static void take_buffered(struct conn_input *in, uint8_t **to, size_t *left) {
    size_t n = in->len - in->used;
    if (n > *left)
        n = *left;
    if (to && *to) {
        memcpy(*to, in->buf + in->used, n);
        *to += n;
    }
    in->used += n;
    *left -= n;
}

static void end_data(struct conn *conn) {
    struct req *req = conn->in.data_req;
    if (conn->in.data_left > 0 || !req)
        return;
    conn->in.data_req = NULL;
    conn_read_done(req, 0);
}

static void consume_data(struct conn *conn) {
    struct conn_input *in = &conn->in;
    take_buffered(in, in->data_req ? &in->data_at : NULL, &in->data_left);
    if (in->data_left == 0) {
        take_buffered(in, NULL, &in->skip_left);
        end_data(conn);
    }
}

// A READ's reply: its data go to the caller's buffer, without waiting for all of it.
static int begin_read(struct conn *conn, struct req *req, struct xdr_in *body, size_t record_left) {
    uint32_t len = 0;
    size_t head = xdr_left(body);
    int r = rpc_get_reply(body);
    if (r == 0)
        r = conn->protocol->decode_read(req, body, &len);
    if (body->bad || (r == 0 && (len > req->call->count || len > record_left - (head - xdr_left(body))))) {
        conn_read_done(req, -EPROTO); // asked again, the answer would be the same
        return -EPROTO;
    }
    size_t used = head - xdr_left(body);
    size_t left = record_left - used;
    conn->in.used += used;
    if (r != 0) {
        conn->in.skip_left = left;
        conn_read_done(req, r);
        return 0;
    }
    req->call->count = len;
    conn->in.data_req = req;
    conn->in.data_at = req->call->data;
    conn->in.data_left = len;
    conn->in.skip_left = left - len;
    end_data(conn);
    return 0;
}

// Makes one record of the fragments at the front of the buffer (RFC 5531 11), once all of them are there.
static int join_fragments(struct conn_input *in) {
    uint8_t *start = in->buf + in->used, *to = start + 4;
    size_t have = in->len - in->used, at = 0, total = 0;
    for (bool last = false; !last;) {
        if (at > RPC_REPLY_MAX || total > RPC_REPLY_MAX)
            return -EPROTO;
        uint32_t mark = have - at >= 4 ? xdr_load_u32(start + at) : 0, size = mark & ~RPC_LAST_FRAGMENT;
        if (size > RPC_REPLY_MAX)
            return -EPROTO;
        if (have - at < 4 + (size_t)size) {
            int r = grow(in, at + 8 + size);
            return r < 0 ? r : -EAGAIN;
        }
        at += 4 + (size_t)size;
        total += size;
        last = mark & RPC_LAST_FRAGMENT;
    }
    for (size_t from = 0; from < at;) {
        uint32_t size = xdr_load_u32(start + from) & ~RPC_LAST_FRAGMENT;
        memmove(to, start + from + 4, size);
        to += size;
        from += 4 + (size_t)size;
    }
    memmove(to, start + at, have - at);
    in->len -= at - 4 - total;
    xdr_store_u32(start, RPC_LAST_FRAGMENT | (uint32_t)total);
    return 0;
}

// One record from the buffer. 0; -EAGAIN when more bytes are needed; else the connection is no good.
static int next_record(struct conn *conn) {
    struct conn_input *in = &conn->in;
    size_t have = in->len - in->used;
    if (have < 8)
        return -EAGAIN;
    uint32_t mark = xdr_load_u32(in->buf + in->used), size = mark & ~RPC_LAST_FRAGMENT;
    if (!(mark & RPC_LAST_FRAGMENT))
        return join_fragments(in);
    if (size < 4 || size > RPC_REPLY_MAX)
        return -EPROTO;
    struct req *req = conn_find(conn, xdr_load_u32(in->buf + in->used + 4));
    bool whole = have >= 4 + (size_t)size;
    conn->backoff_ns = 0;
    conn->losses = 0;
    if (!req || req == conn->next_send) { // nobody waits for it any more
        in->used += 8;
        in->skip_left = size - 4;
        return 0;
    }
    struct xdr_in body = {.at = in->buf + in->used + 8, .end = in->buf + (whole ? in->used + 4 + size : in->len)};
    if (req->call->op == NFS_READ && (whole || have >= READ_HEAD_MAX)) {
        in->used += 8;
        return begin_read(conn, req, &body, size - 4);
    }
    if (!whole && req->call->op == NFS_READ)
        return -EAGAIN;
    if (!whole) {
        int r = grow(in, 4 + (size_t)size);
        return r < 0 ? r : -EAGAIN;
    }
    in->used += 4 + (size_t)size;
    conn_answered(req, &body);
    return 0;
}

static int parse(struct conn *conn) {
    struct conn_input *in = &conn->in;
    unsigned generation = conn->generation;
    int r = 0;
    while (r == 0 && conn->generation == generation && in->used < in->len) {
        if (in->data_left > 0 || in->skip_left > 0)
            consume_data(conn);
        else
            r = next_record(conn);
    }
    if (conn->generation != generation)
        return 0; // a callback gave up the connection
    if (in->data_left == 0 && in->data_req)
        end_data(conn);
    if (in->used > 0)
        memmove(in->buf, in->buf + in->used, in->len - in->used);
    in->len -= in->used;
    in->used = 0;
    return r == -EAGAIN ? 0 : r;
}

// Where the next bytes go: to the caller, or to our buffer.
static ssize_t receive_some(struct conn *conn) {
    struct conn_input *in = &conn->in;
    if (in->data_left > 0 && in->len == 0 && in->data_req) {
        ssize_t n = recv(conn->fd, in->data_at, in->data_left, 0);
        if (n > 0) {
            in->data_at += n;
            in->data_left -= (size_t)n;
        }
        return n;
    }
    size_t room = in->cap - in->len;
    if (conn->reads > 0 && in->len < INPUT_SHORT && room > INPUT_SHORT - in->len)
        room = INPUT_SHORT - in->len;
    ssize_t n = recv(conn->fd, in->buf + in->len, room, 0);
    if (n > 0)
        in->len += (size_t)n;
    return n;
}

int conn_receive(struct conn *conn) {
    unsigned generation = conn->generation;
    int r = grow(&conn->in, INPUT_FIRST);
    for (size_t budget = RECEIVE_BUDGET; r == 0 && conn->generation == generation;) {
        ssize_t n = receive_some(conn);
        if (n == 0)
            return -ECONNRESET;
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        r = parse(conn);
        if ((size_t)n >= budget)
            break;
        budget -= (size_t)n;
    }
    return conn->generation == generation ? r : 0;
}
