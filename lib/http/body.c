// SPDX-License-Identifier: Apache-2.0
// The body of a request: decoded in the loop's scratch memory and handed on, whole or piece by piece.
#include <errno.h>
#include <string.h>

#include "lib/http/loop.h"

#define TURNS 8 // pieces before other connections have their turn

static int fail(struct http_connection *c, int code, const char *message) {
    if (!c->request.err.code)
        (void)err_set(&c->request.err, code, "%s", message);
    return code;
}

// ---- handing on: 0 with *ret_used bytes taken, -EAGAIN (pause), or another -errno ---------------------------------------

static int offer_sink(struct http_connection *c, const char *data, size_t len) {
    struct http_request *request = &c->request;
    if (!len)
        return 0;
    int r = request->sink->write(request->sink_arg, data, len, &request->err);
    if (r < 0 && r != -EAGAIN && !request->err.code)
        (void)err_set(&request->err, r, "%s", err_name(r));
    return r;
}

static int offer_form(struct http_connection *c, const char *data, size_t len, size_t *ret_used) {
    struct http_request *request = &c->request;
    while (true) {
        struct http_multipart before = request->form;
        struct http_multipart_event event;
        if (http_multipart_next(&request->form, data + *ret_used, len - *ret_used, &event) < 0)
            return fail(c, -EBADMSG, "the form (multipart/form-data) is malformed");
        if (event.kind == HTTP_MULTIPART_BEGIN) {
            request->form_wanted = !request->form_seen && strcmp(request->form.name, request->form_field) == 0;
            request->form_seen = request->form_seen || request->form_wanted;
        }
        if (event.kind == HTTP_MULTIPART_BYTES && request->form_wanted) {
            int r = offer_sink(c, event.data, event.len);
            if (r < 0) {
                request->form = before; // the same bytes come again
                return r;
            }
        }
        *ret_used += event.used;
        if (event.kind == HTTP_MULTIPART_MORE || event.kind == HTTP_MULTIPART_CLOSE)
            return 0;
    }
}

static int offer(struct http_connection *c, const char *data, size_t len, size_t *ret_used) {
    struct http_request *request = &c->request;
    *ret_used = 0;
    if (!c->discard && request->sink && *request->form_field)
        return offer_form(c, data, len, ret_used);
    int r = 0;
    if (c->discard)
        r = 0;
    else if (request->sink)
        r = offer_sink(c, data, len);
    else if (http_buffer_append(&request->body, data, len) < 0)
        r = fail(c, -ENOMEM, "out of memory");
    *ret_used = r < 0 ? 0 : len;
    return r;
}

// ---- taking in ----------------------------------------------------------------------------------------------------------

static ssize_t raw_read(struct http_connection *c, char *data, size_t len) {
    if (!c->request.head.chunked && (int64_t)len > c->request.body_left)
        len = (size_t)c->request.body_left;
    if (!c->surplus.len)
        return http_io_read(c, data, len);
    len = len < c->surplus.len ? len : c->surplus.len;
    memcpy(data, c->surplus.data, len);
    http_buffer_consume(&c->surplus, len);
    c->moved += (int64_t)len;
    return (ssize_t)len;
}

// Decodes `len` raw bytes in place; what follows the body goes back. The number of decoded bytes, or -errno.
static ssize_t decode(struct http_connection *c, char *data, size_t len) {
    struct http_request *request = &c->request;
    size_t out = len;
    if (request->head.chunked) {
        size_t used;
        if (http_chunk_decode(&request->chunk, data, len, &used, &out) < 0)
            return fail(c, -EBADMSG, "the chunked body is malformed");
        if (http_buffer_prepend(&c->surplus, data + used, len - used) < 0)
            return fail(c, -ENOMEM, "out of memory");
        request->decoded = request->chunk.state == HTTP_CHUNK_DONE;
    } else {
        request->body_left -= (int64_t)len;
        request->decoded = request->body_left == 0;
    }
    request->body_seen += (int64_t)out;
    size_t max = request->route ? request->route->body_max : 0;
    if (!c->discard && max && request->body_seen > (int64_t)max) {
        (void)err_set(&request->err, -E2BIG, "the body exceeds the limit of %zu bytes", max);
        return -E2BIG;
    }
    return (ssize_t)out;
}

// ---- the end ------------------------------------------------------------------------------------------------------------

static void end_sink(struct http_connection *c, int rc) {
    struct http_request *request = &c->request;
    const struct http_sink *sink = request->sink;
    request->sink = NULL;
    c->streams = false;
    c->phase = HTTP_PHASE_WAIT;
    sink->end(request->sink_arg, request, rc);
}

static void body_failed(struct http_connection *c, int rc) {
    c->keep_alive = false;
    if (c->request.sink)
        end_sink(c, rc);
    else if (c->discard)
        http_connection_cut(c);
    else
        http_request_refuse(c, 0, &c->request.err);
}

static void body_finished(struct http_connection *c) {
    struct http_request *request = &c->request;
    c->phase = HTTP_PHASE_WAIT;
    if (c->discard) {
        http_connection_finish(c);
        return;
    }
    if (!request->sink) {
        http_request_handle(c);
        return;
    }
    int rc = 0;
    if (*request->form_field && request->form.state != HTTP_MULTIPART_DONE)
        rc = fail(c, -EBADMSG, "the form (multipart/form-data) is cut short");
    else if (*request->form_field && !request->form_seen)
        rc = err_set(&request->err, -EBADMSG, "the form has no part named '%s'", request->form_field);
    end_sink(c, rc);
}

void http_body_abort(struct http_connection *c, int rc) {
    (void)fail(c, rc, "the client is gone");
    end_sink(c, rc);
    c->answered = true; // whatever it says
}

static int say_continue(struct http_connection *c) {
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    c->request.continued = true;
    struct iovec iov = {(void *)(uintptr_t)text, sizeof text - 1};
    return http_io_write(c, &iov, 1, false) == (ssize_t)iov.iov_len ? 0 : -EIO;
}

// Once: bytes in, decoded, offered. 0, -EAGAIN (blocked), -ECONNRESET (client gone), or why the body is refused.
static int turn(struct http_connection *c) {
    struct http_request *request = &c->request;
    char *scratch = c->worker->scratch;
    bool keeps = request->sink && !c->discard;
    size_t have = keeps ? request->body.len : 0;
    if (have)
        memcpy(scratch, request->body.data, have);
    if (!c->retry && !request->decoded) {
        ssize_t n = raw_read(c, scratch + have, HTTP_SCRATCH - have);
        if (n <= 0)
            return n == -EAGAIN ? -EAGAIN : -ECONNRESET;
        n = decode(c, scratch + have, (size_t)n);
        if (n < 0)
            return (int)n;
        have += (size_t)n;
    }
    c->retry = false;
    size_t used;
    int r = offer(c, scratch, have, &used);
    if (keeps) {
        request->body.len = 0;
        if ((r == 0 || r == -EAGAIN) && http_buffer_append(&request->body, scratch + used, have - used) < 0)
            r = fail(c, -ENOMEM, "out of memory");
    }
    if (r != -EAGAIN)
        return r;
    c->stalled = true;
    return -EAGAIN;
}

enum http_step http_body_pump(struct http_connection *c) {
    bool gone = c->fd < 0 && !c->stalled; // left while the sink had its pause
    if (gone || (c->fd >= 0 && !c->request.continued && !c->surplus.len && say_continue(c) < 0)) {
        http_connection_cut(c);
        return HTTP_STEP_ON;
    }
    for (int i = 0; i < TURNS && c->phase == HTTP_PHASE_BODY; i++) {
        if (c->stalled)
            return HTTP_STEP_BLOCKED;
        int r = c->request.decoded && !c->retry ? 0 : turn(c);
        if (r == -EAGAIN)
            return HTTP_STEP_BLOCKED;
        if (r == -ECONNRESET && c->request.err.code == 0)
            http_connection_cut(c);
        else if (r < 0)
            body_failed(c, r);
        else if (c->request.decoded && !c->stalled)
            body_finished(c);
    }
    return HTTP_STEP_ON;
}
