// SPDX-License-Identifier: Apache-2.0
// Another HTTP server that requests are passed on to: where it is, the connections that are kept to it, and the passing on.
//
// Why:     the answer is read in the event loop of the request it is for, so that passing on costs no change of thread; bodies
//          go through in pieces both ways, however large they are, and long answers (event streams, long polls) as they come.
// Owns:    an upstream has its connections, a pool a loop. It outlives the server whose routes use it.
// Threads: http_forward on the thread of the request's connection (a handler); the rest from any.
// Fails:   what could not be sent is 503 with Retry-After; what was sent and lost its answer is 502, or 503 where the request
//          may be repeated. A request goes out a second time only if none of its bytes had left, or if it `may_repeat` and
//          the connection was a kept one that its server closed meanwhile. An answer that is cut short cuts the client's.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/http/request.h"

struct http_tls;

struct http_upstream_options { // texts are copied
    const char *name;          // for people: "the store http://10.0.0.7:3500"
    const char *remedy;        // what to do when it cannot be reached
    const char *host;          // of the Host field: "stowage-store:3500"
    struct http_tls *tls;      // of http_tls_client_new; NULL: plain
    unsigned connect_s;        // 0: 5
    unsigned answer_s;         // without a byte while one is awaited; 0: 120
    unsigned idle_s;           // how long a connection is kept; shorter than its server keeps it. 0: 30
    unsigned idle_max;         // kept a loop; 0: 64
};

struct http_upstream;
int http_upstream_new(const struct http_upstream_options *options, struct http_upstream **ret,
                      struct err *err) must_check;
struct http_upstream *http_upstream_free(struct http_upstream *upstream); // after http_server_free
DEFINE_CLEANUP(http_upstream)

// Where it is now: looks the name up, which may wait (not from a handler). Until the first success requests are 503.
int http_upstream_resolve(struct http_upstream *upstream, const char *host, const char *port,
                          struct err *err) must_check;
int http_upstream_set_unix(struct http_upstream *upstream, const char *path, struct err *err) must_check;
// True once after a connection could not be made: its name should be looked up again.
bool http_upstream_missed(struct http_upstream *upstream);

// Told what became of a request that was passed on; on the loop's thread.
struct http_head;
struct http_forward_watcher {
    // The answer's head; `body` only where the whole of it, `len` bytes, has come along, else NULL.
    void (*answered)(void *arg, unsigned status, const struct http_head *head, const char *body, size_t len);
    void (*ended)(void *arg); // exactly once, whatever happened
};

struct http_forward {
    struct http_upstream *upstream;
    const char *fields; // of our own: "Name: value\r\n…"; NULL: none
    const char *const
        *without;    // of the client's, not passed on, beside those of the connection; NULL-terminated or NULL
    bool may_repeat; // asks only, and changes nothing
    const struct http_forward_watcher *watcher; // NULL: none
    void *arg;
};
// Passes the request on and answers it; method, target and body go as they came. What stands in `forward` is copied.
void http_forward(struct http_request *request, const struct http_forward *forward);

// A GET of our own whose answer goes on, such as an event stream. All on the thread of one loop.
struct http_subscriber {
    void (*answered)(void *arg, unsigned status);          // at most once, before any bytes; NULL: nobody asks
    int (*bytes)(void *arg, const char *data, size_t len); // of a 200; non-zero ends it
    void (*ended)(void *arg);                              // exactly once: over, refused, cut, or the server stops
    unsigned silence_s;                                    // after so long without a byte it is cut; 0: as the upstream
};
// On the loop of `request`, which may be long gone by then. -errno: it could not begin, and nothing is called.
int http_subscribe(struct http_request *request, struct http_upstream *upstream, const char *target, const char *fields,
                   const struct http_subscriber *subscriber, void *arg) must_check;
// From any thread but a loop's, on the server's first loop. 0: `ended` is called whatever happens, at the latest while the server stops.
struct http_server;
int http_server_subscribe(struct http_server *server, struct http_upstream *upstream, const char *target,
                          const char *fields, const struct http_subscriber *subscriber, void *arg) must_check;
