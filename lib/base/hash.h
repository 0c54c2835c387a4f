// SPDX-License-Identifier: Apache-2.0
// Digests by nettle, whose headers are included in this folder only.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/cleanup.h"

#define HASH_ID_LEN 26 // characters of a 128-bit identifier, without NUL
#define HASH_SHA256 32 // bytes

// SHA-256 cut to 128 bits, in lower-case base32 (RFC 4648 alphabet): the same bytes always give the same identifier.
void hash_id(const void *data, size_t len, char ret[static HASH_ID_LEN + 1]);
// 16 bytes (for example random ones) in the same alphabet.
void hash_encode(const unsigned char bytes[static 16], char ret[static HASH_ID_LEN + 1]);
bool hash_is_id(const char *text); // exactly HASH_ID_LEN characters of the alphabet

void hash_sha256(const void *data, size_t len, unsigned char ret[static HASH_SHA256]);
void hash_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                      unsigned char ret[static HASH_SHA256]);
void hash_hex(const unsigned char *bytes, size_t len, char *ret); // ret: 2 * len + 1
bool hash_equal(const void *a, const void *b, size_t len);        // takes the same time wherever they differ

// MD5 piece by piece, for the ETag of S3. Not for anything that must be secure.
struct hash_md5;                                // opaque
struct hash_md5 *hash_md5_new(void) must_check; // NULL when out of memory
void hash_md5_update(struct hash_md5 *md5, const void *data, size_t len);
void hash_md5_hex(struct hash_md5 *md5, char ret[static 33]); // ends it: the next update starts anew
struct hash_md5 *hash_md5_free(struct hash_md5 *md5);
DEFINE_CLEANUP(hash_md5)
