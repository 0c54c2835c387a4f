// SPDX-License-Identifier: Apache-2.0
// The answer of an upstream: its head, then its body by length, in chunks or to the end.
#include <errno.h>
#include <string.h>

#include "lib/http/uplink.h"

#define READ_STEP 8192U

bool http_uplink_heard(const struct http_uplink *link) {
    return link->in.len > 0 || link->head_len > 0;
}

int http_uplink_fill(struct http_uplink *link) {
    struct err err = ERR_NONE;
    while (!link->head_len) {
        if (http_buffer_reserve(&link->in, READ_STEP - (link->in.len < READ_STEP ? link->in.len : 0)) < 0)
            return -ENOMEM;
        ssize_t n = http_uplink_read(link, link->in.data + link->in.len, link->in.cap - link->in.len);
        if (n <= 0)
            return n == -EAGAIN ? 0 : -ECONNRESET;
        link->in.len += (size_t)n;
        long len = http_head_scan(&link->scan, link->in.data, link->in.len, &err);
        if (len < 0)
            return -EBADMSG;
        link->head_len = (size_t)len;
    }
    return 1;
}

static void set_body(struct http_uplink *link, enum http_method method, const struct http_head *head, unsigned status) {
    bool none = method == HTTP_HEAD || status == 204 || status == 304;
    link->keep_alive = head->keep_alive && (none || head->chunked || head->content_length >= 0);
    link->rest_at = link->head_len;
    link->body = (struct http_answer_body){.chunked = head->chunked && !none, .left = none ? 0 : head->content_length};
    link->body.ended = none || (!head->chunked && head->content_length == 0);
}

int http_uplink_head(struct http_uplink *link, enum http_method method, struct http_head *ret, unsigned *ret_status) {
    struct err err = ERR_NONE;
    int r = http_uplink_fill(link);
    if (r <= 0)
        return r;
    if (http_head_parse_answer(link->in.data, link->head_len, ret, ret_status, &err) < 0)
        return -EBADMSG;
    if (*ret_status >= 200) {
        set_body(link, method, ret, *ret_status);
        return 1;
    }
    if (*ret_status == 101)
        return -EBADMSG; // nobody asked for another protocol
    http_buffer_consume(&link->in, link->head_len);
    link->head_len = 0;
    link->scan = (struct http_head_scan){.answer = true};
    if (link->in.len) { // the next head may be there already: what follows is scanned as if it came now
        long len = http_head_scan(&link->scan, link->in.data, link->in.len, &err);
        if (len < 0)
            return -EBADMSG;
        link->head_len = (size_t)len;
    }
    return http_uplink_head(link, method, ret, ret_status);
}

// Bytes as they come: first those that came with the head.
static ssize_t raw(struct http_uplink *link, void *buf, size_t len) {
    size_t rest = link->in.len - link->rest_at;
    if (!rest)
        return http_uplink_read(link, buf, len);
    size_t n = rest < len ? rest : len;
    memcpy(buf, link->in.data + link->rest_at, n);
    link->rest_at += n;
    return (ssize_t)n;
}

static ssize_t read_chunks(struct http_uplink *link, char *buf, size_t len) {
    struct http_answer_body *body = &link->body;
    while (!body->ended) {
        size_t used = 0, out = 0;
        ssize_t n = raw(link, buf, len);
        if (n <= 0)
            return n == -EAGAIN ? -EAGAIN : -ECONNRESET;
        if (http_chunk_decode(&body->chunk, buf, (size_t)n, &used, &out) < 0)
            return -EBADMSG;
        body->ended = body->chunk.state == HTTP_CHUNK_DONE;
        body->dirty = body->dirty || used < (size_t)n;
        if (out)
            return (ssize_t)out;
    }
    return 0;
}

ssize_t http_uplink_body(struct http_uplink *link, void *buf, size_t len) {
    struct http_answer_body *body = &link->body;
    if (link->broken)
        return -ECONNRESET;
    if (body->ended)
        return 0;
    if (body->chunked)
        return read_chunks(link, buf, len);
    if (body->left >= 0 && (int64_t)len > body->left)
        len = (size_t)body->left;
    ssize_t n = raw(link, buf, len);
    if (n == -EAGAIN)
        return n;
    if (n <= 0 && body->left >= 0)
        return -ECONNRESET;
    body->left -= body->left >= 0 ? n : 0;
    body->ended = n <= 0 || body->left == 0;
    return n < 0 ? -ECONNRESET : n;
}

const char *http_uplink_whole(struct http_uplink *link, size_t *ret_len) {
    struct http_answer_body *body = &link->body;
    size_t rest = link->in.len - link->rest_at;
    if (body->chunked || body->left < 0 || (uint64_t)body->left > rest)
        return NULL;
    const char *data = link->in.data + link->rest_at;
    *ret_len = (size_t)body->left;
    link->rest_at += *ret_len;
    body->left = 0;
    body->ended = true;
    return data;
}
