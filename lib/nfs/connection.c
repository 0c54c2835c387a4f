// SPDX-License-Identifier: Apache-2.0
// The connection's thread: the submit queue, the timers, and what becomes of a call.
#include "lib/nfs/connection.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/nfs/net.h"

#define SOFT_TIMEOUT_NS (60 * NS_PER_S)

struct cancel {
    struct nfs_call *call;
    struct cancel *next;
    bool processed;
};

static void begin(struct conn *conn, struct nfs_call *call) {
    struct req *req = mem_zalloc(sizeof *req);
    if (!req) {
        (void)atomic_fetch_sub_explicit(&conn->in_flight, 1, memory_order_relaxed);
        call->result = -ENOMEM;
        call->done(call);
        return;
    }
    *req = (struct req){.call = call, .origin = call, .conn = conn, .deadline_ns = call->deadline_ns};
    if (req->deadline_ns == 0 || req->deadline_ns == DEADLINE_NONE)
        req->deadline_ns = conn->soft ? clock_monotonic(&clock_system) + SOFT_TIMEOUT_NS : DEADLINE_NONE;
    conn_set_timer(conn, req->deadline_ns);
    if ((call->op == NFS_READ || call->op == NFS_WRITE) && call->count > NFS_IO_MAX)
        call->count = NFS_IO_MAX; // a longer reply would be refused as nonsense
    req->asked = call->count;
    int r = nfs_call_check(call);
    if (r < 0)
        conn_finish(req, r);
    else
        conn_start(conn, req);
}

static struct req *find_call(struct conn_queue *q, const struct nfs_call *call) {
    struct req *req = q->first;
    while (req && req->origin != call)
        req = req->next;
    return req;
}

static void drop(struct req *req) {
    struct conn *conn = req->conn;
    if (!req->msg)
        conn_queue_remove(&conn->waiting, req);
    req->origin->result = -ECANCELED;
    (void)atomic_fetch_sub_explicit(&conn->in_flight, 1, memory_order_relaxed);
    conn_forget(req);
}

static void cancel_one(struct conn *conn, const struct nfs_call *call) {
    struct req *req = find_call(&conn->active, call);
    if (!req)
        req = find_call(&conn->waiting, call);
    if (req)
        drop(req);
}

// What the other threads asked for. False: the connection is to be closed.
static bool take_orders(struct conn *conn) {
    uint64_t ignored = 0;
    while (read(conn->wake_fd, &ignored, sizeof ignored) < 0 && errno == EINTR)
        ;
    (void)pthread_mutex_lock(&conn->lock);
    struct nfs_call *calls = take_ptr(conn->submitted);
    conn->submitted_end = &conn->submitted;
    struct cancel *cancels = take_ptr(conn->cancels);
    bool open = !conn->closing;
    (void)pthread_mutex_unlock(&conn->lock);
    for (struct nfs_call *next; calls; calls = next) {
        next = calls->link;
        begin(conn, calls);
    }
    if (!cancels)
        return open;
    for (const struct cancel *c = cancels; c; c = c->next)
        cancel_one(conn, c->call);
    LOCK_SCOPE(&conn->lock);
    for (struct cancel *c = cancels; c; c = c->next)
        c->processed = true;
    (void)pthread_cond_broadcast(&conn->cancelled);
    return open;
}

static void run_waiting(struct conn *conn, int64_t now) {
    struct conn_queue due = {0};
    for (struct req *req = conn->waiting.first, *next; req; req = next) {
        next = req->next;
        if (req->deadline_ns > now && req->retry_ns > now)
            continue;
        conn_queue_remove(&conn->waiting, req);
        conn_queue_append(&due, req);
    }
    for (struct req *req = due.first; req; req = due.first) {
        conn_queue_remove(&due, req);
        if (req->deadline_ns <= now)
            conn_finish(req, -ETIMEDOUT);
        else
            conn_start(conn, req);
    }
}

static void expire(struct conn *conn, int64_t now) {
    struct req *req = conn->active.first;
    while (req) {
        if (req->deadline_ns > now) {
            req = req->next;
            continue;
        }
        conn_finish(req, -ETIMEDOUT); // `done` may have changed the queue
        req = conn->active.first;
    }
}

// What was sent in full and is not answered; the rest is looked at again once it is on its way.
static void repeat(struct conn *conn, int64_t now) {
    bool sent = conn->connected;
    for (struct req *req = conn->active.first, *next; req; req = next) {
        next = req->next;
        sent = sent && req != conn->next_send;
        if (!req->replayed)
            continue;
        if (!sent && req->repeat_ns <= now)
            req->repeat_ns = now + req->repeat_after_ns;
        if (req->repeat_ns <= now)
            conn_repeat(req); // to the end of the queue
        else
            conn_set_timer(conn, req->repeat_ns);
    }
}

static void run_timers(struct conn *conn) {
    int64_t now = clock_monotonic(&clock_system);
    if (now < conn->next_timer_ns)
        return;
    conn->next_timer_ns = DEADLINE_NONE;
    expire(conn, now);
    run_waiting(conn, now);
    repeat(conn, now);
    for (const struct req *req = conn->active.first; req; req = req->next)
        conn_set_timer(conn, req->deadline_ns);
    for (const struct req *req = conn->waiting.first; req; req = req->next) {
        conn_set_timer(conn, req->deadline_ns);
        conn_set_timer(conn, req->retry_ns);
    }
}

static int poll_timeout(const struct conn *conn) {
    int64_t when = conn->next_timer_ns;
    if (conn->fd < 0 && conn->active.first && conn->retry_at_ns < when)
        when = conn->retry_at_ns;
    if (conn->fd >= 0 && !conn->connected && conn->connect_by_ns < when)
        when = conn->connect_by_ns;
    if (when == DEADLINE_NONE)
        return -1;
    int64_t left = when - clock_monotonic(&clock_system);
    return left <= 0 ? 0 : left > 60 * NS_PER_S ? 60 * 1000 : (int)((left + NS_PER_MS - 1) / NS_PER_MS);
}

static void serve_socket(struct conn *conn, short events) {
    int r = 0;
    if (!conn->connected)
        r = events ? conn_connected(conn) : 0;
    else if (events & (POLLIN | POLLERR | POLLHUP))
        r = conn_receive(conn);
    if (r == 0 && conn->connected && conn->next_send)
        r = conn_send(conn);
    if (r < 0)
        conn_lost(conn);
}

static void keep_connected(struct conn *conn) {
    int64_t now = clock_monotonic(&clock_system);
    if (conn->fd >= 0 && !conn->connected && now >= conn->connect_by_ns)
        conn_lost(conn);
    if (conn->fd < 0 && conn->active.first && now >= conn->retry_at_ns)
        conn_reconnect(conn, now);
}

static void *conn_main(void *arg) {
    struct conn *conn = arg;
    struct pollfd fds[2] = {{.fd = conn->wake_fd, .events = POLLIN}, {0}};
    unsigned polled = 0;
    while (take_orders(conn)) {
        run_timers(conn);
        keep_connected(conn);
        serve_socket(conn, conn->generation == polled ? fds[1].revents : 0);
        polled = conn->generation;
        bool writing = conn->fd >= 0 && (!conn->connected || conn->next_send);
        fds[1] = (struct pollfd){.fd = conn->fd, .events = (short)(POLLIN | (writing ? POLLOUT : 0))};
        if (poll(fds, 2, poll_timeout(conn)) < 0)
            fds[0].revents = fds[1].revents = 0;
    }
    conn_lost(conn);
    for (;;) { // `done` may submit further calls: those end here too
        while (conn->active.first || conn->waiting.first) {
            struct req *req = conn->active.first ? conn->active.first : conn->waiting.first;
            if (!req->msg)
                conn_queue_remove(&conn->waiting, req);
            conn_finish(req, -ECANCELED);
        }
        {
            LOCK_SCOPE(&conn->lock);
            conn->ended = !conn->submitted && !conn->cancels;
        }
        if (conn->ended)
            return NULL;
        (void)take_orders(conn);
    }
}

static void wake(struct conn *conn) {
    const uint64_t one = 1;
    while (write(conn->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void conn_submit(struct conn *conn, struct nfs_call *call) {
    {
        LOCK_SCOPE(&conn->lock);
        if (!conn->ended) {
            bool first = !conn->submitted;
            call->link = NULL;
            *conn->submitted_end = call;
            conn->submitted_end = (struct nfs_call **)&call->link;
            (void)atomic_fetch_add_explicit(&conn->in_flight, 1, memory_order_relaxed);
            if (first)
                wake(conn);
            return;
        }
    }
    call->result = -ECANCELED;
    call->done(call);
}

void conn_cancel(struct conn *conn, struct nfs_call *call) {
    if (pthread_equal(pthread_self(), conn->thread)) {
        (void)take_orders(conn);
        cancel_one(conn, call);
        return;
    }
    struct cancel cancel = {.call = call};
    LOCK_SCOPE(&conn->lock);
    if (conn->ended)
        return;
    cancel.next = conn->cancels;
    conn->cancels = &cancel;
    wake(conn);
    while (!cancel.processed)
        (void)pthread_cond_wait(&conn->cancelled, &conn->lock);
}

int conn_open(struct conn *conn, const struct protocol *protocol, const struct sockaddr_storage *address,
              const struct nfs_cred *default_cred, bool soft) {
    conn->protocol = protocol;
    conn->address = *address;
    conn->default_cred = default_cred;
    conn->soft = soft;
    conn->fd = -1;
    conn->next_timer_ns = DEADLINE_NONE;
    conn->submitted_end = &conn->submitted;
    clock_random(&clock_system, &conn->next_xid, sizeof conn->next_xid);
    (void)pthread_mutex_init(&conn->lock, NULL);
    (void)pthread_cond_init(&conn->cancelled, NULL);
    conn->scratch = mem_alloc(RPC_CALL_MAX);
    conn->wake_fd = conn->scratch ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
    int r = !conn->scratch      ? -ENOMEM
            : conn->wake_fd < 0 ? -errno
                                : -pthread_create(&conn->thread, NULL, conn_main, conn);
    if (r == 0) {
        (void)pthread_setname_np(conn->thread, "nfs");
        return 0;
    }
    if (conn->wake_fd >= 0)
        (void)close(conn->wake_fd);
    free(take_ptr(conn->scratch));
    return r;
}

void conn_stop(struct conn *conn) {
    (void)pthread_mutex_lock(&conn->lock);
    conn->closing = true;
    wake(conn);
    (void)pthread_mutex_unlock(&conn->lock);
    (void)pthread_join(conn->thread, NULL);
}

void conn_free(struct conn *conn) {
    (void)close(conn->wake_fd);
    net_lookup_drop(conn->lookup);
    free(conn->in.buf);
    free(conn->scratch);
    (void)pthread_cond_destroy(&conn->cancelled);
    (void)pthread_mutex_destroy(&conn->lock);
}
