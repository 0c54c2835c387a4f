// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/local/copies.h"

#include <errno.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

struct job {
    struct job *next;
    struct copies *copies;
    struct data_copy copy;
    bool done;
    struct err err;
};

struct copies {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job *jobs;
    unsigned running;
    atomic_bool cancel;
};

int copies_new(struct copies **ret, struct err *err) {
    struct copies *copies = mem_zalloc(sizeof *copies);
    pthread_condattr_t attributes;
    if (!copies)
        return err_set(err, -ENOMEM, "out of memory");
    (void)pthread_mutex_init(&copies->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&copies->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    *ret = copies;
    return 0;
}

struct copies *copies_free(struct copies *copies) {
    if (!copies)
        return NULL;
    atomic_store(&copies->cancel, true);
    (void)pthread_mutex_lock(&copies->lock);
    while (copies->running > 0)
        (void)pthread_cond_wait(&copies->changed, &copies->lock);
    (void)pthread_mutex_unlock(&copies->lock);
    for (struct job *job = copies->jobs, *next = NULL; job; job = next) {
        next = job->next;
        free(job);
    }
    (void)pthread_cond_destroy(&copies->changed);
    (void)pthread_mutex_destroy(&copies->lock);
    free(copies);
    return NULL;
}

static void *run(void *arg) {
    struct job *job = arg;
    struct copies *copies = job->copies;
    struct err err = ERR_NONE;
    int r = job->copy.pool->allocation->copy(&job->copy, &err);
    LOCK_SCOPE(&copies->lock);
    err.code = r;
    job->err = err;
    job->done = true;
    copies->running--;
    (void)pthread_cond_broadcast(&copies->changed);
    return NULL;
}

static struct job **find(struct copies *copies, const char *to) {
    struct job **at = &copies->jobs;
    while (*at && !str_eq((*at)->copy.to, to))
        at = &(*at)->next;
    return at;
}

static int start(struct copies *copies, const struct data_copy *copy, struct err *err) {
    struct job *job = mem_zalloc(sizeof *job);
    pthread_t thread;
    if (!job)
        return err_set(err, -ENOMEM, "out of memory");
    job->copies = copies;
    job->copy = *copy;
    job->copy.deadline_ns = DEADLINE_NONE;
    job->copy.cancel = &copies->cancel;
    int r = pthread_create(&thread, NULL, run, job);
    if (r != 0) {
        free(job);
        return err_set(err, -r, "no thread for a copy: %s", err_name(-r));
    }
    (void)pthread_detach(thread);
    job->next = copies->jobs;
    copies->jobs = job;
    copies->running++;
    return 0;
}

int copies_run(struct copies *copies, const struct data_copy *copy, int64_t deadline_ns, struct err *err) {
    const struct timespec until = {.tv_sec = deadline_ns / NS_PER_S, .tv_nsec = deadline_ns % NS_PER_S};
    LOCK_SCOPE(&copies->lock);
    int r = *find(copies, copy->to) ? 0 : start(copies, copy, err);
    if (r < 0)
        return r;
    while (!(*find(copies, copy->to))->done)
        if (pthread_cond_timedwait(&copies->changed, &copies->lock, &until) == ETIMEDOUT)
            break;
    struct job **at = find(copies, copy->to), *job = *at;
    if (!job->done)
        return err_set(err, -EAGAIN, "the data of '%.60s' is still being copied; ask again", copy->from);
    *at = job->next;
    r = job->err.code;
    if (r < 0)
        (void)err_set(err, r, "%s", job->err.msg);
    free(job);
    return r;
}
