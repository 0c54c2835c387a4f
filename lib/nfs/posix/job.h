// SPDX-License-Identifier: Apache-2.0
// A call as a thread of the pool works on it: a copy that outlives the caller's; and the pool itself. Private to job.c,
// pool.c, worker.c and keeper.c.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "lib/nfs/posix/pool.h"

enum posix_job_state { JOB_QUEUED, JOB_RUNNING, JOB_LENT, JOB_ANSWERING };

struct posix_job {
    struct posix_job *prev, *next; // in the pool's queue, or in its list of what runs
    bool listed;
    enum posix_job_state state;
    pthread_t thread;        // whose, unless queued
    struct nfs_call *origin; // NULL: cancelled, or the pool's own work
    struct nfs_call call;
    struct nfs_cred cred;
    char *target;
    char name[NFS_NAME_MAX + 1], name2[NFS_NAME_MAX + 1];
};

struct posix_job_list {
    struct posix_job *first, *last;
};

struct posix_job *posix_job_new(struct nfs_call *call, const struct nfs_cred *default_cred) must_check;
struct posix_job *posix_job_free(struct posix_job *job);               // with what nobody took of its results
void posix_job_answer(struct posix_job *job, struct nfs_call *origin); // moves the results

void posix_job_append(struct posix_job_list *list, struct posix_job *job);
void posix_job_remove(struct posix_job_list *list, struct posix_job *job);

struct posix_pool {
    struct posix_pool_options options;
    pthread_mutex_t lock;         // of all below
    pthread_cond_t work;          // something is queued
    pthread_cond_t settled;       // a job was given back or is gone, or a thread ended
    pthread_cond_t keeper_wake;   // a nearer deadline
    struct nfs_call *refused;     // calls that did not become jobs; linked by `link`, their result is set
    struct posix_job_list queue;  // waiting for a thread
    struct posix_job_list inside; // with a thread, or being answered
    struct posix_job tick;
    bool tick_wanted, tick_queued, stopping, started;
    int start_result; // of the first thread
    int64_t tick_ns;
    unsigned threads, idle, queued;
    pthread_t keeper;
    bool keeper_started;
    int64_t keeper_until_ns; // when it wakes by itself
    unsigned refs;           // threads and the share
};

// With the lock held, which is let go while `done` runs: ends a call that no job answers any more.
void posix_pool_answer(struct posix_pool *pool, struct nfs_call *call, int result);
// With the lock held: takes the call away from its job, for posix_pool_answer or for nobody.
struct nfs_call *posix_pool_detach(struct posix_pool *pool, struct posix_job *job);
void posix_pool_unref(struct posix_pool *pool);             // without the lock
int posix_worker_start(struct posix_pool *pool) must_check; // with the lock held
void *posix_keeper_main(void *pool);
int posix_thread_start(void *(*run)(void *), void *arg, const char *name, pthread_t *ret, bool detached) must_check;
