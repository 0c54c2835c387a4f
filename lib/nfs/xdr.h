// SPDX-License-Identifier: Apache-2.0
// XDR (RFC 4506) into and out of a buffer, with every length checked.
//
// Why:   what comes from the network is never trusted: reading past the end gives zeros and sets `bad`, so that a
//        decoder reads a whole structure and asks once.
// Owns:  nothing; opaque data stays in the reader's buffer.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct xdr_out {
    uint8_t *buf;
    size_t cap, len;
    bool full; // something did not fit
};

struct xdr_in {
    const uint8_t *at, *end;
    bool bad;
};

static inline uint8_t *xdr_reserve(struct xdr_out *out, size_t n) {
    if (out->full || n > out->cap - out->len) {
        out->full = true;
        return NULL;
    }
    uint8_t *p = out->buf + out->len;
    out->len += n;
    return p;
}

static inline void xdr_store_u32(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static inline uint32_t xdr_load_u32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3];
}

static inline void xdr_put_u32(struct xdr_out *out, uint32_t v) {
    uint8_t *p = xdr_reserve(out, 4);
    if (p)
        xdr_store_u32(p, v);
}

static inline void xdr_put_u64(struct xdr_out *out, uint64_t v) {
    xdr_put_u32(out, (uint32_t)(v >> 32));
    xdr_put_u32(out, (uint32_t)v);
}

static inline void xdr_put_fixed(struct xdr_out *out, const void *data, size_t n) {
    uint8_t *p = xdr_reserve(out, (n + 3) & ~(size_t)3);
    if (!p || n == 0)
        return;
    memset(p + ((n - 1) & ~(size_t)3), 0, 4);
    memcpy(p, data, n);
}

static inline void xdr_put_opaque(struct xdr_out *out, const void *data, size_t n) {
    xdr_put_u32(out, (uint32_t)n);
    xdr_put_fixed(out, data, n);
}

static inline void xdr_put_text(struct xdr_out *out, const char *text) {
    xdr_put_opaque(out, text, strlen(text));
}

static inline size_t xdr_left(const struct xdr_in *in) {
    return (size_t)(in->end - in->at);
}

// `n` bytes and their padding; NULL when there are fewer.
static inline const uint8_t *xdr_get_fixed(struct xdr_in *in, size_t n) {
    size_t padded = (n + 3) & ~(size_t)3;
    if (in->bad || padded < n || padded > xdr_left(in)) {
        in->bad = true;
        return NULL;
    }
    const uint8_t *p = in->at;
    in->at += padded;
    return p;
}

static inline uint32_t xdr_get_u32(struct xdr_in *in) {
    const uint8_t *p = xdr_get_fixed(in, 4);
    return p ? xdr_load_u32(p) : 0;
}

static inline uint64_t xdr_get_u64(struct xdr_in *in) {
    uint64_t high = xdr_get_u32(in);
    return high << 32 | xdr_get_u32(in);
}

// Variable-length data of at most `max` bytes.
static inline const uint8_t *xdr_get_opaque(struct xdr_in *in, size_t max, uint32_t *ret_len) {
    uint32_t len = xdr_get_u32(in);
    if (len > max)
        in->bad = true;
    const uint8_t *p = xdr_get_fixed(in, len);
    *ret_len = p ? len : 0;
    return p;
}
