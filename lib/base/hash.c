// SPDX-License-Identifier: Apache-2.0
#include "lib/base/hash.h"

#include <nettle/sha2.h>
#include <string.h>

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
    struct sha256_ctx ctx;
    unsigned char digest[SHA256_DIGEST_SIZE];
    sha256_init(&ctx);
    sha256_update(&ctx, len, data);
    sha256_digest(&ctx, sizeof digest, digest);
    hash_encode(digest, ret);
}

bool hash_is_id(const char *text) {
    return text && strlen(text) == HASH_ID_LEN && strspn(text, alphabet) == HASH_ID_LEN;
}
