// SPDX-License-Identifier: Apache-2.0
#include "lib/rpc/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "lib/base/str.h"

static const char *const names[] = {
    [RPC_OK] = "OK",
    [RPC_CANCELLED] = "CANCELLED",
    [RPC_UNKNOWN] = "UNKNOWN",
    [RPC_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
    [RPC_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
    [RPC_NOT_FOUND] = "NOT_FOUND",
    [RPC_ALREADY_EXISTS] = "ALREADY_EXISTS",
    [RPC_PERMISSION_DENIED] = "PERMISSION_DENIED",
    [RPC_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
    [RPC_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
    [RPC_ABORTED] = "ABORTED",
    [RPC_OUT_OF_RANGE] = "OUT_OF_RANGE",
    [RPC_UNIMPLEMENTED] = "UNIMPLEMENTED",
    [RPC_INTERNAL] = "INTERNAL",
    [RPC_UNAVAILABLE] = "UNAVAILABLE",
    [RPC_DATA_LOSS] = "DATA_LOSS",
    [RPC_UNAUTHENTICATED] = "UNAUTHENTICATED",
};

const char *rpc_code_name(enum rpc_code code) {
    return (size_t)code < ARRAY_SIZE(names) ? names[code] : names[RPC_UNKNOWN];
}

// Peers refuse a message that is no UTF-8, and file names of a share may be anything.
static void make_utf8(char *text) {
    size_t len = strlen(text);
    if (str_is_utf8(text, len))
        return;
    for (size_t at = 0; at < len;) {
        size_t n = 1;
        while (n <= 4 && at + n <= len && !str_is_utf8(text + at, n))
            n++;
        if (n > 4 || at + n > len) {
            text[at] = '?';
            n = 1;
        }
        at += n;
    }
}

// Length of `text` without a last character that snprintf cut.
static size_t cut_length(const char *text, size_t len) {
    size_t start = len;
    while (start > 0 && len - start < 4 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0xC0 && !str_is_utf8(text + start - 1, len - start + 1))
        return start - 1;
    return len;
}

void rpc_status_set(struct rpc_status *status, enum rpc_code code, const char *fmt, ...) {
    status->code = code;
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(status->message, sizeof status->message, fmt, ap);
    va_end(ap);
    if (len < 0)
        status->message[0] = '\0';
    else if ((size_t)len >= sizeof status->message)
        status->message[cut_length(status->message, sizeof status->message - 1)] = '\0';
    make_utf8(status->message);
}
