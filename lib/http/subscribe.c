// SPDX-License-Identifier: Apache-2.0
// A request of our own to an upstream, whose answer goes on: read as it comes, in the loop of whoever began it.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/http/uplink.h"

struct http_subscription {
    struct http_upstream *upstream;
    struct http_uplink *link;
    const struct http_subscriber *subscriber;
    void *arg;
    struct http_buffer out;
    size_t sent;
    bool answered;
    struct http_subscription *next; // to begin
};

static void end(struct http_subscription *s) {
    if (s->link)
        http_uplink_close(take_ptr(s->link));
    s->subscriber->ended(s->arg);
    http_buffer_done(&s->out);
    free(s);
}

static bool send_request(struct http_subscription *s) {
    while (s->sent < s->out.len) {
        struct iovec iov = {s->out.data + s->sent, s->out.len - s->sent};
        ssize_t n = http_uplink_write(s->link, &iov, 1);
        if (n < 0)
            return n == -EAGAIN;
        s->sent += (size_t)n;
    }
    return true;
}

// False: it is over.
static bool read_head(struct http_subscription *s) {
    struct http_head head;
    unsigned status = 0;
    int r = http_uplink_head(s->link, HTTP_GET, &head, &status);
    s->answered = r > 0;
    if (r > 0 && s->subscriber->answered)
        s->subscriber->answered(s->arg, status);
    return r == 0 || (r > 0 && status == 200);
}

static void on_ready(void *arg) {
    struct http_subscription *s = arg;
    struct http_worker *worker = s->link->watch.worker;
    bool on = s->link->connected && send_request(s);
    if (on)
        http_uplink_expect(s->link,
                           s->subscriber->silence_s ? s->subscriber->silence_s : s->upstream->options.answer_s);
    if (on && !s->answered)
        on = read_head(s);
    while (on && s->answered) {
        ssize_t n = http_uplink_body(s->link, worker->scratch, HTTP_SCRATCH);
        if (n == -EAGAIN)
            return;
        on = n > 0 && s->subscriber->bytes(s->arg, worker->scratch, (size_t)n) == 0;
    }
    if (!on)
        end(s);
}

static void on_failed(void *arg, int r) {
    (void)r;
    end(arg);
}

static struct http_subscription *discard(struct http_subscription *s) {
    if (s)
        http_buffer_done(&s->out);
    free(s);
    return NULL;
}

static struct http_subscription *prepare(struct http_upstream *upstream, const char *target, const char *fields,
                                         const struct http_subscriber *subscriber, void *arg) {
    struct http_subscription *s = mem_zalloc(sizeof *s);
    char *text cleanup_free =
        mem_printf("GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", target, upstream->options.host, fields);
    if (!s || !text || http_buffer_append(&s->out, text, strlen(text)) < 0)
        return discard(s);
    s->upstream = upstream;
    s->subscriber = subscriber;
    s->arg = arg;
    return s;
}

static int begin(struct http_worker *worker, struct http_subscription *s) {
    static const struct http_uplink_ops ops = {on_ready, on_failed};
    // On a connection of its own: a kept one might be dead, and nobody would ask again.
    int r = http_uplink_take(worker, s->upstream, true, &ops, s, &s->link);
    if (r == 0 && s->link->connected)
        on_ready(s);
    return r;
}

int http_subscribe(struct http_request *request, struct http_upstream *upstream, const char *target, const char *fields,
                   const struct http_subscriber *subscriber, void *arg) {
    struct http_subscription *s = prepare(upstream, target, fields, subscriber, arg);
    int r = s ? begin(http_connection_of(request)->worker, s) : -ENOMEM;
    if (r < 0)
        (void)discard(s);
    return r;
}

// ---- from other threads ------------------------------------------------------------------------------------------------

int http_server_subscribe(struct http_server *server, struct http_upstream *upstream, const char *target,
                          const char *fields, const struct http_subscriber *subscriber, void *arg) {
    struct http_subscription *s = prepare(upstream, target, fields, subscriber, arg);
    struct http_worker *worker = &server->workers[0];
    if (!s)
        return -ENOMEM;
    (void)pthread_mutex_lock(&worker->lock);
    bool stopped = worker->stopped;
    if (!stopped) {
        s->next = worker->subscriptions;
        worker->subscriptions = s;
    }
    (void)pthread_mutex_unlock(&worker->lock);
    if (stopped) {
        (void)discard(s);
        return -ESHUTDOWN;
    }
    http_worker_wake(worker);
    return 0;
}

static struct http_subscription *take_one(struct http_worker *worker) {
    LOCK_SCOPE(&worker->lock);
    struct http_subscription *s = worker->subscriptions;
    if (s)
        worker->subscriptions = s->next;
    return s;
}

void http_subscriptions_begin(struct http_worker *worker) {
    for (struct http_subscription *s; (s = take_one(worker));)
        if (begin(worker, s) < 0)
            end(s);
}

void http_subscriptions_drop(struct http_worker *worker) {
    for (struct http_subscription *s; (s = take_one(worker));)
        end(s);
}
