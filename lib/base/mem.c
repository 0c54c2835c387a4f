// SPDX-License-Identifier: Apache-2.0
#include "lib/base/mem.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_long fail_at;
static atomic_long counted;

static bool allowed(void) {
    long at = atomic_load_explicit(&fail_at, memory_order_relaxed);
    if (at == 0)
        return true;
    return atomic_fetch_add(&counted, 1) + 1 != at;
}

long mem_fail_nth(long n) {
    atomic_store(&fail_at, n);
    return atomic_exchange(&counted, 0);
}

void *mem_alloc(size_t size) {
    return allowed() ? malloc(size ? size : 1) : NULL;
}

void *mem_zalloc(size_t size) {
    return allowed() ? calloc(1, size ? size : 1) : NULL;
}

void *mem_array(size_t count, size_t size) {
    return allowed() ? calloc(count ? count : 1, size ? size : 1) : NULL;
}

void *mem_realloc(void *old, size_t count, size_t size) {
    return allowed() ? reallocarray(old, count ? count : 1, size ? size : 1) : NULL;
}

char *mem_strndup(const char *s, size_t n) {
    if (!s)
        return NULL;
    size_t len = strnlen(s, n);
    char *copy = mem_alloc(len + 1);
    if (!copy)
        return NULL;
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *mem_strdup(const char *s) {
    return s ? mem_strndup(s, strlen(s)) : NULL;
}

char *mem_printf(const char *fmt, ...) {
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *text = len < 0 ? NULL : mem_alloc((size_t)len + 1);
    if (text)
        (void)vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}
