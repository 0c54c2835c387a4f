// SPDX-License-Identifier: Apache-2.0
// Results: 0 or a negative errno, with a message for a person where one will read it.
//
// Why:     a failure is one line, keeps its cause, and needs no allocation and no free.
// Owns:    nothing; `struct err` lives on the caller's stack.
// Threads: a `struct err` belongs to one thread at a time.
#pragma once

#include <stdarg.h>

struct err {
    int code; // 0 or -errno
    char msg[256];
};

#define ERR_NONE ((struct err){0})

// Sets `err` (may be NULL) and returns `code`, so that a failure is `return err_set(err, -ENOENT, ...)`.
// Messages name the object and the remedy; longer ones are cut at 255 bytes on a UTF-8 boundary.
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

// Puts context in front of an error that was set ("context: message") and returns its code.
// When no message was set yet, the code's own text is used.
int err_wrap(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

// The message, or the code's text when none was set. Valid as long as `err`.
const char *err_text(const struct err *err);

// The text of an errno (positive or negative). Static storage, thread-safe.
const char *err_name(int code);
