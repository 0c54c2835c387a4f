// SPDX-License-Identifier: Apache-2.0
#include "lib/base/hash.h"

#include <nettle/hmac.h>
#include <nettle/md5.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

void hash_encode(const unsigned char bytes[static 16], char ret[static HASH_ID_LEN + 1]) {
    unsigned bits = 0, have = 0;
    size_t in = 0;
    for (size_t out = 0; out < HASH_ID_LEN; out++) {
        if (have < 5) {
            bits = bits << 8 | (in < 16 ? bytes[in++] : 0);
            have += 8;
        }
        have -= 5;
        ret[out] = alphabet[bits >> have & 31];
    }
    ret[HASH_ID_LEN] = '\0';
}

void hash_id(const void *data, size_t len, char ret[static HASH_ID_LEN + 1]) {
    unsigned char digest[HASH_SHA256];
    hash_sha256(data, len, digest);
    hash_encode(digest, ret);
}

void hash_sha256(const void *data, size_t len, unsigned char ret[static HASH_SHA256]) {
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    sha256_update(&ctx, len, data);
    sha256_digest(&ctx, HASH_SHA256, ret);
}

void hash_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                      unsigned char ret[static HASH_SHA256]) {
    struct hmac_sha256_ctx ctx;
    hmac_sha256_set_key(&ctx, key_len, key);
    hmac_sha256_update(&ctx, len, data);
    hmac_sha256_digest(&ctx, HASH_SHA256, ret);
}

void hash_hex(const unsigned char *bytes, size_t len, char *ret) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret[2 * len] = '\0';
}

bool hash_equal(const void *a, const void *b, size_t len) {
    return memeql_sec(a, b, len) == 1;
}

bool hash_is_id(const char *text) {
    return text && strlen(text) == HASH_ID_LEN && strspn(text, alphabet) == HASH_ID_LEN;
}

struct hash_md5 {
    struct md5_ctx ctx;
};

struct hash_md5 *hash_md5_new(void) {
    struct hash_md5 *md5 = mem_alloc(sizeof *md5);
    if (md5)
        md5_init(&md5->ctx);
    return md5;
}

void hash_md5_update(struct hash_md5 *md5, const void *data, size_t len) {
    md5_update(&md5->ctx, len, data);
}

void hash_md5_hex(struct hash_md5 *md5, char ret[static 33]) {
    uint8_t digest[MD5_DIGEST_SIZE];
    md5_digest(&md5->ctx, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        (void)snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

struct hash_md5 *hash_md5_free(struct hash_md5 *md5) {
    free(md5);
    return NULL;
}
