// SPDX-License-Identifier: Apache-2.0
// Connections to an upstream: made, read, kept.
#include "lib/http/uplink.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"

#define UNACKED_MS 20000 // then the machine at the other end counts as gone
#define PROBE_AFTER_S 10 // of silence
#define PROBE_EACH_S 5
#define PROBES 3

// ---- bytes ---------------------------------------------------------------------------------------------------------

ssize_t http_uplink_read(struct http_uplink *link, void *data, size_t len) {
    if (!link->readable)
        return -EAGAIN;
    ssize_t n =
        link->tls ? link->upstream->options.tls->read(link->tls, data, len) : recv(link->watch.fd, data, len, 0);
    if (n < 0 && !link->tls)
        n = errno == EINTR ? -EAGAIN : -errno;
    if (n == -EAGAIN || (n > 0 && !link->tls && (size_t)n < len && !link->hung_up))
        link->readable = false; // edge-triggered: what comes later is a new event
    return n;
}

ssize_t http_uplink_write(struct http_uplink *link, const struct iovec *iov, int count) {
    if (!link->connected || !link->writable)
        return -EAGAIN;
    while (count > 1 && !iov->iov_len)
        iov++, count--;
    ssize_t n;
    if (link->tls) {
        n = link->upstream->options.tls->write(link->tls, iov->iov_base, iov->iov_len);
    } else {
        struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
        n = sendmsg(link->watch.fd, &message, MSG_NOSIGNAL);
        n = n < 0 ? errno == EINTR ? -EAGAIN : -errno : n;
    }
    if (n == -EAGAIN)
        link->writable = false;
    return n;
}

void http_uplink_expect(struct http_uplink *link, unsigned seconds) {
    link->deadline_ns = seconds ? link->watch.worker->now_ns + (int64_t)seconds * NS_PER_S : 0;
}

// ---- the pool --------------------------------------------------------------------------------------------------------

static struct http_pool *pool_of(const struct http_uplink *link) {
    return &link->upstream->pools[link->watch.worker->index];
}

static void leave_pool(struct http_uplink *link) {
    struct http_pool *pool = pool_of(link);
    for (struct http_uplink **at = &pool->first; link->kept && *at; at = &(*at)->next)
        if (*at == link) {
            *at = link->next;
            pool->count--;
            break;
        }
    link->kept = false;
}

void http_uplink_close(struct http_uplink *link) {
    if (link->watch.fd < 0)
        return;
    leave_pool(link);
    link->ops = NULL;
    http_watch_remove(&link->watch);
    if (link->tls)
        link->upstream->options.tls->close(link->tls);
    link->tls = NULL;
    (void)close(take_fd(&link->watch.fd));
}

static void start_anew(struct http_uplink *link) {
    link->in.len = link->head_len = link->rest_at = 0;
    link->scan = (struct http_head_scan){.answer = true};
    link->body = (struct http_answer_body){0};
    link->keep_alive = false;
}

void http_uplink_release(struct http_uplink *link) {
    struct http_pool *pool = pool_of(link);
    bool clean = link->keep_alive && link->body.ended && !link->body.dirty && link->rest_at == link->in.len;
    if (!clean || link->half_closed || link->broken || link->spoiled || link->hung_up ||
        pool->count >= link->upstream->options.idle_max) {
        http_uplink_close(link);
        return;
    }
    start_anew(link);
    link->ops = NULL;
    link->kept = link->was_kept = true;
    link->next = pool->first;
    pool->first = link;
    pool->count++;
    http_uplink_expect(link, link->upstream->options.idle_s);
}

void http_uplink_half_close(struct http_uplink *link) {
    if (!link->half_closed)
        (void)shutdown(link->watch.fd, SHUT_WR);
    link->half_closed = true;
}

// A kept connection from which anything comes, above all its end, is of no use any more. (TLS may have said a word of its own.)
static bool is_alive(struct http_uplink *link) {
    char byte;
    link->readable = true;
    return !link->hung_up && http_uplink_read(link, &byte, 1) == -EAGAIN;
}

// ---- events ----------------------------------------------------------------------------------------------------------

static void finish_connecting(struct http_uplink *link) {
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(link->watch.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error) {
        link->ops->failed(link->arg, -error);
        return;
    }
    link->connected = link->writable = true;
    link->deadline_ns = 0;
    link->ops->ready(link->arg);
}

static void on_event(struct http_watch *watch, uint32_t events) {
    struct http_uplink *link = (struct http_uplink *)watch;
    link->hung_up = link->hung_up || events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    link->readable = link->readable || link->hung_up || events & EPOLLIN || link->tls;
    if (link->kept) {
        if ((events & ~(uint32_t)EPOLLOUT) && !is_alive(link))
            http_uplink_close(link);
        return;
    }
    if (!link->connected) {
        if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
            finish_connecting(link);
        return;
    }
    link->writable = link->writable || events & (EPOLLOUT | EPOLLERR | EPOLLHUP) || link->tls;
    link->ops->ready(link->arg);
}

static void on_tick(struct http_watch *watch, int64_t now_ns) {
    struct http_uplink *link = (struct http_uplink *)watch;
    if (link->kept)
        http_buffer_done(&link->in);
    if (!link->deadline_ns || now_ns < link->deadline_ns)
        return;
    if (link->kept)
        http_uplink_close(link);
    else
        link->ops->failed(link->arg, -ETIMEDOUT);
}

static void on_stop(struct http_watch *watch) {
    struct http_uplink *link = (struct http_uplink *)watch;
    if (!link->kept)
        link->ops->failed(link->arg, -ESHUTDOWN);
    http_uplink_close(link);
}

static void on_release(struct http_watch *watch) {
    struct http_uplink *link = (struct http_uplink *)watch;
    http_buffer_done(&link->in);
    free(link);
}

// ---- making and taking -------------------------------------------------------------------------------------------------

static void set_options(int fd) {
    const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, PROBE_AFTER_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, PROBE_EACH_S},
        {IPPROTO_TCP, TCP_KEEPCNT, PROBES},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKED_MS},
    };
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

static int open_socket(const struct http_address *address, int *ret, bool *ret_connected) {
    int fd cleanup_close = socket(address->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (address->address.ss_family != AF_UNIX)
        set_options(fd);
    *ret_connected = connect(fd, (const struct sockaddr *)&address->address, address->len) == 0;
    if (!*ret_connected && errno != EINPROGRESS)
        return -errno;
    *ret = take_fd(&fd);
    return 0;
}

static int open_link(struct http_worker *worker, struct http_upstream *upstream, const struct http_address *address,
                     struct http_uplink **ret) {
    static const struct http_watch watch = {.ready = on_event, .tick = on_tick, .stop = on_stop, .release = on_release};
    struct http_uplink *link = mem_zalloc(sizeof *link);
    if (!link)
        return -ENOMEM;
    link->watch = watch;
    link->upstream = upstream;
    int r = open_socket(address, &link->watch.fd, &link->connected);
    if (r == 0 && upstream->options.tls &&
        !(link->tls = upstream->options.tls->open(upstream->options.tls, link->watch.fd)))
        r = -ENOMEM;
    if (r == 0)
        r = http_watch_add(worker, &link->watch);
    if (r < 0) {
        if (link->tls)
            upstream->options.tls->close(link->tls);
        if (link->watch.fd > 0)
            (void)close(link->watch.fd);
        free(link);
        return r;
    }
    link->writable = link->connected;
    start_anew(link);
    http_uplink_expect(link, link->connected ? 0 : upstream->options.connect_s);
    *ret = link;
    return 0;
}

static int make(struct http_worker *worker, struct http_upstream *upstream, struct http_uplink **ret) {
    struct http_address addresses[HTTP_ADDRESSES_MAX];
    (void)pthread_mutex_lock(&upstream->lock);
    size_t count = upstream->address_count;
    memcpy(addresses, upstream->addresses, count * sizeof *addresses);
    (void)pthread_mutex_unlock(&upstream->lock);
    int r = -ENODATA;
    for (size_t i = 0; r < 0 && i < count; i++) {
        r = open_link(worker, upstream, &addresses[atomic_load(&upstream->turn) % count], ret);
        if (r < 0)
            atomic_fetch_add(&upstream->turn, 1);
    }
    if (r < 0)
        atomic_store(&upstream->missed, true);
    return r;
}

int http_uplink_take(struct http_worker *worker, struct http_upstream *upstream, bool fresh,
                     const struct http_uplink_ops *ops, void *arg, struct http_uplink **ret) {
    struct http_pool *pool = &upstream->pools[worker->index];
    struct http_uplink *link = NULL;
    while (!fresh && !link && pool->first) {
        link = pool->first;
        leave_pool(link);
        if (!is_alive(link)) {
            http_uplink_close(link);
            link = NULL;
        }
    }
    int r = link ? 0 : make(worker, upstream, &link);
    if (r < 0)
        return r;
    link->ops = ops;
    link->arg = arg;
    if (link->connected)
        link->deadline_ns = 0;
    *ret = link;
    return 0;
}
