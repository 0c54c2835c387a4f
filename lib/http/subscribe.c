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
    return r == 0 || (r > 0 && status == 200);
}

static void on_ready(void *arg) {
    struct http_subscription *s = arg;
    struct http_worker *worker = s->link->watch.worker;
    bool on = s->link->connected && send_request(s);
    http_uplink_expect(s->link, s->upstream->options.answer_s);
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

int http_subscribe(struct http_request *request, struct http_upstream *upstream, const char *target, const char *fields,
                   const struct http_subscriber *subscriber, void *arg) {
    static const struct http_uplink_ops ops = {on_ready, on_failed};
    struct http_subscription *s = mem_zalloc(sizeof *s);
    char *text cleanup_free =
        mem_printf("GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", target, upstream->options.host, fields);
    if (!s || !text || http_buffer_append(&s->out, text, strlen(text)) < 0) {
        free(s);
        return -ENOMEM;
    }
    s->upstream = upstream;
    s->subscriber = subscriber;
    s->arg = arg;
    // On a connection of its own: a kept one might be dead, and nobody would ask again.
    int r = http_uplink_take(http_connection_of(request)->worker, upstream, true, &ops, s, &s->link);
    if (r < 0) {
        http_buffer_done(&s->out);
        free(s);
        return r;
    }
    if (s->link->connected)
        on_ready(s);
    return 0;
}
