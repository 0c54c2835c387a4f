// SPDX-License-Identifier: Apache-2.0
#include "lib/nfs/posix/pool.h"

#include <errno.h>
#include <signal.h>

#include "lib/base/mem.h"
#include "lib/nfs/posix/job.h"

#define STACK ((size_t)256 << 10)
#define CLOSE_WAIT_NS (2 * NS_PER_S) // for threads inside the file system

int posix_thread_start(void *(*run)(void *), void *arg, const char *name, pthread_t *ret, bool detached) {
    pthread_attr_t attr;
    sigset_t all, old;
    (void)sigfillset(&all);
    int r = pthread_attr_init(&attr);
    if (r != 0)
        return -r;
    (void)pthread_attr_setstacksize(&attr, STACK);
    (void)pthread_attr_setdetachstate(&attr, detached ? PTHREAD_CREATE_DETACHED : PTHREAD_CREATE_JOINABLE);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    r = pthread_create(ret, &attr, run, arg);
    if (r == 0 && !detached) // a detached one may be gone already
        (void)pthread_setname_np(*ret, name);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    return -r;
}

void posix_pool_unref(struct posix_pool *pool) {
    {
        LOCK_SCOPE(&pool->lock);
        if (--pool->refs > 0)
            return;
    }
    pool->options.free_owner(pool->options.owner);
    (void)pthread_cond_destroy(&pool->work);
    (void)pthread_cond_destroy(&pool->settled);
    (void)pthread_cond_destroy(&pool->keeper_wake);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
}

static void owner_stays(void *owner) {
    (void)owner;
}

int posix_pool_new(const struct posix_pool_options *options, struct posix_pool **ret, struct err *err) {
    struct posix_pool *pool = mem_zalloc(sizeof *pool);
    if (!pool)
        return err_set(err, -ENOMEM, "out of memory");
    pool->options = *options;
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->work, NULL);
    (void)pthread_cond_init(&pool->settled, NULL);
    (void)pthread_cond_init(&pool->keeper_wake, NULL);
    pool->keeper_until_ns = DEADLINE_NONE;
    pool->refs = 1; // the caller's
    int r = posix_thread_start(posix_keeper_main, pool, "posix-keeper", &pool->keeper, false);
    pool->keeper_started = r == 0;
    if (r == 0) {
        LOCK_SCOPE(&pool->lock);
        r = posix_worker_start(pool);
        while (r == 0 && !pool->started)
            (void)pthread_cond_wait(&pool->settled, &pool->lock);
        r = r == 0 ? pool->start_result : r;
    }
    if (r == 0) {
        *ret = pool;
        return 0;
    }
    {
        LOCK_SCOPE(&pool->lock);
        pool->options.free_owner = owner_stays;
    }
    if (pool->keeper_started)
        posix_pool_close(pool);
    else
        posix_pool_unref(pool);
    return r == -EPERM
               ? err_set(err, r, "this process may not act for other users; run it as root (CAP_SETUID, CAP_SETGID)")
               : err_set(err, r, "no thread for the file system: %s", err_name(r));
}

// ---- submit

static void wake_somebody(struct posix_pool *pool) {
    if (pool->idle >= pool->queued || pool->threads >= pool->options.threads || posix_worker_start(pool) < 0)
        (void)pthread_cond_signal(&pool->work);
}

// A call that could not become a job is told so by a thread of the pool: `done` is not called in nfs_submit.
static void refuse(struct posix_pool *pool, struct nfs_call *call, int result) {
    struct nfs_call **at = &pool->refused;
    while (*at)
        at = (struct nfs_call **)&(*at)->link;
    call->result = result;
    call->link = NULL;
    *at = call;
}

void posix_pool_submit(struct posix_pool *pool, struct nfs_call *call, const struct nfs_cred *default_cred) {
    nfs_call_reset(call);
    int r = nfs_call_check(call);
    struct posix_job *job = r == 0 ? posix_job_new(call, default_cred) : NULL;
    {
        LOCK_SCOPE(&pool->lock);
        if (!pool->stopping) {
            if (job)
                posix_job_append(&pool->queue, job);
            else
                refuse(pool, call, r < 0 ? r : -ENOMEM);
            pool->queued++;
            wake_somebody(pool);
            if (call->deadline_ns > 0 && call->deadline_ns < pool->keeper_until_ns)
                (void)pthread_cond_signal(&pool->keeper_wake);
            return;
        }
    }
    (void)posix_job_free(job);
    call->result = -ECANCELED;
    call->done(call);
}

void posix_pool_want_tick(struct posix_pool *pool) {
    LOCK_SCOPE(&pool->lock);
    if (pool->tick_wanted)
        return;
    pool->tick_wanted = true;
    (void)pthread_cond_signal(&pool->keeper_wake);
}

// ---- the end of a call, other than by its job

struct nfs_call *posix_pool_detach(struct posix_pool *pool, struct posix_job *job) {
    struct nfs_call *call = take_ptr(job->origin);
    bool queued = job->state == JOB_QUEUED;
    posix_job_remove(queued ? &pool->queue : &pool->inside, job);
    if (queued) {
        pool->queued--;
        (void)posix_job_free(job);
    }
    return call;
}

void posix_pool_answer(struct posix_pool *pool, struct nfs_call *call, int result) {
    struct posix_job stub = {.state = JOB_ANSWERING, .thread = pthread_self(), .origin = call}; // cancel finds it
    posix_job_append(&pool->inside, &stub);
    (void)pthread_mutex_unlock(&pool->lock);
    call->result = result;
    call->done(call);
    (void)pthread_mutex_lock(&pool->lock);
    posix_job_remove(&pool->inside, &stub);
    (void)pthread_cond_broadcast(&pool->settled);
}

static bool take_refused(struct posix_pool *pool, struct nfs_call *call) {
    struct nfs_call **at = &pool->refused;
    while (*at && *at != call)
        at = (struct nfs_call **)&(*at)->link;
    if (!*at)
        return false;
    *at = call->link;
    pool->queued--;
    return true;
}

// What is being answered comes first: `done` may have submitted the same call anew.
static struct posix_job *find(struct posix_pool *pool, const struct nfs_call *call) {
    struct posix_job *found = NULL;
    for (struct posix_job *job = pool->inside.first; job; job = job->next)
        if (job->origin == call && job->state == JOB_ANSWERING && !pthread_equal(job->thread, pthread_self()))
            return job;
        else if (job->origin == call && job->state != JOB_ANSWERING)
            found = job;
    for (struct posix_job *job = pool->queue.first; job && !found; job = job->next)
        if (job->origin == call)
            found = job;
    return found;
}

void posix_pool_cancel(struct posix_pool *pool, struct nfs_call *call) {
    LOCK_SCOPE(&pool->lock);
    if (take_refused(pool, call)) {
        call->result = -ECANCELED;
        return;
    }
    struct posix_job *job;
    while ((job = find(pool, call)) && (job->state == JOB_LENT || job->state == JOB_ANSWERING))
        (void)pthread_cond_wait(&pool->settled, &pool->lock);
    if (job)
        posix_pool_detach(pool, job)->result = -ECANCELED;
}

static struct posix_job *first_live(struct posix_pool *pool) {
    for (struct posix_job *job = pool->inside.first; job; job = job->next)
        if (job->origin && job->state == JOB_RUNNING)
            return job;
    return pool->queue.first;
}

static void end_calls(struct posix_pool *pool) {
    for (;;) {
        struct posix_job *job = first_live(pool);
        struct nfs_call *refused = pool->refused;
        if (refused) {
            int result = refused->result;
            (void)take_refused(pool, refused);
            posix_pool_answer(pool, refused, result);
        } else if (job && job->origin) {
            posix_pool_answer(pool, posix_pool_detach(pool, job), -ECANCELED);
        } else if (job) { // the pool's own
            posix_job_remove(&pool->queue, job);
            pool->queued--;
        } else if (pool->inside.first) {
            (void)pthread_cond_wait(&pool->settled, &pool->lock);
        } else {
            return;
        }
    }
}

void posix_pool_close(struct posix_pool *pool) {
    int64_t until_ns = clock_monotonic(&clock_system) + CLOSE_WAIT_NS;
    struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};
    {
        LOCK_SCOPE(&pool->lock);
        pool->stopping = true;
        (void)pthread_cond_broadcast(&pool->work);
        (void)pthread_cond_signal(&pool->keeper_wake);
        end_calls(pool);
    }
    (void)pthread_join(pool->keeper, NULL);
    {
        LOCK_SCOPE(&pool->lock);
        for (int r = 0; pool->threads > 0 && r == 0;)
            r = pthread_cond_clockwait(&pool->settled, &pool->lock, CLOCK_MONOTONIC, &until);
    }
    posix_pool_unref(pool);
}
