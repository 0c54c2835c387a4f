// SPDX-License-Identifier: Apache-2.0
// /healthz and /metrics of a process that serves nothing else over HTTP: one thread, a few connections.
//
// Threads: handlers run on the server's one thread; they must answer without waiting for anything remote.
// Fails:   start: -EADDRINUSE, -EINVAL with the address in the message.
#pragma once

#include "lib/base/str.h"
#include "lib/http/server.h"

// Fills the body and returns the status; *ret_type is text/plain unless set.
typedef int http_health_fn(void *arg, struct str *body, const char **ret_type);

struct http_health;
// `healthz` answers /healthz; /metrics is metrics_render.
int http_health_start(const char *address, http_health_fn *healthz, void *arg, struct http_health **ret,
                      struct err *err) must_check;
uint16_t http_health_port(const struct http_health *health);
struct http_health *http_health_free(struct http_health *health);
DEFINE_CLEANUP(http_health)
