// SPDX-License-Identifier: Apache-2.0
// Answers, as handlers give them, from any thread.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/http/loop.h"
#include "lib/http/status.h"

#define SMALL_FILE (64 * 1024) // such a piece is read at once and leaves with the head in one call

static void set(struct http_request *request, unsigned status, const char *type, enum http_reply_kind kind) {
    request->reply.kind = kind;
    request->reply.status = status;
    (void)snprintf(request->reply.type, sizeof request->reply.type, "%s", type ? type : "");
}

static void post(struct http_request *request) {
    http_connection_post(http_connection_of(request), HTTP_POST_REPLY);
}

// Without memory for the answer there is one that needs none.
static void reply_out_of_memory(struct http_request *request) {
    request->reply.head.len = 0;
    request->reply.body.len = 0;
    set(request, 500, NULL, HTTP_REPLY_BYTES);
    (void)snprintf(request->reply.code, sizeof request->reply.code, "out_of_memory");
    post(request);
}

int http_reply_header(struct http_request *request, const char *name, const char *value) {
    if (strpbrk(name, "\r\n: ") || strpbrk(value, "\r\n") || !*name)
        return -EINVAL;
    struct http_buffer *head = &request->reply.head;
    size_t before = head->len;
    if (http_buffer_append(head, name, strlen(name)) == 0 && http_buffer_append(head, ": ", 2) == 0 &&
        http_buffer_append(head, value, strlen(value)) == 0 && http_buffer_append(head, "\r\n", 2) == 0)
        return 0;
    head->len = before;
    return -ENOMEM;
}

void http_reply(struct http_request *request, unsigned status, const char *type, const void *data, size_t len) {
    if (http_buffer_append(&request->reply.body, data, len) < 0) {
        reply_out_of_memory(request);
        return;
    }
    set(request, status, type, HTTP_REPLY_BYTES);
    post(request);
}

void http_reply_empty(struct http_request *request, unsigned status) {
    set(request, status, NULL, HTTP_REPLY_BYTES);
    post(request);
}

void http_reply_take(struct http_request *request, unsigned status, const char *type, char *data, size_t len) {
    request->reply.taken = data;
    request->reply.taken_len = len;
    set(request, status, type, HTTP_REPLY_TAKEN);
    post(request);
}

static void reply_problem(struct http_request *request, unsigned status, const char *code, const char *message) {
    struct str body cleanup_str = {0};
    (void)str_printf(&body, "{\"code\":\"%s\",\"message\":", code);
    (void)json_append_quoted(&body, message);
    (void)str_append(&body, "}\n");
    if (body.failed) {
        reply_out_of_memory(request);
        return;
    }
    (void)snprintf(request->reply.code, sizeof request->reply.code, "%s", code);
    if (message != request->err.msg)
        (void)snprintf(request->err.msg, sizeof request->err.msg, "%s", message);
    request->reply.taken_len = body.len;
    request->reply.taken = str_take(&body);
    set(request, status, "application/json", HTTP_REPLY_TAKEN);
    post(request);
}

void http_reply_error(struct http_request *request, const struct err *err) {
    struct http_status status = http_status_of(err->code);
    int r = 0;
    char seconds[16];
    if (status.retry_after) {
        (void)snprintf(seconds, sizeof seconds, "%d", status.retry_after);
        r = http_reply_header(request, "Retry-After", seconds);
    }
    if (r == 0 && status.status == 401)
        r = http_reply_header(request, "WWW-Authenticate", "Bearer");
    if (r < 0)
        reply_out_of_memory(request);
    else
        reply_problem(request, status.status, status.code, err_text(err));
}

void http_reply_status(struct http_request *request, unsigned status, const char *code, const char *fmt, ...) {
    char message[256];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    reply_problem(request, status, code, message);
}

void http_reply_file(struct http_request *request, unsigned status, const char *type, int fd, int64_t offset,
                     int64_t len) {
    struct http_reply *reply = &request->reply;
    if (len <= SMALL_FILE) {
        int own cleanup_close = fd;
        ssize_t n =
            http_buffer_reserve(&reply->body, (size_t)len) < 0 ? -1 : pread(own, reply->body.data, (size_t)len, offset);
        if (n != len) {
            struct err err = ERR_NONE;
            (void)err_set(&err, -EIO, "the file cannot be read, or is shorter than it was");
            http_reply_error(request, &err);
            return;
        }
        reply->body.len = (size_t)n;
        set(request, status, type, HTTP_REPLY_BYTES);
    } else {
        reply->fd = fd;
        reply->offset = offset;
        reply->left = len;
        set(request, status, type, HTTP_REPLY_FILE);
    }
    post(request);
}

void http_reply_source(struct http_request *request, unsigned status, const char *type,
                       const struct http_source *source, void *arg) {
    http_reply_source_sized(request, status, type, -1, source, arg);
}

void http_reply_source_sized(struct http_request *request, unsigned status, const char *type, int64_t len,
                             const struct http_source *source, void *arg) {
    request->reply.source = *source;
    request->reply.source_arg = arg;
    request->reply.source_left = len;
    request->reply.ended = len == 0;
    set(request, status, type, HTTP_REPLY_SOURCE);
    post(request);
}
