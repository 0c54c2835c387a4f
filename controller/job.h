// SPDX-License-Identifier: Apache-2.0
// Background work of one process: queued, run by a few threads, tried again later when it fails.
//
//     QUEUED ──▶ RUNNING ──JOB_OVER──▶ freed
//        ▲          ├──────JOB_FAILED─▶ FAILED ──told to a waiter, or cancelled──▶ freed
//        └─WAITING◀─┴──────JOB_AGAIN
//
// Why:     copying and removing share queueing, back-off, waiting, cancelling and stopping, and nothing else.
// Owns:    every job that was added, until `free`; the engine's struct begins with `struct job`.
// Threads: any; `run`, and `free` after it, on a worker. Waiting and cancelling threads find jobs by their keys only.
// Order:   the lock is a leaf: it is never held around `run`, `free` or anything else that waits.
#pragma once

#include <stdatomic.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/base/workq.h"

enum job_end { JOB_OVER, JOB_AGAIN, JOB_FAILED };
enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_WAITING, JOB_IS_FAILED, JOB_IS_OVER };

struct job;
struct job_ops {
    // *err tells why when it is not over. It must end soon once job_stopped(job).
    enum job_end (*run)(struct job *job, struct err *err);
    void (*free)(struct job *job);
};

struct job {
    const struct job_ops *ops; // set by the engine, like `key` and `queue`
    char *key;                 // allocated; freed with the job
    struct workq *queue;       // borrowed
    // private
    struct work work;
    struct jobs *jobs;
    enum job_state state;
    atomic_bool cancelled;
    bool forgotten; // its key is free again; freed when nobody looks at it and its turn in the queue is over
    unsigned attempts, waiters;
    int64_t due_ns;
    struct err why;
    struct job *next, *prev;
};

struct jobs;
int jobs_new(struct jobs **ret, struct err *err) must_check;
// Cancels what runs, frees everything. The work queues must have been stopped before.
struct jobs *jobs_free(struct jobs *jobs);
DEFINE_CLEANUP(jobs)

// Takes `job`. -EEXIST: there is one with this key, which is tried at once if it was waiting; -ECANCELED: the queue is
// stopping; -ENOMEM. On failure the job was freed.
int job_add(struct jobs *jobs, struct job *job) must_check;
// Waits until the job ended. 0: over. -EAGAIN: not yet; `look` was called with it under the lock. -ENOENT: none.
// Else: its failure, which is then forgotten.
int job_wait(struct jobs *jobs, const char *key, int64_t deadline_ns, void (*look)(const struct job *job, void *arg),
             void *arg, struct err *err) must_check;
// 0: it ended, or there is none. -EAGAIN: still running at the deadline; it will end.
int job_cancel(struct jobs *jobs, const char *key, int64_t deadline_ns) must_check;
bool job_stopped(const struct job *job); // cancelled, or the process ends
