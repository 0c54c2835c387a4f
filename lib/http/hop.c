// SPDX-License-Identifier: Apache-2.0
#include "lib/http/hop.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/http/uplink.h"

static bool names_field(const char *list, const char *name) { // "a, b" of Connection
    size_t len = strlen(name);
    for (const char *at = list; at && *at; at += strcspn(at, ",")) {
        at += strspn(at, " \t,");
        size_t n = strcspn(at, " \t,");
        if (n == len && strncasecmp(at, name, n) == 0)
            return true;
    }
    return false;
}

// Of a connection, not of a message (RFC 9110, 7.6.1), or set anew by whoever sends.
static bool is_of_connection(const struct http_head *head, const char *name) {
    static const char *const names[] = {"Connection", "Content-Length", "Transfer-Encoding", "Keep-Alive", "TE",
                                        "Trailer",    "Upgrade",        "Proxy-Connection",  "Expect"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (str_eq_nocase(name, names[i]))
            return true;
    return names_field(http_head_field(head, "Connection"), name);
}

int http_hop_answer(struct http_request *request, const struct http_head *head) {
    static const char *const own[] = {"Date", "X-Request-Id", "Content-Type"}; // the server writes these
    for (size_t i = 0; i < head->count; i++) {
        bool skip = is_of_connection(head, head->fields[i].name);
        for (size_t j = 0; !skip && j < ARRAY_SIZE(own); j++)
            skip = str_eq_nocase(head->fields[i].name, own[j]);
        if (!skip && http_reply_header(request, head->fields[i].name, head->fields[i].value) < 0)
            return -ENOMEM;
    }
    return 0;
}

static bool is_listed(const char *const *list, const char *name) {
    for (; list && *list; list++)
        if (str_eq_nocase(*list, name))
            return true;
    return false;
}

static int put(struct http_buffer *out, const char *text) {
    return http_buffer_append(out, text, strlen(text));
}

static int put_field(struct http_buffer *out, const char *name, const char *value) {
    return put(out, name) < 0 || put(out, ": ") < 0 || put(out, value) < 0 ? -ENOMEM : put(out, "\r\n");
}

int http_hop_request(struct http_buffer *out, const struct http_head *head, const struct http_forward *forward) {
    char length[32];
    int r = http_buffer_reserve(out, 1024 + head->target.len);
    r = r < 0 ? r : put(out, http_method_name(head->method));
    r = r < 0 ? r : put(out, " ");
    r = r < 0 ? r : http_buffer_append(out, head->target.data, head->target.len);
    r = r < 0 ? r : put(out, " HTTP/1.1\r\n");
    r = r < 0 ? r : put_field(out, "Host", forward->upstream->options.host);
    for (size_t i = 0; r == 0 && i < head->count; i++) {
        const char *name = head->fields[i].name;
        if (!str_eq_nocase(name, "Host") && !is_of_connection(head, name) && !is_listed(forward->without, name))
            r = put_field(out, name, head->fields[i].value);
    }
    (void)snprintf(length, sizeof length, "%" PRId64, head->content_length);
    bool has_body = head->chunked || head->content_length > 0;
    bool says = has_body || head->method == HTTP_PUT || head->method == HTTP_POST || head->method == HTTP_DELETE;
    if (r == 0 && head->chunked)
        r = put_field(out, "Transfer-Encoding", "chunked");
    else if (r == 0 && says)
        r = put_field(out, "Content-Length", length);
    r = r < 0 ? r : put(out, forward->fields ? forward->fields : "");
    return r < 0 ? r : put(out, "\r\n");
}
