// SPDX-License-Identifier: Apache-2.0
// A growing string, and the small questions about text that every edge asks.
//
// Why:   error-checked building of text without fixed buffers.
// Owns:  `struct str` owns `data`; str_done releases it, str_take gives it away.
// Fails: the append functions return -ENOMEM and leave what was there; the failure also sticks in `failed`,
//        so that a chain of appends may be checked once.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"

struct str {
    char *data; // NUL-terminated, or NULL while empty
    size_t len;
    size_t cap;
    bool failed;
};

int str_append(struct str *s, const char *text);
int str_append_bytes(struct str *s, const void *data, size_t len);
int str_printf(struct str *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int str_vprintf(struct str *s, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
const char *str_text(const struct str *s); // never NULL
char *str_take(struct str *s) must_check;  // the text, to be freed by the caller; NULL after a failure
void str_done(struct str *s);
#define cleanup_str cleanup(str_done)

bool str_eq(const char *a, const char *b);        // NULL equals NULL only
bool str_eq_nocase(const char *a, const char *b); // ASCII case
bool str_starts(const char *s, const char *prefix);
bool str_empty(const char *s); // NULL or ""

// Whole-string conversions: no sign, no spaces, no trailing text. -EINVAL, or -ERANGE beyond the limits.
int str_to_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret) must_check;
int str_to_i64(const char *s, int64_t min, int64_t max, int64_t *ret) must_check;
int str_to_octal(const char *s, uint32_t max, uint32_t *ret) must_check;
int str_to_bool(const char *s, bool *ret) must_check; // true|false, without case
// Bytes with an optional suffix K, M, G, T, Ki, Mi, Gi, Ti (decimal and binary, as Kubernetes quantities).
int str_to_bytes(const char *s, int64_t *ret) must_check;
void str_from_bytes(int64_t bytes, char buf[static 24]); // "1.5Gi"

bool str_is_utf8(const char *s, size_t len); // well-formed UTF-8 without NUL
// One component of a path: 1..255 bytes, valid UTF-8, no '/', no NUL or control character, not "." or "..".
bool str_is_path_component(const char *s, size_t len);
