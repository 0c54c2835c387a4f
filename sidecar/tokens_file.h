// SPDX-License-Identifier: Apache-2.0
// The file of tokens: reading and making one.
#pragma once

#include "lib/base/hash.h"
#include "sidecar/tokens.h"

struct token {
    unsigned char digest[HASH_SHA256];
    char workspace[ENGINE_NAME_MAX + 1];
    char mask[16]; // "abcd...wxyz"
    bool write;
    int64_t expires_ms; // 0: never
};
struct token_list {
    struct token *items;
    size_t count;
};
int token_list_read(const char *path, struct token_list *ret, struct err *err) must_check;
void token_list_done(struct token_list *list);
