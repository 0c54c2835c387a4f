// SPDX-License-Identifier: Apache-2.0
#include "lib/base/str.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"

static int str_reserve(struct str *s, size_t more) {
    if (s->failed || more > SIZE_MAX / 2 - s->len) {
        s->failed = true;
        return -ENOMEM;
    }
    size_t need = s->len + more + 1;
    if (need <= s->cap)
        return 0;
    size_t cap = s->cap ? s->cap : 64;
    while (cap < need)
        cap *= 2;
    char *data = mem_realloc(s->data, cap, 1);
    if (!data) {
        s->failed = true;
        return -ENOMEM;
    }
    s->data = data;
    s->cap = cap;
    return 0;
}

int str_append_bytes(struct str *s, const void *data, size_t len) {
    int r = str_reserve(s, len);
    if (r < 0)
        return r;
    if (len)
        memcpy(s->data + s->len, data, len);
    s->len += len;
    s->data[s->len] = '\0';
    return 0;
}

int str_append(struct str *s, const char *text) {
    return str_append_bytes(s, text, strlen(text));
}

int str_vprintf(struct str *s, const char *fmt, va_list ap) {
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (len < 0)
        return -EINVAL;
    int r = str_reserve(s, (size_t)len);
    if (r < 0)
        return r;
    (void)vsnprintf(s->data + s->len, (size_t)len + 1, fmt, ap);
    s->len += (size_t)len;
    return 0;
}

int str_printf(struct str *s, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int r = str_vprintf(s, fmt, ap);
    va_end(ap);
    return r;
}

const char *str_text(const struct str *s) {
    return s->data ? s->data : "";
}

char *str_take(struct str *s) {
    if (s->failed) {
        str_done(s);
        return NULL;
    }
    char *data = s->data ? s->data : mem_strdup("");
    *s = (struct str){0};
    return data;
}

void str_done(struct str *s) {
    free(s->data);
    *s = (struct str){0};
}

bool str_eq(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool str_eq_nocase(const char *a, const char *b) {
    return a == b || (a && b && strcasecmp(a, b) == 0);
}

bool str_starts(const char *s, const char *prefix) {
    return s && strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_empty(const char *s) {
    return !s || !*s;
}

static int parse_u64(const char *s, int base, uint64_t *ret) {
    if (!s || *s < '0' || *s > '9')
        return -EINVAL;
    char *end = NULL;
    errno = 0;
    uint64_t value = strtoull(s, &end, base);
    if (*end)
        return -EINVAL;
    if (errno)
        return -ERANGE;
    *ret = value;
    return 0;
}

int str_to_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret) {
    uint64_t value;
    int r = parse_u64(s, 10, &value);
    if (r < 0)
        return r;
    if (value < min || value > max)
        return -ERANGE;
    *ret = value;
    return 0;
}

int str_to_i64(const char *s, int64_t min, int64_t max, int64_t *ret) {
    if (!s)
        return -EINVAL;
    bool negative = *s == '-';
    uint64_t value;
    int r = parse_u64(s + negative, 10, &value);
    if (r < 0)
        return r;
    if (value > (uint64_t)INT64_MAX)
        return -ERANGE;
    int64_t result = negative ? -(int64_t)value : (int64_t)value;
    if (result < min || result > max)
        return -ERANGE;
    *ret = result;
    return 0;
}

int str_to_octal(const char *s, uint32_t max, uint32_t *ret) {
    uint64_t value;
    int r = parse_u64(s, 8, &value);
    if (r < 0)
        return r;
    if (value > max)
        return -ERANGE;
    *ret = (uint32_t)value;
    return 0;
}

int str_to_bool(const char *s, bool *ret) {
    bool yes = str_eq_nocase(s, "true");
    if (!yes && !str_eq_nocase(s, "false"))
        return -EINVAL;
    *ret = yes;
    return 0;
}

static const struct unit {
    const char *name;
    int64_t bytes;
} units[] = {
    {"Ti", INT64_C(1) << 40}, {"Gi", INT64_C(1) << 30}, {"Mi", INT64_C(1) << 20}, {"Ki", INT64_C(1) << 10},
    {"T", 1000000000000},     {"G", 1000000000},        {"M", 1000000},           {"K", 1000},
};

int str_to_bytes(const char *s, int64_t *ret) {
    char digits[24];
    size_t len = s ? strspn(s, "0123456789") : 0;
    if (len == 0 || len >= sizeof digits)
        return -EINVAL;
    memcpy(digits, s, len);
    digits[len] = '\0';
    int64_t unit = s[len] ? 0 : 1;
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (str_eq(s + len, units[i].name))
            unit = units[i].bytes;
    if (unit == 0)
        return -EINVAL;
    uint64_t value;
    int r = str_to_u64(digits, 0, (uint64_t)(INT64_MAX / unit), &value);
    if (r < 0)
        return r;
    *ret = (int64_t)value * unit;
    return 0;
}

void str_from_bytes(int64_t bytes, char buf[static 24]) {
    for (size_t i = 0; i < 4; i++) {
        if (bytes < units[i].bytes)
            continue;
        if (bytes % units[i].bytes == 0)
            (void)snprintf(buf, 24, "%" PRId64 "%s", bytes / units[i].bytes, units[i].name);
        else
            (void)snprintf(buf, 24, "%.1f%s", (double)bytes / (double)units[i].bytes, units[i].name);
        return;
    }
    (void)snprintf(buf, 24, "%" PRId64, bytes);
}

// Length of the UTF-8 sequence that a first byte announces; 0 for a byte that can start none (RFC 3629).
static size_t utf8_length(unsigned char c) {
    if (c < 0x80)
        return 1;
    if (c >= 0xC2 && c <= 0xDF)
        return 2;
    if (c >= 0xE0 && c <= 0xEF)
        return 3;
    if (c >= 0xF0 && c <= 0xF4)
        return 4;
    return 0;
}

static bool utf8_sequence_ok(const unsigned char *p, size_t n) {
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return false;
    if (n == 3 && ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F)))
        return false; // overlong, or a surrogate
    if (n == 4 && ((p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F)))
        return false; // overlong, or beyond U+10FFFF
    return true;
}

bool str_is_utf8(const char *s, size_t len) {
    const unsigned char *p = (const unsigned char *)s;
    for (size_t i = 0; i < len;) {
        size_t n = p[i] ? utf8_length(p[i]) : 0;
        if (n == 0 || n > len - i || !utf8_sequence_ok(p + i, n))
            return false;
        i += n;
    }
    return true;
}

bool str_is_path_component(const char *s, size_t len) {
    if (len == 0 || len > NAME_MAX || !str_is_utf8(s, len))
        return false;
    if (s[0] == '.' && (len == 1 || (len == 2 && s[1] == '.')))
        return false;
    for (size_t i = 0; i < len; i++)
        if (s[i] == '/' || (unsigned char)s[i] < 0x20 || s[i] == 0x7F)
            return false;
    return true;
}
