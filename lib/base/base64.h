// SPDX-License-Identifier: Apache-2.0
// Base64 of RFC 4648, by nettle: the standard alphabet with padding.
#pragma once

#include <stddef.h>

#include "lib/base/cleanup.h"

char *base64_encode(const void *data, size_t len) must_check; // to be freed; NULL: out of memory
// -EBADMSG: not base64, or cut short. *ret has a NUL behind its *ret_len bytes.
int base64_decode(const char *text, size_t len, char **ret, size_t *ret_len) must_check;
