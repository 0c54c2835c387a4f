// SPDX-License-Identifier: Apache-2.0
// One input of the HTTP fuzzers, shared by the libFuzzer programs and the replay. The first byte of a file chooses nothing:
// each parser gets the whole input, and what it gives must hold together.
#pragma once

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/http/chunk.h"
#include "lib/http/head.h"
#include "lib/http/multipart.h"

// A head that is read must be consistent, and read the same whether it came at once or byte by byte.
static inline void fuzz_head(const uint8_t *data, size_t size) {
    struct http_head_scan whole = {0}, bytes = {0};
    long at_once = http_head_scan(&whole, (const char *)data, size, NULL);
    long step = 0;
    for (size_t i = 1; i <= size && step == 0; i++)
        step = http_head_scan(&bytes, (const char *)data, i, NULL);
    assert(at_once == step);
    if (at_once <= 0)
        return;
    char *copy = malloc((size_t)at_once);
    struct http_head head;
    assert(copy);
    memcpy(copy, data, (size_t)at_once);
    if (http_head_parse(copy, (size_t)at_once, &head, NULL) == 0) {
        assert(head.target.len && (head.target.data[0] == '/' || head.target.data[0] == '*'));
        assert(!(head.chunked && http_head_field(&head, "Content-Length")));
        assert(head.content_length >= 0);
        for (size_t i = 0; i < head.count; i++)
            assert(!strpbrk(head.fields[i].value, "\r\n") && *head.fields[i].name);
    }
    free(copy);
}

// The same for the head of an answer.
static inline void fuzz_answer(const uint8_t *data, size_t size) {
    struct http_head_scan whole = {.answer = true}, bytes = {.answer = true};
    long at_once = http_head_scan(&whole, (const char *)data, size, NULL);
    long step = 0;
    for (size_t i = 1; i <= size && step == 0; i++)
        step = http_head_scan(&bytes, (const char *)data, i, NULL);
    assert(at_once == step);
    if (at_once <= 0)
        return;
    char *copy = malloc((size_t)at_once);
    struct http_head head;
    unsigned status = 0;
    assert(copy);
    memcpy(copy, data, (size_t)at_once);
    if (http_head_parse_answer(copy, (size_t)at_once, &head, &status, NULL) == 0) {
        assert(status >= 100 && status < 600);
        assert(!(head.chunked && http_head_field(&head, "Content-Length")));
        assert((head.content_length >= 0) == (head.chunked || http_head_field(&head, "Content-Length")));
        for (size_t i = 0; i < head.count; i++)
            assert(!strpbrk(head.fields[i].value, "\r\n") && *head.fields[i].name);
    }
    free(copy);
}

// Prefix, route, arguments and query of a target; decoding never grows.
static inline void fuzz_target(const uint8_t *data, size_t size) {
    static const char *const patterns[] = {"/", "/api/v1", "/kv/{ns}/values/{key...}", "/{a}/{b}", "/x/{rest...}"};
    struct http_slice path, query, name, value, rest;
    bool has_query;
    if (http_target_split((struct http_slice){(const char *)data, size}, &path, &query, &has_query, NULL) < 0)
        return;
    assert(path.len + has_query + query.len == size);
    char *out = malloc(size + 1);
    assert(out);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        for (int prefix = 0; prefix < 2; prefix++) {
            struct http_pattern pattern;
            struct http_args args = {.count = 0};
            assert(http_pattern_parse(patterns[i], &pattern, NULL) == 0);
            if (!http_pattern_match(&pattern, path, &args, prefix ? &rest : NULL))
                continue;
            for (size_t a = 0; a < args.count; a++)
                assert(http_percent_decode(args.values[a], false, out) <= (long)args.values[a].len);
        }
    while (http_query_next(&query, &name, &value))
        assert(http_percent_decode(value, true, out) <= (long)value.len);
    free(out);
}

// The boundary is the first line; the rest is the form. However it is cut, the bytes of the parts are the same.
static inline uint64_t fuzz_form_sum(const struct http_multipart *start, const char *data, size_t size, size_t step,
                                     int *ret) {
    struct http_multipart m = *start;
    uint64_t sum = 0;
    size_t from = 0;
    *ret = 0;
    for (size_t to = step < size ? step : size;; to = to + step < size ? to + step : size) {
        struct http_multipart_event event = {0};
        do {
            *ret = http_multipart_next(&m, data + from, to - from, &event);
            if (*ret < 0)
                return 0;
            assert(event.used <= to - from);
            if (event.kind == HTTP_MULTIPART_BYTES)
                for (size_t i = 0; i < event.len; i++)
                    sum = (sum ^ (uint8_t)event.data[i]) * 1099511628211U;
            if (event.kind == HTTP_MULTIPART_BEGIN || event.kind == HTTP_MULTIPART_END)
                sum = sum * 31 + (uint64_t)event.kind;
            from += event.used;
        } while (event.kind != HTTP_MULTIPART_MORE && event.kind != HTTP_MULTIPART_CLOSE);
        if (to == size || event.kind == HTTP_MULTIPART_CLOSE)
            return m.state == HTTP_MULTIPART_DONE ? sum : 1;
    }
}

static inline void fuzz_multipart(const uint8_t *data, size_t size) {
    const uint8_t *lf = memchr(data, '\n', size);
    char type[512];
    struct http_multipart m;
    if (!lf || (size_t)(lf - data) >= sizeof type)
        return;
    memcpy(type, data, (size_t)(lf - data));
    type[lf - data] = '\0';
    if (http_multipart_init(&m, type) < 0)
        return;
    size_t len = size - (size_t)(lf + 1 - data);
    char *copy = malloc(len + 1);
    assert(copy);
    memcpy(copy, lf + 1, len);
    int r_whole, r_bytes;
    uint64_t whole = fuzz_form_sum(&m, copy, len, len + 1, &r_whole);
    uint64_t bytes = fuzz_form_sum(&m, copy, len, 1, &r_bytes);
    assert((r_whole < 0) == (r_bytes < 0) && (r_whole < 0 || whole == bytes));
    free(copy);
}

// Parameters of header values, and chunks decoded at once and byte by byte.
static inline void fuzz_values(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1), *other = malloc(size + 1);
    char value[64];
    assert(text && other);
    memcpy(text, data, size);
    text[size] = '\0';
    if (http_header_parameter(text, "name", value, sizeof value) == 0)
        assert(strlen(value) < sizeof value);
    struct http_chunk a = {0}, b = {0};
    size_t used_a, out_a, used_b = 0, out_b = 0;
    memcpy(other, text, size);
    int r_a = http_chunk_decode(&a, text, size, &used_a, &out_a);
    int r_b = 0;
    for (size_t i = 0; i < size && r_b == 0 && b.state != HTTP_CHUNK_DONE; i++) {
        char byte = other[i];
        size_t used, out;
        r_b = http_chunk_decode(&b, &byte, 1, &used, &out);
        if (out)
            other[out_b] = byte; // never before what is still to be read
        out_b += out;
        used_b += used;
    }
    assert(r_a == r_b && used_a == used_b && out_a == out_b && a.state == b.state);
    assert(memcmp(text, other, out_a) == 0);
    free(text);
    free(other);
}
