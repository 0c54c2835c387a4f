// SPDX-License-Identifier: Apache-2.0
// A request from its head to its handler, and what a handler may ask about it.
#include "lib/http/request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/http/loop.h"
#include "lib/http/status.h"

// ---- begin and end ----------------------------------------------------------------------------------------------------

void http_request_reset(struct http_request *request) {
    if (request->free_user)
        request->free_user(request->user);
    free(request->arena);
    free(request->reply.taken);
    if (request->reply.fd >= 0)
        (void)close(request->reply.fd);
    if (request->reply.kind == HTTP_REPLY_SOURCE)
        request->reply.source.close(request->reply.source_arg);
    http_buffer_done(&request->reply.head);
    struct http_buffer body = request->body, reply = request->reply.body;
    body.len = reply.len = 0;
    if (body.cap > HTTP_KEEP_MAX)
        http_buffer_done(&body);
    if (reply.cap > HTTP_KEEP_MAX)
        http_buffer_done(&reply);
    // The fields of the head count by `count`: no need to clear the kilobyte.
    size_t from = offsetof(struct http_request, route);
    memset((char *)request + from, 0, sizeof *request - from);
    request->reply.fd = -1;
    request->body = body;
    request->reply.body = reply;
}

void http_request_end(struct http_connection *c) {
    http_observe_end(c);
    http_request_reset(&c->request);
    c->in.len = 0;
    c->answered = c->handling = c->decided = c->streams = c->stalled = c->retry = c->discard = false;
}

void http_request_handle(struct http_connection *c) {
    struct http_request *request = &c->request;
    c->handling = true;
    request->route->handle(request->table->arg, request);
}

static void begin_counting(struct http_connection *c) {
    struct http_server *server = c->worker->server;
    unsigned long long number = atomic_fetch_add_explicit(&server->ids, 1, memory_order_relaxed);
    static const char digits[] = "0123456789abcdef";
    char *id = c->request.id;
    memcpy(id, server->id_prefix, 8);
    for (int i = 0; i < 10; i++)
        id[8 + i] = digits[number >> (36 - 4 * i) & 15];
    id[18] = '\0';
    http_observe_begin(c);
}

void http_request_refuse(struct http_connection *c, unsigned status, const struct err *err) {
    if (!c->request.begun_ns)
        begin_counting(c);
    if (c->phase == HTTP_PHASE_HEAD)
        c->request.head = (struct http_head){.method = HTTP_GET};
    struct http_connection *before = http_connection_enter(c);
    c->keep_alive = false;
    c->phase = HTTP_PHASE_WAIT;
    struct http_status known = http_status_of(err->code);
    if (!status || known.status == status)
        http_reply_error(&c->request, err);
    else
        http_reply_status(&c->request, status, status == 408 ? "timed_out" : "malformed", "%s", err->msg);
    (void)http_connection_enter(before);
}

// Nothing of the route but the answer is wanted: no path, method or right.
static void answer_status(struct http_connection *c, unsigned status, const char *allow, const struct err *err) {
    struct http_request *request = &c->request;
    if (*allow && http_reply_header(request, "Allow", allow) < 0)
        status = 500;
    if (status == 204)
        http_reply_empty(request, 204);
    else if (status == 405)
        http_reply_status(request, 405, "method_not_allowed", "%s", err->msg);
    else
        http_reply_error(request, err);
}

static int check_body(const struct http_request *request, struct err *err) {
    const struct http_route *route = request->route;
    bool has = request->head.chunked || request->head.content_length;
    if (route->body == HTTP_BODY_NONE && has)
        return err_set(err, -E2BIG, "%s takes no body", route->name);
    bool limited = route->body_max || route->body == HTTP_BODY_WHOLE;
    if (limited && request->head.content_length > (int64_t)route->body_max)
        return err_set(err, -E2BIG, "the body of %lld bytes exceeds the limit of %zu bytes",
                       (long long)request->head.content_length, route->body_max);
    return 0;
}

static int refuse(struct http_request *request, int r, struct err *err) {
    if (!err->code)
        err->code = r;
    http_reply_error(request, err);
    return -1;
}

// 0: the request may be handled; else it was answered, or will be decided later.
static int admit(struct http_connection *c) {
    struct http_request *request = &c->request;
    struct http_server *server = c->worker->server;
    struct err err = ERR_NONE;
    if (atomic_load_explicit(&server->draining, memory_order_relaxed)) {
        (void)err_set(&err, -ESHUTDOWN, "the server is shutting down");
        http_reply_error(request, &err);
        return -1;
    }
    char allow[64];
    unsigned status = *request->head.target.data == '*' ? 204 : http_routes_find(server, request, allow, &err);
    if (*request->head.target.data == '*')
        (void)snprintf(allow, sizeof allow, "GET, HEAD, PUT, POST, DELETE, OPTIONS");
    if (status) {
        answer_status(c, status, allow, &err);
        return -1;
    }
    int r = server->options.authorize ? server->options.authorize(server->options.authorize_arg, request, &err) : 0;
    if (r == -EINPROGRESS)
        return -1;
    if (r == 0)
        r = check_body(request, &err);
    return r == 0 ? 0 : refuse(request, r, &err);
}

static void begin_body(struct http_connection *c) {
    if (c->request.route->body != HTTP_BODY_WHOLE || c->request.decoded) {
        http_request_handle(c);
        return;
    }
    c->handling = false;
    c->phase = HTTP_PHASE_BODY;
    http_connection_wait(c, c->worker->server->options.body_s);
}

void http_request_admit(struct http_request *request, int r, const struct err *err) {
    request->admitted = r;
    if (r < 0 && err)
        request->err = *err;
    http_connection_post(http_connection_of(request), HTTP_POST_ADMIT);
}

void http_request_let_in(struct http_connection *c) {
    struct http_request *request = &c->request;
    struct err err = request->err;
    struct http_connection *before = http_connection_enter(c);
    request->err = ERR_NONE;
    int r = request->admitted == 0 ? check_body(request, &err) : request->admitted;
    if (r < 0)
        (void)refuse(request, r, &err);
    else
        begin_body(c);
    (void)http_connection_enter(before);
}

void http_request_begin(struct http_connection *c) {
    struct http_request *request = &c->request;
    struct err err = ERR_NONE;
    begin_counting(c);
    c->phase = HTTP_PHASE_WAIT;
    int r = http_head_parse(c->in.data, c->head_len, &request->head, &err);
    if (r < 0) {
        http_request_refuse(c, (unsigned)-r, &err);
        return;
    }
    c->keep_alive = request->head.keep_alive;
    request->body_left = request->head.content_length;
    request->decoded = !request->head.chunked && !request->body_left;
    request->continued = !request->head.expect_continue;
    c->handling = true;
    if (admit(c) == 0)
        begin_body(c);
}

// ---- what a handler asks --------------------------------------------------------------------------------------------

enum http_method http_request_method(const struct http_request *request) {
    return request->head.method;
}
const struct http_route *http_request_route(const struct http_request *request) {
    return request->route;
}

static const char *find_named(const struct http_named *items, size_t count, const char *name, size_t *ret_len) {
    size_t len = strlen(name);
    for (size_t i = 0; i < count; i++) {
        if (items[i].name_len != len || memcmp(items[i].name, name, len) != 0)
            continue;
        if (ret_len)
            *ret_len = items[i].len;
        return items[i].value;
    }
    return NULL;
}

const char *http_request_arg(const struct http_request *request, const char *name, size_t *ret_len) {
    const char *found = find_named(request->args, request->arg_count, name, ret_len);
    if (!found && ret_len)
        *ret_len = 0;
    return found ? found : "";
}
const char *http_request_query(const struct http_request *request, const char *name, size_t *ret_len) {
    return find_named(request->query, request->query_count, name, ret_len);
}
const char *http_request_header(const struct http_request *request, const char *name) {
    return http_head_field(&request->head, name);
}
const char *http_request_target(const struct http_request *request) {
    return request->head.target.data;
}
const char *http_request_prefix(const struct http_request *request, const char **ret_workspace) {
    if (ret_workspace)
        *ret_workspace = find_named(request->args, request->arg_count, "ws", NULL);
    return request->prefix;
}
const void *http_request_body(const struct http_request *request, size_t *ret_len) {
    if (ret_len)
        *ret_len = request->body.len;
    return request->body.data ? request->body.data : "";
}
int64_t http_request_content_length(const struct http_request *request) {
    return request->head.chunked ? -1 : request->head.content_length;
}
const char *http_request_id(const struct http_request *request) {
    return request->id;
}
bool http_request_gone(const struct http_request *request) {
    return atomic_load(&request->gone);
}
const struct err *http_request_error(const struct http_request *request) {
    return &request->err;
}
void http_request_set_user(struct http_request *request, void *user, void (*free_user)(void *)) {
    if (request->free_user)
        request->free_user(request->user);
    request->user = user;
    request->free_user = free_user;
}
void *http_request_user(const struct http_request *request) {
    return request->user;
}

int http_request_form_part(struct http_request *request, const char *field, const void **ret, size_t *ret_len,
                           struct err *err) {
    struct http_multipart form;
    if (http_multipart_init(&form, http_request_header(request, "Content-Type")) < 0)
        return err_set(err, -EBADMSG, "the body must be a form (multipart/form-data; boundary=...)");
    const char *found = NULL;
    bool inside = false;
    for (size_t at = 0; form.state != HTTP_MULTIPART_DONE;) {
        struct http_multipart_event event;
        int r = http_multipart_next(&form, request->body.data + at, request->body.len - at, &event);
        if (r < 0 || event.kind == HTTP_MULTIPART_MORE)
            return err_set(err, -EBADMSG, "the form (multipart/form-data) is malformed or cut short");
        if (event.kind == HTTP_MULTIPART_BEGIN && !found && strcmp(form.name, field) == 0) {
            inside = true;
            found = request->body.data + at + event.used;
            *ret_len = 0;
        }
        if (event.kind == HTTP_MULTIPART_BYTES && inside)
            *ret_len += event.len;
        inside = inside && event.kind != HTTP_MULTIPART_END;
        at += event.used;
    }
    if (!found)
        return err_set(err, -ENOENT, "the form has no part named '%s'", field);
    *ret = found;
    return 0;
}

void http_request_stream(struct http_request *request, const char *form_field, const struct http_sink *sink,
                         void *arg) {
    request->sink_ops = *sink;
    request->sink_arg = arg;
    request->sink = &request->sink_ops;
    if (form_field) {
        (void)snprintf(request->form_field, sizeof request->form_field, "%s", form_field);
        if (http_multipart_init(&request->form, http_request_header(request, "Content-Type")) < 0) {
            (void)err_set(&request->err, -EBADMSG, "the body must be a form (multipart/form-data; boundary=...)");
            request->sink = NULL;
            sink->end(arg, request, -EBADMSG);
            return;
        }
    }
    http_connection_post(http_connection_of(request), HTTP_POST_STREAM);
}

void http_request_resume(struct http_request *request) {
    http_connection_post(http_connection_of(request), HTTP_POST_RESUME);
}
