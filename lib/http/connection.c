// SPDX-License-Identifier: Apache-2.0
#include "lib/http/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"

#define READ_STEP 4096U
#define LINGER_S 30U
#define TURNS_MAX 64 // requests of one connection before others have their turn

// The connection whose handler runs on this thread: its answer needs no post.
static _Thread_local struct http_connection *current;

struct http_connection *http_connection_enter(struct http_connection *c) {
    struct http_connection *before = current;
    current = c;
    return before;
}

struct http_connection *http_connection_new(struct http_worker *worker, int fd, bool tcp, void *tls) {
    struct http_connection *c = mem_zalloc(sizeof *c);
    if (!c)
        return NULL;
    c->worker = worker;
    c->fd = fd;
    c->tcp = tcp;
    c->tls = tls;
    c->readable = c->writable = true;
    c->keep_alive = true;
    c->request.reply.fd = -1;
    atomic_fetch_add(&worker->server->references, 1);
    return c;
}

void http_connection_wait(struct http_connection *c, unsigned seconds) {
    c->deadline_ns = seconds ? c->worker->now_ns + (int64_t)seconds * NS_PER_S : 0;
    c->moved = 0;
}

bool http_connection_idle(const struct http_connection *c) {
    return c->phase == HTTP_PHASE_HEAD && !c->in.len;
}

static void close_socket(struct http_connection *c) {
    if (c->fd < 0)
        return;
    if (c->tls)
        c->worker->server->options.tls->close(c->tls);
    c->tls = NULL;
    // By name: a child between fork and exec has a copy, and the kernel would go on sending events of it.
    (void)epoll_ctl(c->worker->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    (void)close(c->fd);
    c->fd = -1;
    atomic_fetch_sub(&c->worker->server->connections, 1);
}

void http_connection_cut(struct http_connection *c) {
    struct http_connection *before = current;
    current = c; // what a sink answers now is dropped here
    atomic_store(&c->request.gone, true);
    if (c->request.left)
        c->request.left(c->request.left_arg, true);
    close_socket(c);
    c->deadline_ns = 0;
    bool awaited = c->streams && c->stalled; // its resume still comes, and needs the request
    if (c->streams && !awaited)
        http_body_abort(c, -ECONNRESET);
    current = before;
    if (awaited)
        return;
    if (c->phase == HTTP_PHASE_WAIT && c->handling && !c->answered)
        return; // the answer will end it
    c->handling = false;
    if (c->phase != HTTP_PHASE_HEAD && c->phase != HTTP_PHASE_LINGER && c->phase != HTTP_PHASE_DEAD)
        http_request_end(c);
    c->phase = HTTP_PHASE_DEAD;
}

// Between requests a connection holds nothing but itself.
static void free_buffers(struct http_connection *c) {
    http_buffer_done(&c->in);
    http_buffer_done(&c->surplus);
    http_buffer_done(&c->out);
    http_buffer_done(&c->request.body);
    http_buffer_done(&c->request.reply.body);
}

void http_connection_destroy(struct http_connection *c) {
    struct http_server *server = c->worker->server;
    close_socket(c);
    if (c->link) {
        *c->link = c->next;
        if (c->next)
            c->next->link = c->link;
    }
    http_request_reset(&c->request);
    free_buffers(c);
    free(c);
    http_server_unref(server);
}

// ---- bytes in and out -----------------------------------------------------------------------------------------------

ssize_t http_io_read(struct http_connection *c, void *data, size_t len) {
    if (!c->readable)
        return -EAGAIN;
    ssize_t n = c->tls ? c->worker->server->options.tls->read(c->tls, data, len) : recv(c->fd, data, len, 0);
    if (n < 0 && !c->tls)
        n = errno == EINTR ? -EAGAIN : -errno;
    if (n > 0)
        c->moved += n;
    // Edge-triggered: what comes after a short read, and the end of the stream, are new events.
    if (n == -EAGAIN || (n > 0 && !c->tls && (size_t)n < len && !c->hung_up))
        c->readable = false;
    return n;
}

ssize_t http_io_write(struct http_connection *c, const struct iovec *iov, int count, bool more) {
    if (!c->writable)
        return -EAGAIN;
    ssize_t n;
    if (c->tls) {
        while (count > 1 && !iov->iov_len)
            iov++, count--;
        n = c->worker->server->options.tls->write(c->tls, iov->iov_base, iov->iov_len);
    } else {
        struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
        n = sendmsg(c->fd, &message, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
        n = n < 0 ? -errno : n;
    }
    if (n == -EAGAIN)
        c->writable = false;
    if (n > 0)
        c->moved += n;
    return n;
}

// ---- steps ------------------------------------------------------------------------------------------------------------

static enum http_step head_step(struct http_connection *c) {
    struct err err = ERR_NONE;
    if (c->in.len) {
        long len = http_head_scan(&c->scan, c->in.data, c->in.len, &err);
        if (len < 0) {
            http_request_refuse(c, (unsigned)-len, &err);
            return HTTP_STEP_ON;
        }
        if (len > 0) {
            c->head_len = (size_t)len;
            size_t extra = c->in.len - c->head_len;
            if (http_buffer_prepend(&c->surplus, c->in.data + len, extra) < 0)
                http_connection_cut(c);
            else
                http_request_begin(c);
            return HTTP_STEP_ON;
        }
    }
    size_t room = c->in.len < READ_STEP / 2 ? READ_STEP - c->in.len : c->in.len;
    if (http_buffer_reserve(&c->in, room) < 0) {
        http_connection_cut(c);
        return HTTP_STEP_ON;
    }
    bool fresh = !c->in.len;
    ssize_t n = http_io_read(c, c->in.data + c->in.len, c->in.cap - c->in.len);
    if (n == -EAGAIN)
        return HTTP_STEP_BLOCKED;
    if (n <= 0) {
        http_connection_cut(c);
        return HTTP_STEP_ON;
    }
    c->in.len += (size_t)n;
    if (fresh)
        http_connection_wait(c, c->worker->server->options.header_s);
    return HTTP_STEP_ON;
}

static enum http_step wait_step(struct http_connection *c) {
    struct http_request *request = &c->request;
    if (c->decided) {
        c->decided = false;
        c->answered = c->fd < 0; // nobody is there to be let in
        if (!c->answered)
            http_request_let_in(c);
        return HTTP_STEP_ON;
    }
    if (!c->answered) {
        if (!c->streams)
            return HTTP_STEP_BLOCKED;
        c->phase = HTTP_PHASE_BODY;
        http_connection_wait(c, c->worker->server->options.body_s);
        return HTTP_STEP_ON;
    }
    c->handling = false;
    if (c->fd < 0) {
        http_connection_cut(c);
        return HTTP_STEP_ON;
    }
    // A short rest of the body is read after the answer, so that the connection lives on; who waits for 100 sends none.
    bool rest = !request->head.chunked && request->continued && request->body_left <= HTTP_KEEP_MAX;
    c->keep_alive = c->keep_alive && (request->decoded || rest) && !atomic_load(&c->worker->server->draining);
    c->phase = HTTP_PHASE_SEND;
    http_connection_wait(c, c->worker->server->options.body_s);
    if (http_reply_compose(c) < 0)
        http_connection_cut(c);
    return HTTP_STEP_ON;
}

static void next_request(struct http_connection *c) {
    struct http_buffer in = c->in;
    c->in = c->surplus;
    c->surplus = in;
    c->surplus.len = 0;
    if (c->surplus.cap > HTTP_KEEP_MAX)
        http_buffer_done(&c->surplus);
    if (c->out.cap > HTTP_KEEP_MAX)
        http_buffer_done(&c->out);
    if (!c->in.data) {
        c->in = c->surplus;
        c->surplus = (struct http_buffer){0};
    }
    c->scan = (struct http_head_scan){0};
    c->phase = HTTP_PHASE_HEAD;
    http_connection_wait(c, c->in.len ? c->worker->server->options.header_s : c->worker->server->options.idle_s);
}

void http_connection_finish(struct http_connection *c) {
    bool linger = !c->request.decoded;
    http_request_end(c);
    if (c->keep_alive) {
        next_request(c);
    } else if (linger) { // closing now would reset the connection, and the answer might be lost on the way
        (void)shutdown(c->fd, SHUT_WR);
        c->phase = HTTP_PHASE_LINGER;
        http_connection_wait(c, LINGER_S);
    } else {
        c->phase = HTTP_PHASE_DEAD;
    }
}

static enum http_step send_step(struct http_connection *c) {
    if (http_send_pump(c) == HTTP_STEP_BLOCKED)
        return HTTP_STEP_BLOCKED;
    if (c->phase != HTTP_PHASE_SEND) // cut
        return HTTP_STEP_ON;
    if (c->keep_alive && !c->request.decoded) {
        c->discard = true;
        c->phase = HTTP_PHASE_BODY;
        http_connection_wait(c, c->worker->server->options.body_s);
    } else {
        http_connection_finish(c);
    }
    return HTTP_STEP_ON;
}

static enum http_step linger_step(struct http_connection *c) {
    ssize_t n = http_io_read(c, c->worker->scratch, HTTP_SCRATCH);
    if (n == -EAGAIN)
        return HTTP_STEP_BLOCKED;
    if (n <= 0)
        c->phase = HTTP_PHASE_DEAD;
    return HTTP_STEP_ON;
}

static enum http_step step(struct http_connection *c) {
    switch (c->phase) {
    case HTTP_PHASE_HEAD:
        return head_step(c);
    case HTTP_PHASE_BODY:
        return http_body_pump(c);
    case HTTP_PHASE_WAIT:
        return wait_step(c);
    case HTTP_PHASE_SEND:
        return send_step(c);
    case HTTP_PHASE_LINGER:
        return linger_step(c);
    case HTTP_PHASE_DEAD:
        break;
    }
    return HTTP_STEP_BLOCKED;
}

// One that waits for its turn is destroyed when that comes.
static bool is_queued(struct http_connection *c) {
    LOCK_SCOPE(&c->worker->lock);
    return c->queued;
}

void http_connection_run(struct http_connection *c) {
    current = c;
    int turns = 0;
    while (c->phase != HTTP_PHASE_DEAD) {
        if (step(c) == HTTP_STEP_BLOCKED)
            break;
        if (++turns == TURNS_MAX * 4) { // others have their turn
            http_connection_post(c, 0);
            current = NULL;
            return;
        }
    }
    current = NULL;
    if (c->phase == HTTP_PHASE_DEAD && !c->handling && !is_queued(c))
        http_connection_destroy(c);
}

// ---- from handlers, and from the clock ---------------------------------------------------------------------------------

void http_connection_take(struct http_connection *c, unsigned what) {
    if (what & HTTP_POST_REPLY)
        c->answered = true;
    if (what & HTTP_POST_STREAM)
        c->streams = true;
    if (what & HTTP_POST_ADMIT)
        c->decided = true;
    if (what & HTTP_POST_RESUME) {
        c->retry = c->stalled || c->retry;
        c->stalled = false;
    }
}

// The loop is gone, and only the handler still has the connection.
static void end_orphan(struct http_connection *c, unsigned what) {
    bool sink = what & HTTP_POST_STREAM || (what & HTTP_POST_RESUME && c->streams);
    if (sink) {
        current = c;
        http_body_abort(c, -ECONNRESET);
        current = NULL;
    }
    if (sink || what & (HTTP_POST_REPLY | HTTP_POST_ADMIT))
        http_connection_destroy(c);
}

void http_connection_post(struct http_connection *c, unsigned what) {
    struct http_worker *w = c->worker;
    if (what && current == c && what != HTTP_POST_RESUME) {
        http_connection_take(c, what);
        return;
    }
    (void)pthread_mutex_lock(&w->lock);
    bool orphan = w->stopped;
    bool wake = !orphan && !w->posted && !http_worker_is_turning(w);
    c->posted |= what;
    if (!orphan && !c->queued) {
        c->queued = true;
        c->queue_next = NULL;
        *w->posted_end = c;
        w->posted_end = &c->queue_next;
    }
    // Under the lock: once it is released the loop may end, and the server with it.
    if (wake)
        http_worker_wake(w);
    (void)pthread_mutex_unlock(&w->lock);
    if (orphan)
        end_orphan(c, what);
}

void http_connection_tick(struct http_connection *c, int64_t now_ns) {
    const struct http_options *options = &c->worker->server->options;
    if (http_connection_idle(c)) {
        free_buffers(c);
        if (atomic_load(&c->worker->server->draining))
            c->deadline_ns = 1;
    }
    if (!c->deadline_ns || now_ns < c->deadline_ns || c->phase == HTTP_PHASE_WAIT)
        return;
    bool body = c->phase == HTTP_PHASE_BODY || c->phase == HTTP_PHASE_SEND;
    bool ours = c->stalled || (c->phase == HTTP_PHASE_SEND && c->writable); // the handler keeps the client waiting
    if (body && (ours || c->moved >= READ_STEP)) {
        http_connection_wait(c, options->body_s);
        return;
    }
    struct err err = ERR_NONE;
    bool says =
        (c->phase == HTTP_PHASE_HEAD && c->in.len) || (c->phase == HTTP_PHASE_BODY && !c->request.sink && !c->answered);
    if (says) {
        (void)err_set(&err, -ETIMEDOUT, "the request did not come within the time limit");
        http_request_refuse(c, 408, &err);
    } else {
        http_connection_cut(c);
    }
    http_connection_run(c);
}
