// SPDX-License-Identifier: Apache-2.0
#include "lib/http/chunk.h"

#include <errno.h>
#include <string.h>

#define DIGITS_MAX 15 // so that a size stays below 2^63
#define EXTENSION_MAX 256
#define TRAILER_MAX 8192

static int hex(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int size_step(struct http_chunk *c, char in) {
    int digit = hex(in);
    if (digit >= 0) {
        c->left = c->left << 4 | (unsigned)digit;
        return ++c->count <= DIGITS_MAX ? 0 : -EBADMSG;
    }
    if (!c->count || (in != '\r' && in != ';'))
        return -EBADMSG;
    c->count = 0;
    c->state = in == '\r' ? HTTP_CHUNK_SIZE_LF : HTTP_CHUNK_EXTENSION;
    return 0;
}

static int expect(struct http_chunk *c, char in, char wanted, enum http_chunk_state next) {
    c->state = next;
    c->count = next == HTTP_CHUNK_SIZE ? 0 : c->count;
    return in == wanted ? 0 : -EBADMSG;
}

// A byte of a line whose content does not matter; `next` after its CR.
static int line_step(struct http_chunk *c, char in, unsigned max, enum http_chunk_state next) {
    if (in == '\r') {
        c->state = next;
        return 0;
    }
    bool control = ((unsigned char)in < ' ' && in != '\t') || in == 0x7F;
    return control || ++c->count > max ? -EBADMSG : 0;
}

static int step(struct http_chunk *c, char in) {
    switch (c->state) {
    case HTTP_CHUNK_SIZE:
        return size_step(c, in);
    case HTTP_CHUNK_EXTENSION:
        return line_step(c, in, EXTENSION_MAX, HTTP_CHUNK_SIZE_LF);
    case HTTP_CHUNK_SIZE_LF:
        c->count = 0;
        return expect(c, in, '\n', c->left ? HTTP_CHUNK_DATA : HTTP_CHUNK_TRAILER);
    case HTTP_CHUNK_DATA_CR:
        return expect(c, in, '\r', HTTP_CHUNK_DATA_LF);
    case HTTP_CHUNK_DATA_LF:
        return expect(c, in, '\n', HTTP_CHUNK_SIZE);
    case HTTP_CHUNK_TRAILER:
        c->state = in == '\r' ? HTTP_CHUNK_END_LF : HTTP_CHUNK_TRAILER_LINE;
        return in == '\r' ? 0 : line_step(c, in, TRAILER_MAX, HTTP_CHUNK_TRAILER_LF);
    case HTTP_CHUNK_TRAILER_LINE:
        return line_step(c, in, TRAILER_MAX, HTTP_CHUNK_TRAILER_LF);
    case HTTP_CHUNK_TRAILER_LF:
        return expect(c, in, '\n', HTTP_CHUNK_TRAILER);
    case HTTP_CHUNK_END_LF:
        return expect(c, in, '\n', HTTP_CHUNK_DONE);
    case HTTP_CHUNK_DATA:
    case HTTP_CHUNK_DONE:
        break;
    }
    return -EBADMSG;
}

int http_chunk_decode(struct http_chunk *c, char *data, size_t len, size_t *ret_used, size_t *ret_out) {
    size_t used = 0;
    size_t out = 0;
    int r = 0;
    while (r == 0 && used < len && c->state != HTTP_CHUNK_DONE) {
        if (c->state != HTTP_CHUNK_DATA) {
            r = step(c, data[used++]);
            continue;
        }
        size_t n = len - used < c->left ? len - used : (size_t)c->left;
        memmove(data + out, data + used, n);
        used += n;
        out += n;
        c->left -= n;
        if (!c->left)
            c->state = HTTP_CHUNK_DATA_CR;
    }
    *ret_used = used;
    *ret_out = out;
    return r;
}
