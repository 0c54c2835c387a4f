// SPDX-License-Identifier: Apache-2.0
// The thread that keeps the pool's deadlines. It never touches the file system, so it is always there.
#include <errno.h>

#include "lib/nfs/posix/job.h"

#define TICK_NS (2 * NS_PER_S)

static struct posix_job *due_in(const struct posix_job_list *list, int64_t now, int64_t *next_ns) {
    for (struct posix_job *job = list->first; job; job = job->next) {
        int64_t deadline = job->origin ? job->call.deadline_ns : 0;
        if (deadline <= 0 || job->state == JOB_ANSWERING)
            continue;
        if (deadline <= now)
            return job;
        if (deadline < *next_ns)
            *next_ns = deadline;
    }
    return NULL;
}

static void wait_until(struct posix_pool *pool, int64_t until_ns) {
    struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};
    pool->keeper_until_ns = until_ns;
    if (until_ns == DEADLINE_NONE)
        (void)pthread_cond_wait(&pool->keeper_wake, &pool->lock);
    else
        (void)pthread_cond_clockwait(&pool->keeper_wake, &pool->lock, CLOCK_MONOTONIC, &until);
    pool->keeper_until_ns = 0; // awake
}

// When the next tick is due; queues it when that is now.
static int64_t keep_ticking(struct posix_pool *pool, int64_t now) {
    if (!pool->tick_wanted || pool->tick_queued)
        return DEADLINE_NONE;
    if (pool->tick_ns == 0)
        pool->tick_ns = now + TICK_NS;
    if (now < pool->tick_ns)
        return pool->tick_ns;
    pool->tick_ns = 0;
    pool->tick_wanted = false;
    pool->tick_queued = true;
    pool->tick = (struct posix_job){.state = JOB_QUEUED};
    posix_job_append(&pool->queue, &pool->tick);
    pool->queued++;
    (void)pthread_cond_signal(&pool->work);
    return DEADLINE_NONE;
}

void *posix_keeper_main(void *arg) {
    struct posix_pool *pool = arg;
    LOCK_SCOPE(&pool->lock);
    while (!pool->stopping) {
        int64_t now = clock_monotonic(&clock_system), next_ns = keep_ticking(pool, now);
        struct posix_job *due = due_in(&pool->inside, now, &next_ns);
        if (!due)
            due = due_in(&pool->queue, now, &next_ns);
        if (due && due->state == JOB_LENT)
            (void)pthread_cond_wait(&pool->settled, &pool->lock);
        else if (due)
            posix_pool_answer(pool, posix_pool_detach(pool, due), -ETIMEDOUT);
        else
            wait_until(pool, next_ns);
    }
    return NULL;
}
