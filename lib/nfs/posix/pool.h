// SPDX-License-Identifier: Apache-2.0
// The threads that make calls on a file system which may never answer.
//
// Why:     a thread inside a system call cannot be called back, so a call is worked on in a copy, and the caller's own
//          struct and buffer are touched only for moments in which nobody waits for the file system.
// Owns:    copies of the calls. A thread that does not come back keeps the pool and the owner alive; the last one out
//          frees them.
// Threads: any. `run` is the caller of its call, `done` is root again. `run` and `done` are called on the pool's threads, `done` also on the keeper's (deadlines) and on that of
//          posix_pool_close.
// Order:   the pool's lock is a leaf, and not held around `run`, `tick` and `done`.
//
//                    ┌── cancel, deadline, close ──────────┐
//     queued ──► running ◄──► lent ──► answering ──► gone  └─► gone for the caller; the thread ends when it can
//
// While a call is lent (its buffer is copied) or answering (inside `done`), cancel waits for the moment that takes.
#pragma once

#include "lib/base/clock.h"
#include "lib/nfs/nfs.h"
#include "lib/nfs/posix/creds.h"

#define POSIX_ALIGN 4096u                       // of direct I/O
#define POSIX_BOUNCE (NFS_IO_MAX + POSIX_ALIGN) // bytes

struct posix_pool;
struct posix_job;

struct posix_worker { // a thread
    struct posix_pool *pool;
    void *owner;
    struct posix_creds creds;
    struct posix_job *job;
    void *bounce, *bounce_memory;
};

struct posix_pool_options {
    unsigned threads; // at most
    void *owner;
    // Works on a copy of the call, whose `data` is not the caller's: see posix_lend. Returns the result.
    int (*run)(struct posix_worker *worker, struct nfs_call *call);
    void (*tick)(struct posix_worker *worker); // some seconds after posix_pool_want_tick
    void (*free_owner)(void *owner);           // when the last thread is out
};

// The first thread is started and has shown that it can act for others, or -EPERM. After a failure the owner stays the
// caller's.
int posix_pool_new(const struct posix_pool_options *options, struct posix_pool **ret, struct err *err) must_check;
void posix_pool_submit(struct posix_pool *pool, struct nfs_call *call, const struct nfs_cred *default_cred);
void posix_pool_cancel(struct posix_pool *pool, struct nfs_call *call);
// Ends every call with -ECANCELED, gives the threads a moment to come back, and frees pool and owner when they are all out.
void posix_pool_close(struct posix_pool *pool);
void posix_pool_want_tick(struct posix_pool *pool);

// For `run`: the caller's buffer, to be given back soon by posix_return; NULL when the call was cancelled.
void *posix_lend(struct posix_worker *worker);
void posix_return(struct posix_worker *worker);
void *posix_bounce(struct posix_worker *worker); // POSIX_BOUNCE bytes, aligned; NULL: no memory
