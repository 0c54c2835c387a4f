// SPDX-License-Identifier: Apache-2.0
#include "lib/http/target.h"

#include <errno.h>
#include <string.h>

static int segment_parse(struct http_slice text, struct http_pattern *p, size_t args, const char *whole,
                         struct err *err) {
    if (p->count == HTTP_SEGMENTS_MAX)
        return err_set(err, -EINVAL, "pattern '%s' has more than %d segments", whole, HTTP_SEGMENTS_MAX);
    enum http_segment_kind kind = HTTP_SEGMENT_LITERAL;
    if (text.len && text.data[0] == '{') {
        if (text.len < 3 || text.data[text.len - 1] != '}' || args == HTTP_ARGS_MAX)
            return err_set(err, -EINVAL, "pattern '%s' has a bad argument", whole);
        text = (struct http_slice){text.data + 1, text.len - 2};
        kind = HTTP_SEGMENT_NAME;
        if (text.len > 3 && memcmp(text.data + text.len - 3, "...", 3) == 0) {
            text.len -= 3;
            kind = HTTP_SEGMENT_REST;
        }
    }
    p->segments[p->count].kind = kind;
    p->segments[p->count].text = text;
    p->count++;
    return 0;
}

int http_pattern_parse(const char *text, struct http_pattern *ret, struct err *err) {
    *ret = (struct http_pattern){0};
    size_t args = 0;
    for (const char *at = text; *at;) {
        if (*at != '/')
            return err_set(err, -EINVAL, "pattern '%s' must begin with a slash", text);
        const char *end = strchrnul(at + 1, '/');
        int r = segment_parse(http_slice(at + 1, end), ret, args, text, err);
        if (r < 0)
            return r;
        enum http_segment_kind kind = ret->segments[ret->count - 1].kind;
        args += kind != HTTP_SEGMENT_LITERAL;
        if (kind == HTTP_SEGMENT_REST && *end)
            return err_set(err, -EINVAL, "pattern '%s': nothing may follow {name...}", text);
        at = end;
    }
    return 0;
}

int http_pattern_compare(const struct http_pattern *a, const struct http_pattern *b) {
    for (size_t i = 0; i < a->count && i < b->count; i++)
        if (a->segments[i].kind != b->segments[i].kind)
            return a->segments[i].kind < b->segments[i].kind ? -1 : 1;
    return a->count < b->count ? 1 : a->count > b->count ? -1 : 0;
}

static bool arg_add(struct http_args *args, struct http_slice name, struct http_slice value) {
    if (args->count == HTTP_ARGS_MAX)
        return false;
    args->names[args->count] = name;
    args->values[args->count++] = value;
    return true;
}

bool http_pattern_match(const struct http_pattern *pattern, struct http_slice path, struct http_args *args,
                        struct http_slice *ret_rest) {
    const char *at = path.data;
    const char *end = path.data + path.len;
    for (size_t i = 0; i < pattern->count; i++) {
        struct http_slice text = pattern->segments[i].text;
        enum http_segment_kind kind = pattern->segments[i].kind;
        if (at == end)
            return kind == HTTP_SEGMENT_LITERAL && !text.len && pattern->count == 1; // "" is "/"
        if (*at != '/')
            return false;
        at++;
        if (kind == HTTP_SEGMENT_REST)
            return arg_add(args, text, http_slice(at, end));
        const char *next = memchr(at, '/', (size_t)(end - at));
        next = next ? next : end;
        struct http_slice here = http_slice(at, next);
        if (kind == HTTP_SEGMENT_NAME ? !here.len || !arg_add(args, text, here)
                                      : here.len != text.len || memcmp(here.data, text.data, text.len) != 0)
            return false;
        at = next;
    }
    if (ret_rest)
        *ret_rest = http_slice(at, end);
    return ret_rest ? at == end || *at == '/' : at == end;
}

int http_target_split(struct http_slice target, struct http_slice *ret_path, struct http_slice *ret_query,
                      bool *ret_has_query, struct err *err) {
    if (!target.len || target.data[0] != '/')
        return err_set(err, -EINVAL, "the request target must begin with a slash");
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.data[i];
        if (c <= ' ' || c == 0x7F || c == '#')
            return err_set(err, -EINVAL, "the request target has a forbidden character (0x%02x); percent-encode it", c);
    }
    const char *end = target.data + target.len;
    const char *mark = memchr(target.data, '?', target.len);
    *ret_has_query = mark;
    *ret_path = http_slice(target.data, mark ? mark : end);
    *ret_query = mark ? http_slice(mark + 1, end) : http_slice(end, end);
    return 0;
}

static int hex(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

long http_percent_decode(struct http_slice in, bool plus, char *out) {
    long len = 0;
    for (size_t i = 0; i < in.len; i++) {
        char c = in.data[i];
        if (c == '%') {
            bool whole = in.len - i >= 3;
            int high = whole ? hex(in.data[i + 1]) : -1;
            int low = whole ? hex(in.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -EINVAL;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        out[len++] = c;
    }
    return len;
}

bool http_query_next(struct http_slice *query, struct http_slice *ret_name, struct http_slice *ret_value) {
    const char *end = query->data + query->len;
    while (query->len && *query->data == '&')
        *query = http_slice(query->data + 1, end);
    if (!query->len)
        return false;
    const char *stop = memchr(query->data, '&', query->len);
    stop = stop ? stop : end;
    const char *equals = memchr(query->data, '=', (size_t)(stop - query->data));
    *ret_name = http_slice(query->data, equals ? equals : stop);
    *ret_value = equals ? http_slice(equals + 1, stop) : http_slice(stop, stop);
    *query = http_slice(stop, end);
    return true;
}
