// SPDX-License-Identifier: Apache-2.0
// Names to identifiers: SHA-256 by nettle, cut to 128 bits, written in lower-case base32 (RFC 4648 alphabet).
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define HASH_ID_LEN 26 // characters of a 128-bit identifier, without NUL

// The identifier of `len` bytes; the same bytes always give the same identifier.
void hash_id(const void *data, size_t len, char ret[static HASH_ID_LEN + 1]);
// 16 bytes (for example random ones) in the same alphabet.
void hash_encode(const unsigned char bytes[static 16], char ret[static HASH_ID_LEN + 1]);
bool hash_is_id(const char *text); // exactly HASH_ID_LEN characters of the alphabet
