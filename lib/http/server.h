// SPDX-License-Identifier: Apache-2.0
// The HTTP/1.1 server: listeners, tables of routes, limits, graceful end.
//
// Why:     what stands in front of an API must refuse what two parsers could read differently; docs/decisions has the page.
// Owns:    all tables and texts in the options are borrowed until http_server_free.
// Threads: `threads` event loops; each connection belongs to one. Start, stop and free: one thread, not a handler.
// Fails:   start: -EADDRINUSE, -EINVAL and others, with the address or file in the message.
#pragma once

#include <stdint.h>

#include "lib/base/json.h"
#include "lib/http/request.h"

// Routes below some prefixes, in the order of the tables: the first table with a prefix that fits has the request.
// A doubled slash after a prefix is read as one.
struct http_table {
    const char *const *prefixes; // "/api/v1", "/api/v2/workspaces/{ws}", "" (everything); arguments as in patterns
    size_t prefix_count;
    const struct http_route *routes;
    size_t count;
    void *arg; // of the handlers
};

struct http_tls; // lib/http/tls.h

struct http_options {
    const char *const
        *addresses; // "HOST:PORT", "[IPv6]:PORT", ":PORT" (all addresses), "unix:PATH"; port 0: a free one
    size_t address_count;
    const struct http_table *tables;
    size_t table_count;
    // Before the body is read: 0, or an error that is answered as by http_reply_error. It may set headers and the user.
    // It must not wait: with -EINPROGRESS it has arranged for one http_request_admit, which decides.
    int (*authorize)(void *arg, struct http_request *request, struct err *err);
    void *authorize_arg;
    struct http_tls *tls;     // for the TCP listeners; NULL: plain
    unsigned threads;         // 0: one a CPU, at most 4
    unsigned connections_max; // 0: 4096; further ones are answered 503 and closed
    unsigned header_s;        // a request's head must be complete in this time; 0: 10
    unsigned body_s;          // in this time 4 KiB must come (or go, when the client reads), or the rest; 0: 30
    unsigned idle_s;          // between requests; 0: 75
};

struct http_server;
int http_server_start(const struct http_options *options, struct http_server **ret, struct err *err) must_check;
uint16_t http_server_port(const struct http_server *server); // of the first TCP listener; 0: there is none
// Drains: no new connection, no new request on old ones (503 with Retry-After); what runs has `grace_ms`, then it is cut.
void http_server_stop(struct http_server *server, int64_t grace_ms);
struct http_server *http_server_free(struct http_server *server); // stops with no grace, if it still runs
DEFINE_CLEANUP(http_server)
bool http_address_is_local(const char *address); // reached from this machine only?

// The tables as an OpenAPI 3.1 document. NULL: out of memory.
struct json *http_openapi(const char *title, const struct http_table *tables, size_t count) must_check;
