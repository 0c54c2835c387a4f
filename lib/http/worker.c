// SPDX-License-Identifier: Apache-2.0
// An event loop: sockets, posts of other threads, and once a second the deadlines.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/http/loop.h"

#define EVENTS 64
#define TICK_MS 1000
#define LISTENER_TAG 1U // of an epoll event, beside the pointer
#define WATCH_TAG 2U

// The loop of this thread while it takes, before it waits again, whatever is posted to it.
static _Thread_local const struct http_worker *this_loop;

bool http_worker_is_turning(const struct http_worker *w) {
    return this_loop == w;
}

void http_worker_wake(struct http_worker *w) {
    uint64_t one = 1;
    (void)!write(w->wake, &one, sizeof one);
}

void http_worker_now(struct http_worker *w) {
    w->now_ns = clock_monotonic(&clock_system);
    int64_t second = clock_wall(&clock_system) / NS_PER_S;
    if (second == w->date_s)
        return;
    w->date_s = second;
    time_t time = second;
    struct tm tm;
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (gmtime_r(&time, &tm))
        (void)snprintf(w->date, sizeof w->date, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday,
                       tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

// ---- connections of the loop ------------------------------------------------------------------------------------------

void http_worker_adopt(struct http_worker *w, struct http_connection *c) {
    c->worker = w;
    http_connection_post(c, HTTP_POST_NEW);
}

static void link_connection(struct http_worker *w, struct http_connection *c) {
    c->next = w->connections;
    c->link = &w->connections;
    if (c->next)
        c->next->link = &c->next;
    w->connections = c;
    http_connection_wait(c, w->server->options.header_s);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
        http_connection_cut(c);
}

static struct http_connection *pop(struct http_worker *w, unsigned *ret_posted) {
    LOCK_SCOPE(&w->lock);
    struct http_connection *c = w->posted;
    if (!c)
        return NULL;
    w->posted = c->queue_next;
    if (!w->posted)
        w->posted_end = &w->posted;
    *ret_posted = c->posted;
    c->posted = 0;
    c->queued = false;
    return c;
}

// At most as many as there are connections: one that posts itself again has its next turn after the sockets.
static bool run_posted(struct http_worker *w) {
    unsigned posted = 0;
    for (int i = 0; i < EVENTS * 4; i++) {
        struct http_connection *c = pop(w, &posted);
        if (!c)
            return false;
        if (posted & HTTP_POST_NEW)
            link_connection(w, c);
        http_connection_take(c, posted);
        http_connection_run(c);
    }
    return true;
}

static void run_event(const struct epoll_event *event) {
    struct http_connection *c = event->data.ptr;
    if (event->events & EPOLLIN || c->tls) // TLS may want to write in order to read
        c->readable = true;
    if (event->events & EPOLLOUT || c->tls)
        c->writable = true;
    if (event->events & EPOLLRDHUP) {
        c->readable = c->hung_up = true;
        atomic_store(&c->request.gone, true);
        if (c->request.left)
            c->request.left(c->request.left_arg, false);
    }
    bool streams = c->phase == HTTP_PHASE_SEND && c->request.reply.kind == HTTP_REPLY_SOURCE;
    if (event->events & (EPOLLHUP | EPOLLERR) || (c->hung_up && streams))
        http_connection_cut(c);
    http_connection_run(c);
}

// ---- descriptors that are no client's ---------------------------------------------------------------------------------

int http_watch_add(struct http_worker *w, struct http_watch *watch) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.u64 = (uint64_t)(uintptr_t)watch | WATCH_TAG};
    if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, watch->fd, &event) < 0)
        return -errno;
    watch->worker = w;
    watch->next = w->watches;
    watch->link = &w->watches;
    if (watch->next)
        watch->next->link = &watch->next;
    w->watches = watch;
    return 0;
}

// Events of this turn may still name it: it is released after them.
void http_watch_remove(struct http_watch *watch) {
    struct http_worker *w = watch->worker;
    (void)epoll_ctl(w->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    *watch->link = watch->next;
    if (watch->next)
        watch->next->link = watch->link;
    watch->link = NULL;
    watch->next = w->removed;
    w->removed = watch;
}

static void release_removed(struct http_worker *w) {
    for (struct http_watch *watch; (watch = w->removed);) {
        w->removed = watch->next;
        watch->release(watch);
    }
}

static void tick_watches(struct http_worker *w) {
    for (struct http_watch *watch = w->watches, *next; watch; watch = next) {
        next = watch->next;
        watch->tick(watch, w->now_ns); // may remove itself
    }
}

static void tick(struct http_worker *w) {
    tick_watches(w);
    for (struct http_connection *c = w->connections, *next; c; c = next) {
        next = c->next;
        http_connection_tick(c, w->now_ns);
    }
}

// ---- the loop ------------------------------------------------------------------------------------------------------------

static void set_accepting(struct http_worker *w, bool on) {
    if (w->index || w->accepting == on)
        return;
    for (size_t i = 0; i < w->server->listener_count; i++) {
        struct http_listener *listener = &w->server->listeners[i];
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)(uintptr_t)listener | LISTENER_TAG};
        (void)epoll_ctl(w->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listener->fd, &event);
    }
    w->accepting = on;
}

static void close_listeners(struct http_worker *w) {
    set_accepting(w, false);
    for (size_t i = 0; !w->index && i < w->server->listener_count; i++)
        http_listener_done(&w->server->listeners[i]);
}

static void run_watch(struct http_watch *watch, uint32_t events) {
    if (watch->link) // not removed by an event before
        watch->ready(watch, events);
}

static void run_events(struct http_worker *w, const struct epoll_event *events, int count) {
    for (int i = 0; i < count; i++) {
        uint64_t data = events[i].data.u64;
        uint64_t drained;
        if (!data) {
            (void)!read(w->wake, &drained, sizeof drained);
            http_subscriptions_begin(w);
        } else if (data & WATCH_TAG)
            run_watch((struct http_watch *)(uintptr_t)(data - WATCH_TAG), events[i].events);
        else if (!(data & LISTENER_TAG))
            run_event(&events[i]);
        else if (w->accepting && !http_accept(w, (struct http_listener *)(uintptr_t)(data - LISTENER_TAG)))
            set_accepting(w, false); // no descriptors: tried again at the next tick
    }
}

static void *loop(void *arg) {
    struct http_worker *w = arg;
    struct epoll_event events[EVENTS];
    int64_t next_tick = 0;
    bool more = false;
    while (!atomic_load(&w->server->quit)) {
        bool draining = atomic_load(&w->server->draining);
        if (draining)
            close_listeners(w);
        else if (!w->accepting && w->now_ns >= next_tick)
            set_accepting(w, true);
        bool idle = !w->connections && !w->watches && (w->accepting || w->index || draining);
        int count = epoll_wait(w->epoll, events, EVENTS, more ? 0 : idle ? -1 : draining ? 50 : TICK_MS);
        http_worker_now(w);
        this_loop = w;
        run_events(w, events, count);
        more = run_posted(w);
        this_loop = NULL;
        if (w->now_ns >= next_tick || draining) {
            tick(w);
            next_tick = w->now_ns + TICK_MS * NS_PER_MS;
        }
        release_removed(w);
    }
    for (struct http_connection *c = w->connections, *next; c; c = next) {
        next = c->next;
        http_connection_cut(c);
        http_connection_run(c);
    }
    for (struct http_watch *watch; (watch = w->watches);)
        watch->stop(watch);
    release_removed(w);
    return NULL;
}

int http_worker_start(struct http_server *server, unsigned index, struct err *err) {
    struct http_worker *w = &server->workers[index];
    w->server = server;
    w->index = index;
    w->posted_end = &w->posted;
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->scratch = mem_alloc(HTTP_SCRATCH);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0};
    if (w->epoll < 0 || w->wake < 0 || !w->scratch || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->wake, &event) < 0)
        return err_set(err, w->scratch ? -errno : -ENOMEM, "cannot start an event loop: out of memory or descriptors");
    int r = pthread_create(&w->thread, NULL, loop, w);
    if (r != 0)
        return err_set(err, -r, "cannot start the thread of an event loop: %s", err_name(r));
    w->started = true;
    return 0;
}

void http_worker_stop(struct http_worker *w) {
    if (w->started) {
        http_worker_wake(w);
        (void)pthread_join(w->thread, NULL);
        w->started = false;
    }
    // What is still posted: new connections, the last answers, and turns nobody takes any more.
    unsigned posted = 0;
    for (struct http_connection *c; (c = pop(w, &posted));) {
        http_connection_take(c, posted);
        http_connection_cut(c);
        if (!c->handling)
            http_connection_destroy(c);
    }
    (void)pthread_mutex_lock(&w->lock);
    w->stopped = true;
    for (struct http_connection *c = w->connections, *next; c; c = next) { // handlers have these, each for itself
        next = c->next;
        c->next = NULL;
        c->link = NULL;
    }
    w->connections = NULL;
    (void)pthread_mutex_unlock(&w->lock);
    http_subscriptions_drop(w);
}
