// SPDX-License-Identifier: Apache-2.0
// Many NFS calls in flight from one thread: submit, collect what came back, go on.
//
// Why:     a tree is copied or removed by a state machine on one thread, so that none of its state needs a lock.
// Owns:    every call it handed out, and what a call returned (text, entries) unless `then` took it.
// Threads: all functions on the thread that runs the loop; only the backend's `done` comes from elsewhere.
// Fails:   the first failure stays in `result`; from then on nothing is started and what flies is cancelled.
#pragma once

#include <pthread.h>

#include "lib/nfs/nfs.h"

struct tree_loop;
struct tree_call {
    struct nfs_call nfs; // first: `done` gets this address
    struct tree_loop *loop;
    struct nfs_share *share;
    void (*then)(struct tree_call *call); // on the loop's thread; the call is released afterwards unless sent again
    void *owner;
    bool again; // `then` sent it once more
    struct tree_call *next, *prev;
    char name[NFS_NAME_MAX + 1], name2[NFS_NAME_MAX + 1];
};

// When may long work go on? Asked every 100 ms and between calls.
struct tree_cancel {
    bool (*cancelled)(void *arg); // NULL: never
    void *arg;
};

struct tree_loop {
    pthread_mutex_t lock; // protects `flying`, `landed`, `landed_tail`
    pthread_cond_t wake;
    struct tree_call *flying, *landed, **landed_tail;
    struct tree_call *idle; // released calls, for use again
    unsigned in_flight, limit;
    int result;
    struct err err;
};

int tree_loop_init(struct tree_loop *loop, unsigned limit) must_check;
void tree_loop_done(struct tree_loop *loop); // nothing may be in flight

static inline bool tree_loop_full(const struct tree_loop *loop) {
    return loop->in_flight >= loop->limit;
}

// A zeroed call with its copy of `name` (may be NULL). Out of memory: NULL, and the loop has failed.
struct tree_call *tree_loop_call(struct tree_loop *loop, struct nfs_share *share, enum nfs_op op,
                                 const struct nfs_fh *fh, const char *name) must_check;
void tree_loop_submit(struct tree_call *call, void (*then)(struct tree_call *call), void *owner);

void tree_loop_fail(struct tree_loop *loop, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void tree_loop_no_memory(struct tree_loop *loop);

// Runs until `fill` starts nothing more and nothing is in flight. 0, the first failure, or -ECANCELED.
int tree_loop_run(struct tree_loop *loop, void (*fill)(void *arg), void *arg, const struct tree_cancel *cancel,
                  struct err *err);
