// SPDX-License-Identifier: Apache-2.0
// An answer on its way out: head, bytes, file, or the pieces of a source.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "lib/http/loop.h"
#include "lib/http/status.h"

#define FILE_STEP (1024 * 1024) // by one sendfile
#define SOURCE_STEP (16 * 1024) // by one read of a source, which may hold its memory for long while it waits
#define LARGE_STEP (64 * 1024)  // of one that owes as much
#define CHUNK_HEAD 8            // "xxxxxx\r\n"
#define TURNS 8
#define HEAD_ROOM 512 // for all but the handler's fields: fixed texts, and a type of at most 127 bytes

static bool bodyless(const struct http_request *request) {
    unsigned status = request->reply.status;
    return request->head.method == HTTP_HEAD || status == 204 || status == 304;
}

static int64_t content_length(const struct http_reply *reply) {
    switch (reply->kind) {
    case HTTP_REPLY_BYTES:
        return (int64_t)reply->body.len;
    case HTTP_REPLY_TAKEN:
        return (int64_t)reply->taken_len;
    case HTTP_REPLY_FILE:
        return reply->left;
    case HTTP_REPLY_SOURCE:
        return reply->source_left;
    case HTTP_REPLY_NONE:
        break;
    }
    return -1;
}

static void put(struct http_buffer *out, const char *text, size_t len) { // there is room
    memcpy(out->data + out->len, text, len);
    out->len += len;
}
static void put_text(struct http_buffer *out, const char *text) {
    put(out, text, strlen(text));
}
static void put_number(struct http_buffer *out, uint64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    put(out, digits + at, sizeof digits - at);
}

// Content-Length, or chunks, or neither: then the end of the connection is the end.
static void put_framing(struct http_connection *c, int64_t length) {
    struct http_request *request = &c->request;
    if (length < 0 && request->head.http_1_0)
        c->keep_alive = false;
    if (request->reply.status == 204 || request->reply.status == 304)
        return;
    if (length >= 0) {
        put_text(&c->out, "\r\nContent-Length: ");
        put_number(&c->out, (uint64_t)length);
    } else if (!request->head.http_1_0) {
        put_text(&c->out, "\r\nTransfer-Encoding: chunked");
    }
}

// By hand: a formatter would cost as much as the rest of a small answer.
int http_reply_compose(struct http_connection *c) {
    struct http_request *request = &c->request;
    struct http_reply *reply = &request->reply;
    struct http_buffer *out = &c->out;
    int64_t length = content_length(reply);
    out->len = 0;
    if (http_buffer_reserve(out, HEAD_ROOM + reply->head.len) < 0)
        return -ENOMEM;
    put_text(out, "HTTP/1.1 ");
    put_number(out, reply->status);
    put_text(out, " ");
    put_text(out, http_status_reason(reply->status));
    put_text(out, "\r\nDate: ");
    put_text(out, c->worker->date);
    put_framing(c, length);
    if (*reply->type) {
        put_text(out, "\r\nContent-Type: ");
        put_text(out, reply->type);
    }
    put_text(out, "\r\nX-Request-Id: ");
    put_text(out, request->id);
    if (!c->keep_alive)
        put_text(out, "\r\nConnection: close");
    else if (request->head.http_1_0)
        put_text(out, "\r\nConnection: keep-alive");
    put_text(out, "\r\n");
    put(out, reply->head.len ? reply->head.data : "", reply->head.len);
    put_text(out, "\r\n");
    reply->sent = 0;
    reply->total = length > 0 && !bodyless(request) && reply->kind != HTTP_REPLY_SOURCE ? length : 0;
    return 0;
}

// 1: all is out; 0: blocked; < 0: the connection is broken.
static int send_bytes(struct http_connection *c, const char *body, size_t len, bool more) {
    struct http_reply *reply = &c->request.reply;
    while (reply->sent < c->out.len + len) {
        size_t head = reply->sent < c->out.len ? c->out.len - reply->sent : 0;
        size_t done = reply->sent > c->out.len ? reply->sent - c->out.len : 0;
        struct iovec iov[2] = {{c->out.data + (c->out.len - head), head}, {(char *)(uintptr_t)body + done, len - done}};
        ssize_t n = head ? http_io_write(c, iov, len ? 2 : 1, more) : http_io_write(c, iov + 1, 1, more);
        if (n < 0)
            return n == -EAGAIN ? 0 : (int)n;
        reply->sent += (size_t)n;
    }
    return 1;
}

static int send_piece(struct http_connection *c) {
    struct http_reply *reply = &c->request.reply;
    size_t step = reply->left < FILE_STEP ? (size_t)reply->left : FILE_STEP;
    ssize_t n;
    if (!c->tls) {
        off_t offset = reply->offset;
        n = sendfile(c->fd, reply->fd, &offset, step);
        if (n < 0 && errno == EAGAIN)
            c->writable = false;
        n = n < 0 ? -errno : n;
    } else {
        n = pread(reply->fd, c->worker->scratch, step < SOURCE_STEP ? step : SOURCE_STEP, reply->offset);
        struct iovec iov = {c->worker->scratch, n > 0 ? (size_t)n : 0};
        n = n > 0 ? http_io_write(c, &iov, 1, false) : -EIO;
    }
    if (n == -EAGAIN)
        return 0;
    if (n <= 0)
        return -EIO; // the file is shorter than promised: the client learns it from the missing bytes
    c->moved += c->tls ? 0 : n;
    reply->offset += n;
    reply->left -= n;
    return 1;
}

// Full segments while a file goes out; the rest leaves when the cork is drawn.
static void cork(const struct http_connection *c, int on) {
    if (c->tcp && !c->tls)
        (void)setsockopt(c->fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

static int send_file(struct http_connection *c) {
    for (int i = 0; i < TURNS; i++) {
        if (!c->request.reply.left)
            return 1;
        if (!c->writable)
            return 0;
        int r = send_piece(c);
        if (r <= 0)
            return r;
    }
    http_connection_post(c, 0); // others have their turn
    return 0;
}

// Puts one piece of the source, framed, into `out`. 1: there is something to send; 0: blocked; < 0: cut.
static int next_piece(struct http_connection *c) {
    struct http_reply *reply = &c->request.reply;
    bool sized = reply->source_left >= 0, chunked = !sized && !c->request.head.http_1_0;
    size_t step = reply->source_left >= LARGE_STEP ? LARGE_STEP : SOURCE_STEP;
    size_t most = sized && (size_t)reply->source_left < step ? (size_t)reply->source_left : step;
    if (http_buffer_reserve(&c->out, 0) < 0 || c->out.cap < step + 32) {
        c->out.len = 0;
        if (http_buffer_reserve(&c->out, step + 32) < 0)
            return -ENOMEM;
    }
    int64_t n = reply->source.read(reply->source_arg, c->out.data + CHUNK_HEAD, most);
    if (n == -EAGAIN) {
        c->stalled = true;
        return 0;
    }
    if (n < 0 || (n == 0 && sized))
        return n < 0 ? (int)n : -EIO;
    char head[CHUNK_HEAD + 1];
    (void)snprintf(head, sizeof head, "%06llx\r\n", (unsigned long long)n);
    reply->source_left -= sized ? n : 0;
    reply->ended = sized ? reply->source_left == 0 : n == 0;
    reply->total += n;
    c->out.len = (size_t)n + CHUNK_HEAD;
    reply->sent = chunked ? 0 : CHUNK_HEAD;
    if (chunked && n) {
        memcpy(c->out.data, head, CHUNK_HEAD);
        memcpy(c->out.data + c->out.len, "\r\n", 2);
        c->out.len += 2;
    } else if (chunked) {
        memcpy(c->out.data, "0\r\n\r\n", 5);
        c->out.len = 5;
    }
    return 1;
}

static int send_source(struct http_connection *c) {
    for (int i = 0; i < TURNS; i++) {
        int r = send_bytes(c, NULL, 0, false);
        if (r <= 0)
            return r;
        if (c->request.reply.ended || bodyless(&c->request))
            return 1;
        if (c->stalled)
            return 0;
        r = next_piece(c);
        if (r <= 0)
            return r;
    }
    http_connection_post(c, 0);
    return 0;
}

static int pump(struct http_connection *c) {
    struct http_reply *reply = &c->request.reply;
    bool none = bodyless(&c->request);
    switch (reply->kind) {
    case HTTP_REPLY_BYTES:
        return send_bytes(c, reply->body.data, none ? 0 : reply->body.len, false);
    case HTTP_REPLY_TAKEN:
        return send_bytes(c, reply->taken, none ? 0 : reply->taken_len, false);
    case HTTP_REPLY_SOURCE:
        return send_source(c);
    case HTTP_REPLY_FILE: {
        if (reply->sent == 0 && !none)
            cork(c, 1);
        int r = reply->sent < c->out.len ? send_bytes(c, NULL, 0, false) : 1;
        r = r > 0 && !none ? send_file(c) : r;
        if (r > 0 && !none)
            cork(c, 0);
        return r;
    }
    case HTTP_REPLY_NONE:
        break;
    }
    return 1;
}

enum http_step http_send_pump(struct http_connection *c) {
    c->retry = false;
    int r = pump(c);
    if (r == 0)
        return HTTP_STEP_BLOCKED;
    if (r < 0)
        http_connection_cut(c);
    return HTTP_STEP_ON;
}
