// SPDX-License-Identifier: Apache-2.0
#include "controller/tree_loop.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"

#define POLL_NS (100 * NS_PER_MS) // how long a cancelled engine may go unnoticed

int tree_loop_init(struct tree_loop *loop, unsigned limit) {
    *loop = (struct tree_loop){.limit = limit};
    loop->landed_tail = &loop->landed;
    pthread_condattr_t attr;
    int r = pthread_condattr_init(&attr);
    if (r)
        return -r;
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    r = pthread_cond_init(&loop->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    if (r)
        return -r;
    return -pthread_mutex_init(&loop->lock, NULL);
}

void tree_loop_done(struct tree_loop *loop) {
    for (struct tree_call *call; (call = loop->idle);) {
        loop->idle = call->next;
        free(call);
    }
    (void)pthread_mutex_destroy(&loop->lock);
    (void)pthread_cond_destroy(&loop->wake);
}

struct tree_call *tree_loop_call(struct tree_loop *loop, struct nfs_share *share, enum nfs_op op,
                                 const struct nfs_fh *fh, const char *name) {
    struct tree_call *call = loop->idle;
    if (call)
        loop->idle = call->next;
    else
        call = mem_alloc(sizeof *call);
    if (!call) {
        tree_loop_no_memory(loop);
        return NULL;
    }
    memset(call, 0, offsetof(struct tree_call, name));
    call->loop = loop;
    call->share = share;
    call->nfs.op = op;
    call->nfs.fh = *fh;
    if (name) {
        (void)snprintf(call->name, sizeof call->name, "%s", name);
        call->nfs.name = call->name;
    }
    return call;
}

static void release(struct tree_call *call) {
    free(call->nfs.text);
    free(call->nfs.entries);
    call->nfs.text = NULL;
    call->nfs.entries = NULL;
    call->next = call->loop->idle;
    call->loop->idle = call;
}

static void unlink_flying(struct tree_loop *loop, struct tree_call *call) {
    if (call->prev)
        call->prev->next = call->next;
    else
        loop->flying = call->next;
    if (call->next)
        call->next->prev = call->prev;
    call->next = call->prev = NULL;
}

static void landed(struct nfs_call *nfs) {
    struct tree_call *call = (struct tree_call *)nfs;
    struct tree_loop *loop = call->loop;
    LOCK_SCOPE(&loop->lock);
    unlink_flying(loop, call);
    *loop->landed_tail = call;
    loop->landed_tail = &call->next;
    (void)pthread_cond_signal(&loop->wake);
}

void tree_loop_submit(struct tree_call *call, void (*then)(struct tree_call *call), void *owner) {
    struct tree_loop *loop = call->loop;
    call->then = then;
    call->owner = owner;
    call->again = true;
    call->nfs.done = landed;
    call->nfs.result = 0;
    loop->in_flight++;
    (void)pthread_mutex_lock(&loop->lock);
    call->prev = NULL;
    call->next = loop->flying;
    if (call->next)
        call->next->prev = call;
    loop->flying = call;
    (void)pthread_mutex_unlock(&loop->lock);
    nfs_submit(call->share, &call->nfs);
}

void tree_loop_fail(struct tree_loop *loop, int code, const char *fmt, ...) {
    if (loop->result)
        return;
    char msg[sizeof loop->err.msg];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    loop->result = err_set(&loop->err, code, "%s", msg);
}

void tree_loop_no_memory(struct tree_loop *loop) {
    tree_loop_fail(loop, -ENOMEM, "out of memory");
}

// What came back, waiting for it up to POLL_NS.
static struct tree_call *collect(struct tree_loop *loop) {
    struct timespec until;
    int64_t end = clock_monotonic(&clock_system) + POLL_NS;
    until.tv_sec = end / NS_PER_S;
    until.tv_nsec = end % NS_PER_S;
    LOCK_SCOPE(&loop->lock);
    while (!loop->landed)
        if (pthread_cond_timedwait(&loop->wake, &loop->lock, &until))
            break;
    struct tree_call *list = loop->landed;
    loop->landed = NULL;
    loop->landed_tail = &loop->landed;
    return list;
}

static void handle(struct tree_loop *loop, struct tree_call *list) {
    for (struct tree_call *call; (call = list);) {
        list = call->next;
        call->next = NULL;
        call->again = false;
        loop->in_flight--;
        if (!loop->result)
            call->then(call);
        if (!call->again)
            release(call);
    }
}

static void cancel_all(struct tree_loop *loop) {
    for (;;) {
        (void)pthread_mutex_lock(&loop->lock);
        struct tree_call *call = loop->flying;
        (void)pthread_mutex_unlock(&loop->lock);
        if (!call)
            break;
        nfs_cancel(call->share, &call->nfs); // afterwards it landed, or never will
        (void)pthread_mutex_lock(&loop->lock);
        bool dropped = loop->flying == call || call->prev;
        if (dropped)
            unlink_flying(loop, call);
        (void)pthread_mutex_unlock(&loop->lock);
        if (dropped)
            release(call);
    }
    for (struct tree_call *call; (call = loop->landed);) {
        loop->landed = call->next;
        release(call);
    }
    loop->landed_tail = &loop->landed;
    loop->in_flight = 0;
}

int tree_loop_run(struct tree_loop *loop, void (*fill)(void *arg), void *arg, const struct tree_cancel *cancel,
                  struct err *err) {
    for (;;) {
        if (cancel && cancel->cancelled && cancel->cancelled(cancel->arg))
            tree_loop_fail(loop, -ECANCELED, "stopped");
        if (!loop->result)
            fill(arg);
        if (loop->result || !loop->in_flight)
            break;
        handle(loop, collect(loop));
    }
    cancel_all(loop);
    return loop->result ? err_set(err, loop->result, "%s", err_text(&loop->err)) : 0;
}
