// SPDX-License-Identifier: Apache-2.0
#include "lib/base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *err_name(int code) {
    const char *text = strerrordesc_np(abs(code));
    return text ? text : "unknown error";
}

// Drops a UTF-8 sequence that the end of a full buffer cut in two.
static void cut_at_character(char *msg, size_t size) {
    size_t end = strlen(msg), start = end;
    if (end + 1 < size)
        return;
    while (start > 0 && ((unsigned char)msg[start - 1] & 0xC0) == 0x80)
        start--;
    if (start > 0 && (unsigned char)msg[start - 1] >= 0xC0)
        start--;
    unsigned char lead = (unsigned char)msg[start];
    size_t whole = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (start + whole > end)
        msg[start] = '\0';
}

int err_set(struct err *err, int code, const char *fmt, ...) {
    if (!err)
        return code;
    va_list ap;
    va_start(ap, fmt);
    err->code = code;
    (void)vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    cut_at_character(err->msg, sizeof err->msg);
    return code;
}

int err_wrap(struct err *err, int code, const char *fmt, ...) {
    if (!err)
        return code;
    char cause[sizeof err->msg];
    (void)snprintf(cause, sizeof cause, "%s", err->code && err->msg[0] ? err->msg : err_name(code));
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof err->msg)
        (void)snprintf(err->msg + n, sizeof err->msg - (size_t)n, ": %s", cause);
    cut_at_character(err->msg, sizeof err->msg);
    err->code = code;
    return code;
}

const char *err_text(const struct err *err) {
    return err->msg[0] ? err->msg : err_name(err->code);
}
