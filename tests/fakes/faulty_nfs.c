// SPDX-License-Identifier: Apache-2.0
#include "tests/fakes/faulty_nfs.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/base/clock.h"

struct held {
    struct nfs_call *call;
    int result; // what it ends with; 0: sent on when released
    struct held *next;
};

struct applied { // the call that is applied although the caller hears that the share died
    struct nfs_call *call;
    void (*done)(struct nfs_call *call);
    void *arg;
};

struct faulty {
    struct nfs_share base;
    struct nfs_share *inner;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool closing, holding, dead, die_applied;
    long fail_in, die_in;
    enum faulty_select fail_select;
    enum nfs_op fail_op;
    int fail_error;
    void (*hook)(const struct nfs_call *call, void *arg);
    void *hook_arg;
    long counts[NFS_OP_COUNT];
    struct held *held;
    struct nfs_call *ending; // `done` is being called for it
    struct applied applied;
};

static bool selected(enum faulty_select select, enum nfs_op wanted, enum nfs_op op) {
    switch (select) {
    case FAULTY_CHANGES:
        return nfs_op_changes(op);
    case FAULTY_OP:
        return op == wanted;
    case FAULTY_ANY:
        break;
    }
    return true;
}

static void keep(struct faulty *f, struct nfs_call *call, int result) {
    struct held *h = malloc(sizeof *h);
    if (!h)
        abort();
    *h = (struct held){.call = call, .result = result};
    struct held **end = &f->held;
    while (*end)
        end = &(*end)->next;
    *end = h;
    (void)pthread_cond_broadcast(&f->changed);
}

static void applied_done(struct nfs_call *call) {
    struct applied *a = call->arg;
    call->done = a->done;
    call->arg = a->arg;
    free(take_ptr(call->text));
    free(take_ptr(call->entries));
    call->result = -ESHUTDOWN;
    call->done(call);
}

enum fate { FATE_PASS, FATE_KEPT, FATE_APPLIED };

static enum fate decide(struct faulty *f, struct nfs_call *call) {
    LOCK_SCOPE(&f->lock);
    f->counts[call->op]++;
    if (!f->dead && f->die_in > 0 && nfs_op_changes(call->op) && --f->die_in == 0) {
        f->dead = true;
        if (f->die_applied) {
            f->applied = (struct applied){call, call->done, call->arg};
            return FATE_APPLIED;
        }
    }
    int result = f->dead ? -ESHUTDOWN : 0;
    if (!result && f->fail_in > 0 && selected(f->fail_select, f->fail_op, call->op) && --f->fail_in == 0)
        result = f->fail_error;
    if (!result && !f->holding)
        return FATE_PASS;
    nfs_call_reset(call);
    keep(f, call, result);
    return FATE_KEPT;
}

static void faulty_submit(struct nfs_share *base, struct nfs_call *call) {
    struct faulty *f = (struct faulty *)base;
    void (*hook)(const struct nfs_call *, void *) = NULL;
    void *hook_arg = NULL;
    {
        LOCK_SCOPE(&f->lock);
        hook = f->hook;
        hook_arg = f->hook_arg;
    }
    if (hook && nfs_op_changes(call->op))
        hook(call, hook_arg);
    switch (decide(f, call)) {
    case FATE_KEPT:
        return;
    case FATE_APPLIED:
        call->done = applied_done;
        call->arg = &f->applied;
        break;
    case FATE_PASS:
        break;
    }
    nfs_submit(f->inner, call);
}

static bool drop(struct faulty *f, struct nfs_call *call) {
    for (struct held **at = &f->held; *at; at = &(*at)->next) {
        struct held *h = *at;
        if (h->call != call)
            continue;
        *at = h->next;
        free(h);
        return true;
    }
    return false;
}

static void faulty_cancel(struct nfs_share *base, struct nfs_call *call) {
    struct faulty *f = (struct faulty *)base;
    {
        LOCK_SCOPE(&f->lock);
        if (drop(f, call)) {
            call->result = -ECANCELED;
            return;
        }
        while (f->ending == call && !pthread_equal(pthread_self(), f->thread))
            (void)pthread_cond_wait(&f->changed, &f->lock);
    }
    nfs_cancel(f->inner, call);
    if (call->done == applied_done) {
        call->done = f->applied.done;
        call->arg = f->applied.arg;
    }
}

static bool has_deadline(const struct nfs_call *call) {
    return call->deadline_ns != 0 && call->deadline_ns != DEADLINE_NONE;
}

// The next call that has to end or go on now; else NULL and when to look again.
static struct held *next_due(struct faulty *f, int64_t *ret_wake) {
    int64_t now = clock_monotonic(&clock_system);
    *ret_wake = DEADLINE_NONE;
    for (struct held **at = &f->held; *at; at = &(*at)->next) {
        struct held *h = *at;
        bool late = has_deadline(h->call) && h->call->deadline_ns <= now;
        if (f->closing)
            h->result = -ECANCELED;
        else if (late && h->result == 0)
            h->result = -ETIMEDOUT;
        if (h->result != 0 || !f->holding) {
            *at = h->next;
            return h;
        }
        if (has_deadline(h->call) && h->call->deadline_ns < *ret_wake)
            *ret_wake = h->call->deadline_ns;
    }
    return NULL;
}

static void *faulty_main(void *arg) {
    struct faulty *f = arg;
    (void)pthread_mutex_lock(&f->lock);
    for (;;) {
        int64_t wake = 0;
        struct held *h = next_due(f, &wake);
        if (!h && f->closing)
            break;
        if (!h) {
            struct timespec until = {.tv_sec = wake / NS_PER_S, .tv_nsec = wake % NS_PER_S};
            (void)pthread_cond_clockwait(&f->changed, &f->lock, CLOCK_MONOTONIC, &until);
            continue;
        }
        struct nfs_call *call = h->call;
        int result = h->result;
        free(h);
        f->ending = call;
        (void)pthread_mutex_unlock(&f->lock);
        if (result == 0) {
            nfs_submit(f->inner, call);
        } else {
            call->result = result;
            call->done(call);
        }
        (void)pthread_mutex_lock(&f->lock);
        f->ending = NULL;
        (void)pthread_cond_broadcast(&f->changed);
    }
    (void)pthread_mutex_unlock(&f->lock);
    return NULL;
}

static const struct nfs_info *faulty_info(struct nfs_share *base) {
    return nfs_share_info(((struct faulty *)base)->inner);
}

static void faulty_close(struct nfs_share *base) {
    struct faulty *f = (struct faulty *)base;
    (void)pthread_mutex_lock(&f->lock);
    f->closing = true;
    (void)pthread_cond_broadcast(&f->changed);
    (void)pthread_mutex_unlock(&f->lock);
    (void)pthread_join(f->thread, NULL);
    (void)nfs_share_free(f->inner);
    (void)pthread_cond_destroy(&f->changed);
    (void)pthread_mutex_destroy(&f->lock);
    free(f);
}

struct nfs_share *faulty_nfs_new(struct nfs_share *inner) {
    static const struct nfs_backend backend = {faulty_submit, faulty_cancel, faulty_info, faulty_close};
    struct faulty *f = inner ? calloc(1, sizeof *f) : NULL;
    if (!f) {
        (void)nfs_share_free(inner);
        return NULL;
    }
    f->base.backend = &backend;
    f->inner = inner;
    (void)pthread_mutex_init(&f->lock, NULL);
    (void)pthread_cond_init(&f->changed, NULL);
    if (pthread_create(&f->thread, NULL, faulty_main, f) != 0) {
        (void)nfs_share_free(inner);
        free(f);
        return NULL;
    }
    return &f->base;
}

void faulty_nfs_fail(struct nfs_share *share, enum faulty_select select, enum nfs_op op, long n, int error) {
    struct faulty *f = (struct faulty *)share;
    LOCK_SCOPE(&f->lock);
    f->fail_select = select;
    f->fail_op = op;
    f->fail_in = n;
    f->fail_error = error;
}

void faulty_nfs_die(struct nfs_share *share, long n, bool applied) {
    struct faulty *f = (struct faulty *)share;
    LOCK_SCOPE(&f->lock);
    f->die_in = n;
    f->die_applied = applied;
    f->dead = false;
}

bool faulty_nfs_dead(struct nfs_share *share) {
    struct faulty *f = (struct faulty *)share;
    LOCK_SCOPE(&f->lock);
    return f->dead;
}

void faulty_nfs_hook(struct nfs_share *share, void (*hook)(const struct nfs_call *call, void *arg), void *arg) {
    struct faulty *f = (struct faulty *)share;
    LOCK_SCOPE(&f->lock);
    f->hook = hook;
    f->hook_arg = arg;
}

long faulty_nfs_count(struct nfs_share *share, enum faulty_select select, enum nfs_op op) {
    struct faulty *f = (struct faulty *)share;
    LOCK_SCOPE(&f->lock);
    long count = 0;
    for (int i = 0; i < NFS_OP_COUNT; i++)
        count += selected(select, op, (enum nfs_op)i) ? f->counts[i] : 0;
    return count;
}

void faulty_nfs_hold(struct nfs_share *share, bool hold) {
    struct faulty *f = (struct faulty *)share;
    LOCK_SCOPE(&f->lock);
    f->holding = hold;
    (void)pthread_cond_broadcast(&f->changed);
}

size_t faulty_nfs_held(struct nfs_share *share) {
    struct faulty *f = (struct faulty *)share;
    LOCK_SCOPE(&f->lock);
    size_t count = 0;
    for (const struct held *h = f->held; h; h = h->next)
        count++;
    return count;
}
