// SPDX-License-Identifier: Apache-2.0
#include "lib/base/jwt.h"

#include <string.h>

#include "lib/base/base64.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

bool jwt_looks_like_one(const char *token) {
    const char *first = strchr(token, '.'), *second = first ? strchr(first + 1, '.') : NULL;
    return second && !strchr(second + 1, '.');
}

// "HEADER.PAYLOAD.SIGNATURE", in base64url without padding.
struct json *jwt_payload(const char *token) {
    struct str text cleanup_str = {0};
    char *bytes cleanup_free = NULL;
    size_t len = 0;
    struct json *payload = NULL;
    if (!jwt_looks_like_one(token) || strlen(token) > JWT_MAX)
        return NULL;
    const char *begin = strchr(token, '.') + 1, *end = strchr(begin, '.');
    if (end == begin || str_append_bytes(&text, begin, (size_t)(end - begin)) < 0)
        return NULL;
    for (size_t i = 0; i < text.len; i++)
        text.data[i] = text.data[i] == '-' ? '+' : text.data[i] == '_' ? '/' : text.data[i];
    while (text.len % 4 && str_append(&text, "=") == 0)
        continue;
    if (text.failed || base64_decode(text.data, text.len, &bytes, &len) < 0 ||
        json_parse(bytes, len, JWT_MAX, &payload, NULL) < 0)
        return NULL;
    return payload;
}
