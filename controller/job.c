// SPDX-License-Identifier: Apache-2.0
#include "controller/job.h"

#include <errno.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/strmap.h"

#define RETRY_FIRST_NS (200 * NS_PER_MS)
#define RETRY_LAST_NS (60 * NS_PER_S)

struct jobs {
    pthread_mutex_t lock;   // protects all of it, and the private members of jobs but `cancelled`
    pthread_cond_t changed; // some job ended
    pthread_cond_t sooner;  // the timer has to look again
    pthread_t timer;
    int64_t next_due_ns;
    bool stopping;
    struct job *first;
    struct strmap by_key;
};

static void run(struct work *work);

static struct timespec timespec_of(int64_t ns) {
    return (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
}

static void list(struct jobs *jobs, struct job *job) {
    job->prev = NULL;
    job->next = jobs->first;
    if (job->next)
        job->next->prev = job;
    jobs->first = job;
}

static void unlist(struct jobs *jobs, struct job *job) {
    *(job->prev ? &job->prev->next : &jobs->first) = job->next;
    if (job->next)
        job->next->prev = job->prev;
}

static void forget(struct jobs *jobs, struct job *job) {
    if (!job->forgotten)
        (void)strmap_remove(&jobs->by_key, job->key);
    job->forgotten = true;
    (void)pthread_cond_broadcast(&jobs->changed);
}

// Under the lock: true when the caller is the last who knows it and has to free it.
static bool is_last(struct jobs *jobs, struct job *job) {
    if (!job->forgotten || job->waiters || job->state == JOB_QUEUED || job->state == JOB_RUNNING)
        return false;
    unlist(jobs, job);
    return true;
}

static void job_free(struct job *job) {
    free(job->key);
    job->ops->free(job);
}

static void wake_at(struct jobs *jobs, int64_t due_ns) {
    if (due_ns >= jobs->next_due_ns)
        return;
    jobs->next_due_ns = due_ns;
    (void)pthread_cond_signal(&jobs->sooner);
}

// Puts waiting jobs whose time has come into their queues.
static void push_due(struct jobs *jobs) {
    int64_t now = clock_monotonic(&clock_system);
    jobs->next_due_ns = now + RETRY_LAST_NS;
    for (struct job *job = jobs->first; job; job = job->next) {
        if (job->state != JOB_WAITING || job->forgotten)
            continue;
        if (job->due_ns <= now && workq_push(job->queue, &job->work) == 0)
            job->state = JOB_QUEUED;
        else if (job->due_ns < jobs->next_due_ns)
            jobs->next_due_ns = job->due_ns > now ? job->due_ns : now + NS_PER_S;
    }
}

static void *timer(void *arg) {
    struct jobs *jobs = arg;
    (void)pthread_setname_np(pthread_self(), "retry");
    LOCK_SCOPE(&jobs->lock);
    while (!jobs->stopping) {
        push_due(jobs);
        struct timespec until = timespec_of(jobs->next_due_ns);
        (void)pthread_cond_timedwait(&jobs->sooner, &jobs->lock, &until);
    }
    return NULL;
}

int jobs_new(struct jobs **ret, struct err *err) {
    struct jobs *jobs = mem_zalloc(sizeof *jobs);
    if (!jobs)
        return err_set(err, -ENOMEM, "no memory for background work");
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&jobs->changed, &attr);
    (void)pthread_cond_init(&jobs->sooner, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&jobs->lock, NULL);
    int r = pthread_create(&jobs->timer, NULL, timer, jobs);
    if (r) {
        (void)pthread_cond_destroy(&jobs->changed);
        (void)pthread_cond_destroy(&jobs->sooner);
        (void)pthread_mutex_destroy(&jobs->lock);
        free(jobs);
        return err_set(err, -r, "cannot start a thread for background work: %s", err_name(r));
    }
    *ret = jobs;
    return 0;
}

struct jobs *jobs_free(struct jobs *jobs) {
    if (!jobs)
        return NULL;
    (void)pthread_mutex_lock(&jobs->lock);
    jobs->stopping = true;
    (void)pthread_cond_broadcast(&jobs->changed);
    (void)pthread_cond_signal(&jobs->sooner);
    (void)pthread_mutex_unlock(&jobs->lock);
    (void)pthread_join(jobs->timer, NULL);
    for (struct job *job; (job = jobs->first);) {
        unlist(jobs, job);
        job_free(job);
    }
    strmap_done(&jobs->by_key);
    (void)pthread_cond_destroy(&jobs->changed);
    (void)pthread_cond_destroy(&jobs->sooner);
    (void)pthread_mutex_destroy(&jobs->lock);
    free(jobs);
    return NULL;
}

static int add(struct jobs *jobs, struct job *job) {
    LOCK_SCOPE(&jobs->lock);
    struct job *have = strmap_get(&jobs->by_key, job->key);
    if (have && have->state == JOB_WAITING) {
        have->due_ns = 0;
        wake_at(jobs, 0);
    }
    if (have)
        return -EEXIST;
    if (jobs->stopping)
        return -ECANCELED;
    int r = strmap_put(&jobs->by_key, job->key, job);
    if (r < 0)
        return r;
    list(jobs, job);
    job->state = JOB_QUEUED;
    r = workq_push(job->queue, &job->work);
    if (r < 0) {
        forget(jobs, job);
        unlist(jobs, job);
    }
    return r;
}

int job_add(struct jobs *jobs, struct job *job) {
    job->jobs = jobs;
    job->work.run = run;
    int r = job->key ? add(jobs, job) : -ENOMEM;
    if (r < 0)
        job_free(job);
    return r;
}

bool job_stopped(const struct job *job) {
    return atomic_load(&job->cancelled) || workq_stopping(job->queue);
}

static int64_t back_off(unsigned attempts) {
    int64_t ns = RETRY_FIRST_NS << (attempts < 16 ? attempts : 16);
    return ns < RETRY_LAST_NS ? ns : RETRY_LAST_NS;
}

// Under the lock.
static void end(struct jobs *jobs, struct job *job, enum job_end how) {
    if (job->forgotten || how == JOB_OVER || atomic_load(&job->cancelled)) {
        job->state = JOB_IS_OVER;
        forget(jobs, job);
    } else if (how == JOB_AGAIN) {
        job->state = JOB_WAITING;
        job->due_ns = clock_monotonic(&clock_system) + back_off(job->attempts++);
        wake_at(jobs, job->due_ns);
    } else {
        job->state = JOB_IS_FAILED;
        (void)pthread_cond_broadcast(&jobs->changed);
    }
}

static void run(struct work *work) {
    struct job *job = (struct job *)((char *)work - offsetof(struct job, work));
    struct jobs *jobs = job->jobs;
    struct err err = ERR_NONE;
    (void)pthread_mutex_lock(&jobs->lock);
    bool dropped = job->forgotten;
    job->state = JOB_RUNNING;
    (void)pthread_mutex_unlock(&jobs->lock);
    enum job_end how = dropped ? JOB_OVER : job->ops->run(job, &err);
    (void)pthread_mutex_lock(&jobs->lock);
    job->why = err;
    end(jobs, job, how);
    bool last = is_last(jobs, job);
    (void)pthread_mutex_unlock(&jobs->lock);
    if (last)
        job_free(job);
}

// Under the lock: until the job failed or is forgotten.
static int wait_end(struct jobs *jobs, struct job *job, int64_t deadline_ns) {
    struct timespec until = timespec_of(deadline_ns);
    job->waiters++;
    while (!job->forgotten && job->state != JOB_IS_FAILED && !jobs->stopping)
        if (pthread_cond_timedwait(&jobs->changed, &jobs->lock, &until))
            break;
    job->waiters--;
    return job->forgotten || job->state == JOB_IS_FAILED ? 0 : -EAGAIN;
}

static int wait_for(struct jobs *jobs, struct job *job, int64_t deadline_ns,
                    void (*look)(const struct job *job, void *arg), void *arg, struct err *err) {
    int r = wait_end(jobs, job, deadline_ns);
    if (r < 0) {
        look(job, arg);
        return r;
    }
    if (job->state != JOB_IS_FAILED)
        return 0;
    forget(jobs, job); // told
    return err_set(err, job->why.code, "%s", err_text(&job->why));
}

int job_wait(struct jobs *jobs, const char *key, int64_t deadline_ns, void (*look)(const struct job *job, void *arg),
             void *arg, struct err *err) {
    (void)pthread_mutex_lock(&jobs->lock);
    struct job *job = strmap_get(&jobs->by_key, key);
    int r = job ? wait_for(jobs, job, deadline_ns, look, arg, err) : -ENOENT;
    bool last = job && is_last(jobs, job);
    (void)pthread_mutex_unlock(&jobs->lock);
    if (last)
        job_free(job);
    return r;
}

int job_cancel(struct jobs *jobs, const char *key, int64_t deadline_ns) {
    (void)pthread_mutex_lock(&jobs->lock);
    struct job *job = strmap_get(&jobs->by_key, key);
    int r = 0;
    if (job) {
        atomic_store(&job->cancelled, true);
        if (job->state == JOB_RUNNING)
            r = wait_end(jobs, job, deadline_ns);
        else
            forget(jobs, job); // one in the queue is freed when its turn comes
    }
    bool last = job && is_last(jobs, job);
    (void)pthread_mutex_unlock(&jobs->lock);
    if (last)
        job_free(job);
    return r;
}
