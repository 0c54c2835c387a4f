// SPDX-License-Identifier: Apache-2.0
#include "sidecar/remote/probe.h"

#include <errno.h>
#include <string.h>

#include "lib/base/str.h"
#include "sidecar/remote/local_http.h"

#define WAIT_S 10

int probe_ready(const char *address, struct err *err) {
    static const char data[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    const struct local_request request = {.address = address, .data = data, .len = sizeof data - 1, .wait_s = WAIT_S};
    char answer[2048];
    int r = local_http_ask(&request, answer, sizeof answer, err);
    if (r < 0)
        return err_wrap(err, r, "no sidecar");
    if (str_starts(answer, "HTTP/1.1 200 "))
        return 0;
    const char *body = strstr(answer, "\r\n\r\n");
    return err_set(err, -EAGAIN, "not ready: %.200s", body ? body + 4 : "no answer");
}
