// SPDX-License-Identifier: Apache-2.0
// A small HTTP server for /healthz and /metrics, over libmicrohttpd (included in this folder only).
//
// Threads: handlers run on the server's one thread; they must answer without waiting for anything remote.
// Fails:   start: -EADDRINUSE, -EINVAL with the address in the message.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

struct http_route {
    const char *path; // exact
    // Fills the body and returns the status; *ret_type is text/plain unless set.
    int (*handle)(void *arg, struct str *body, const char **ret_type);
    void *arg;
};
struct http_server;

// address: "HOST:PORT", "[IPv6]:PORT" or ":PORT" (all addresses); port 0 takes a free one. Routes are borrowed.
int http_server_start(const char *address, const struct http_route *routes, size_t count, struct http_server **ret,
                      struct err *err) must_check;
uint16_t http_server_port(const struct http_server *server);
struct http_server *http_server_free(struct http_server *server);
DEFINE_CLEANUP(http_server)

int http_metrics(void *arg, struct str *body, const char **ret_type); // handler of /metrics: metrics_render
