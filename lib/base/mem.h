// SPDX-License-Identifier: Apache-2.0
// The one seam through which everything allocates, so that a test can fail the n-th allocation.
// Memory from here is released with free(). Zero-size requests return a unique pointer.
#pragma once

#include <stddef.h>

void *mem_alloc(size_t size) __attribute__((malloc, warn_unused_result));                    // NULL when out of memory
void *mem_zalloc(size_t size) __attribute__((malloc, warn_unused_result));                   // zeroed
void *mem_array(size_t count, size_t size) __attribute__((malloc, warn_unused_result));      // zeroed, overflow-checked
void *mem_realloc(void *old, size_t count, size_t size) __attribute__((warn_unused_result)); // old stays valid on NULL
char *mem_strdup(const char *s) __attribute__((malloc, warn_unused_result));                 // NULL in: NULL out
char *mem_strndup(const char *s, size_t n) __attribute__((malloc, warn_unused_result));
char *mem_printf(const char *fmt, ...) __attribute__((malloc, warn_unused_result, format(printf, 1, 2)));

// Tests: let the n-th allocation from now (1 = the next) fail once; 0 turns it off.
// Returns how many allocations were counted since the last call. Process-wide.
long mem_fail_nth(long n);
