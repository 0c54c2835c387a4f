// SPDX-License-Identifier: Apache-2.0
#include "lib/base/base64.h"

#include <errno.h>
#include <nettle/base64.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/mem.h"

char *base64_encode(const void *data, size_t len) {
    size_t size = BASE64_ENCODE_RAW_LENGTH(len);
    char *text = mem_alloc(size + 1);
    if (!text)
        return NULL;
    base64_encode_raw(text, len, data);
    text[size] = '\0';
    return text;
}

// nettle passes over blanks and takes "A===" for nothing.
static bool is_base64(const char *text, size_t len) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t padding = len > 0 && text[len - 1] == '=' ? (len > 1 && text[len - 2] == '=' ? 2 : 1) : 0;
    for (size_t i = 0; i < len - padding; i++)
        if (text[i] == '\0' || !strchr(alphabet, text[i]))
            return false;
    return len % 4 == 0;
}

int base64_decode(const char *text, size_t len, char **ret, size_t *ret_len) {
    struct base64_decode_ctx ctx;
    if (!is_base64(text, len))
        return -EBADMSG;
    size_t size = BASE64_DECODE_LENGTH(len);
    char *data cleanup_free = mem_alloc(size + 1);
    if (!data)
        return -ENOMEM;
    base64_decode_init(&ctx);
    if (!base64_decode_update(&ctx, &size, (uint8_t *)data, len, text) || !base64_decode_final(&ctx))
        return -EBADMSG;
    data[size] = '\0';
    *ret = take_ptr(data);
    *ret_len = size;
    return 0;
}
