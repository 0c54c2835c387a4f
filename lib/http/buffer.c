// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/http/buffer.h"

#define CAP_MIN 4096

int http_buffer_reserve(struct http_buffer *b, size_t more) {
    if (b->cap - b->len >= more)
        return 0;
    size_t cap = b->cap * 2 > b->len + more ? b->cap * 2 : b->len + more;
    cap = cap < CAP_MIN ? CAP_MIN : cap;
    char *grown = mem_realloc(b->data, cap, 1);
    if (!grown)
        return -ENOMEM;
    b->data = grown;
    b->cap = cap;
    return 0;
}

int http_buffer_append(struct http_buffer *b, const void *data, size_t len) {
    if (!len)
        return 0;
    if (http_buffer_reserve(b, len) < 0)
        return -ENOMEM;
    memcpy(b->data + b->len, data, len);
    b->len += len;
    return 0;
}

int http_buffer_prepend(struct http_buffer *b, const void *data, size_t len) {
    if (!len)
        return 0;
    if (http_buffer_reserve(b, len) < 0)
        return -ENOMEM;
    memmove(b->data + len, b->data, b->len);
    memcpy(b->data, data, len);
    b->len += len;
    return 0;
}

void http_buffer_consume(struct http_buffer *b, size_t len) {
    b->len -= len;
    if (b->len)
        memmove(b->data, b->data + len, b->len);
}

void http_buffer_done(struct http_buffer *b) {
    free(b->data);
    *b = (struct http_buffer){0};
}
