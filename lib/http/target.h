// SPDX-License-Identifier: Apache-2.0
// The request target and the patterns of prefixes and routes: splitting, matching, percent-decoding.
//
// Why:     the server, and not a library, decides what a target means: keys are pasted into it unescaped.
// Owns:    nothing; slices point into the target and the patterns.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

#define HTTP_SEGMENTS_MAX 12
#define HTTP_ARGS_MAX 8

struct http_slice {
    const char *data;
    size_t len;
};
static inline struct http_slice http_slice(const char *from, const char *end) {
    return (struct http_slice){from, (size_t)(end - from)};
}

// "/kv/namespaces/{ns}/values/{key...}" in pieces.
enum http_segment_kind { HTTP_SEGMENT_LITERAL, HTTP_SEGMENT_NAME, HTTP_SEGMENT_REST };
struct http_pattern {
    struct {
        enum http_segment_kind kind;
        struct http_slice text; // of the literal, or the name of the argument
    } segments[HTTP_SEGMENTS_MAX];
    size_t count;
};
// -EINVAL: no leading slash, an unclosed brace, "{x...}" before the end, too many segments or arguments.
int http_pattern_parse(const char *text, struct http_pattern *ret, struct err *err) must_check;
// Which of two that match the same path is meant: < 0 the first, > 0 the second. Literals come before names before rests.
int http_pattern_compare(const struct http_pattern *a, const struct http_pattern *b);

struct http_args {
    struct http_slice names[HTTP_ARGS_MAX];
    struct http_slice values[HTTP_ARGS_MAX];
    size_t count;
};
// Does the pattern cover `path`? Adds the arguments, undecoded. Where `ret_rest` is given, only the beginning of the path
// must match, up to a slash or the end, and *ret_rest is what follows.
bool http_pattern_match(const struct http_pattern *pattern, struct http_slice path, struct http_args *args,
                        struct http_slice *ret_rest);

// "/path?query" → path, query; *ret_has_query tells "?" from nothing. -EINVAL: not in origin form, control character,
// space or "#".
int http_target_split(struct http_slice target, struct http_slice *ret_path, struct http_slice *ret_query,
                      bool *ret_has_query, struct err *err) must_check;

// Decodes %XX once (and "+" as a space when `plus`) into `out` of at least `in.len` bytes. The length, or -EINVAL for a
// "%" that no two hex digits follow.
long http_percent_decode(struct http_slice in, bool plus, char *out);

// The next "name=value" of a query, undecoded; false at the end. Empty pieces are skipped.
bool http_query_next(struct http_slice *query, struct http_slice *ret_name, struct http_slice *ret_value);
