// SPDX-License-Identifier: Apache-2.0
// Inside the HTTP server: a connection to an upstream, in the loop of whoever uses it.
//
//   new: CONNECT ──► used: request out, head in, body in ──► kept (pool) ──► used …
//          └── failed ──────────┴── failed / closed
//
// Owns:    the loop has it through its watch; who takes one has it until http_uplink_release or http_uplink_close.
// Threads: the loop's.
#pragma once

#include "lib/http/loop.h"
#include "lib/http/upstream.h"

#define HTTP_ADDRESSES_MAX 8

struct http_uplink;
struct http_pool {
    struct http_uplink *first; // the last that was used, so that the others grow old
    unsigned count;
};
struct http_address {
    struct sockaddr_storage address;
    socklen_t len;
};
struct http_upstream {
    struct http_upstream_options options;
    pthread_mutex_t lock; // of the addresses
    struct http_address addresses[HTTP_ADDRESSES_MAX];
    size_t address_count;
    atomic_uint turn; // which of them is next, when one fails
    atomic_bool missed;
    struct http_pool *pools; // one a loop
};
#define HTTP_LOOPS_MAX 64

struct http_uplink_ops {
    void (*ready)(void *arg);         // connected, or more can be written or read
    void (*failed)(void *arg, int r); // it could not be made, or its time is up; to be closed
};

struct http_answer_body {
    bool chunked, ended, dirty; // dirty: bytes came that belong to no answer
    int64_t left;               // -1: until the connection ends
    struct http_chunk chunk;
};

struct http_uplink {
    struct http_watch watch; // first
    struct http_upstream *upstream;
    const struct http_uplink_ops *ops; // NULL: kept
    void *arg;
    void *tls;
    struct http_uplink *next; // in the pool
    bool connected, kept, was_kept, readable, writable, hung_up, half_closed;
    bool broken;  // its time was up
    bool spoiled; // it has half a request
    int64_t deadline_ns;
    struct http_buffer in; // the head of the answer and what came with it
    size_t head_len, rest_at;
    struct http_head_scan scan;
    struct http_answer_body body;
    bool keep_alive;
};

// A kept connection, or (`fresh`, or when there is none) one that is being made. -ENODATA: there is no address;
// else -errno of connect.
int http_uplink_take(struct http_worker *worker, struct http_upstream *upstream, bool fresh,
                     const struct http_uplink_ops *ops, void *arg, struct http_uplink **ret) must_check;
void http_uplink_release(struct http_uplink *link); // keeps it if it can be used again, else closes it
void http_uplink_close(struct http_uplink *link);
void http_uplink_half_close(struct http_uplink *link);               // tells the server that nobody waits for long
void http_uplink_expect(struct http_uplink *link, unsigned seconds); // 0: nothing is awaited

ssize_t http_uplink_write(struct http_uplink *link, const struct iovec *iov, int count); // -EAGAIN or another -errno
ssize_t http_uplink_read(struct http_uplink *link, void *data, size_t len);              // raw; 0: the end
// Reads until the head is there: 1, 0: it is not yet, -ECONNRESET, -EBADMSG.
int http_uplink_fill(struct http_uplink *link);
bool http_uplink_heard(const struct http_uplink *link); // has a byte of an answer come?
// The head that is there, for a request with this method; an interim answer (1xx) is passed over and gives 0.
int http_uplink_head(struct http_uplink *link, enum http_method method, struct http_head *ret, unsigned *ret_status);
// The body behind it: > 0 bytes, 0 at its end, -EAGAIN, -ECONNRESET when it is cut short, -EBADMSG.
ssize_t http_uplink_body(struct http_uplink *link, void *buf, size_t len);
// The whole of a body that came along with the head; NULL: it did not. It is read then.
const char *http_uplink_whole(struct http_uplink *link, size_t *ret_len);
