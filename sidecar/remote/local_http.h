// SPDX-License-Identifier: Apache-2.0
// One request to a server of this pod, and the begin of its answer.
//
// Threads: any; waits.
// Fails:   -errno with the address.
#pragma once

#include <stddef.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

struct local_request {
    const char *address; // "HOST:PORT", "[IPv6]:PORT" or "unix:PATH", as of --listen
    const char *data;    // the whole of it; it must ask for "Connection: close"
    size_t len;
    unsigned wait_s; // for each step
};
// Fills `answer`, at most `size` bytes with the NUL behind them, to its end.
int local_http_ask(const struct local_request *request, char *answer, size_t size, struct err *err) must_check;
