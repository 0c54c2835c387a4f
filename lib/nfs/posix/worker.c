// SPDX-License-Identifier: Apache-2.0
// One thread of the pool.
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "lib/nfs/posix/job.h"

#define IDLE_NS (10 * NS_PER_S) // then a thread ends, unless it is the last

void *posix_lend(struct posix_worker *worker) {
    struct posix_pool *pool = worker->pool;
    LOCK_SCOPE(&pool->lock);
    if (!worker->job->origin)
        return NULL;
    worker->job->state = JOB_LENT;
    return worker->job->origin->data;
}

void posix_return(struct posix_worker *worker) {
    struct posix_pool *pool = worker->pool;
    LOCK_SCOPE(&pool->lock);
    worker->job->state = JOB_RUNNING;
    (void)pthread_cond_broadcast(&pool->settled);
}

void *posix_bounce(struct posix_worker *worker) {
    if (!worker->bounce) {
        char *memory = mem_alloc(POSIX_BOUNCE + POSIX_ALIGN);
        if (!memory)
            return NULL;
        worker->bounce_memory = memory;
        worker->bounce = memory + (POSIX_ALIGN - (uintptr_t)memory % POSIX_ALIGN);
    }
    return worker->bounce;
}

static bool leave(struct posix_pool *pool) {
    pool->threads--;
    (void)pthread_cond_broadcast(&pool->settled);
    return false;
}

// False: the thread is to end. Otherwise the worker's job is set, or a call was refused and answered.
static bool take(struct posix_worker *worker) {
    struct posix_pool *pool = worker->pool;
    LOCK_SCOPE(&pool->lock);
    for (;;) {
        struct nfs_call *refused = pool->refused;
        struct posix_job *job = pool->queue.first;
        if (refused && !pool->stopping) {
            pool->refused = refused->link;
            pool->queued--;
            posix_pool_answer(pool, refused, refused->result);
            return true;
        }
        if (job && !pool->stopping) {
            posix_job_remove(&pool->queue, job);
            pool->queued--;
            job->state = JOB_RUNNING;
            job->thread = pthread_self();
            posix_job_append(&pool->inside, job);
            worker->job = job;
            return true;
        }
        if (pool->stopping)
            return leave(pool);
        int64_t until_ns = clock_monotonic(&clock_system) + IDLE_NS;
        struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};
        pool->idle++;
        int r = pthread_cond_clockwait(&pool->work, &pool->lock, CLOCK_MONOTONIC, &until);
        pool->idle--;
        if (r == ETIMEDOUT && pool->queued == 0 && pool->threads > 1)
            return leave(pool);
    }
}

static void work(struct posix_worker *worker) {
    const struct nfs_cred self = {0};
    struct posix_pool *pool = worker->pool;
    struct posix_job *job = worker->job;
    struct nfs_call *origin;
    int r = posix_creds_become(&worker->creds, &job->cred);
    job->call.result = r < 0 ? r : pool->options.run(worker, &job->call);
    (void)!posix_creds_become(&worker->creds, &self); // what `done` does is the process's own work
    {
        LOCK_SCOPE(&pool->lock);
        origin = job->origin;
        job->state = JOB_ANSWERING;
    }
    if (origin) {
        posix_job_answer(job, origin);
        origin->done(origin);
    }
    {
        LOCK_SCOPE(&pool->lock);
        if (job->listed)
            posix_job_remove(&pool->inside, job);
        (void)pthread_cond_broadcast(&pool->settled);
    }
    worker->job = posix_job_free(job);
}

static void tick(struct posix_worker *worker) {
    struct posix_pool *pool = worker->pool;
    worker->job = NULL;
    {
        LOCK_SCOPE(&pool->lock);
        posix_job_remove(&pool->inside, &pool->tick);
        (void)pthread_cond_broadcast(&pool->settled);
    }
    pool->options.tick(worker);
    LOCK_SCOPE(&pool->lock);
    pool->tick_queued = false;
    (void)pthread_cond_signal(&pool->keeper_wake);
}

// The umask belongs to the thread then, and the modes that callers ask for are what they get.
static int prepare(struct posix_worker *worker) {
    struct posix_pool *pool = worker->pool;
    int r = unshare(CLONE_FS) < 0 ? -errno : posix_creds_init(&worker->creds);
    (void)(r < 0 ? 0 : umask(0));
    LOCK_SCOPE(&pool->lock);
    if (!pool->started)
        pool->start_result = r;
    pool->started = true;
    if (r < 0)
        (void)leave(pool);
    (void)pthread_cond_broadcast(&pool->settled);
    return r;
}

static void *worker_main(void *arg) {
    struct posix_pool *pool = arg;
    struct posix_worker worker = {.pool = pool, .owner = pool->options.owner};
    (void)pthread_setname_np(pthread_self(), "posix");
    bool ready = prepare(&worker) == 0;
    while (ready && take(&worker)) {
        if (worker.job == &pool->tick)
            tick(&worker);
        else if (worker.job)
            work(&worker);
    }
    free(worker.bounce_memory);
    posix_pool_unref(pool);
    return NULL;
}

int posix_worker_start(struct posix_pool *pool) {
    pthread_t thread;
    int r = posix_thread_start(worker_main, pool, "posix", &thread, true);
    if (r < 0)
        return r;
    pool->threads++;
    pool->refs++;
    return 0;
}
