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
    unsigned waiting; // calls that will take its result
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

static bool is_same(const struct data_copy *a, const struct data_copy *b) {
    return a->pool == b->pool && a->bytes == b->bytes && str_eq(a->from, b->from);
}

static void forget(struct copies *copies, struct job *job) {
    *find(copies, job->copy.to) = job->next;
    free(job);
}

// Makes sure of a job that does this copy. One that nobody asked for again did another: its result is void.
static int begin(struct copies *copies, const struct data_copy *copy, struct job **ret, struct err *err) {
    struct job *job = *find(copies, copy->to);
    if (job && !is_same(&job->copy, copy)) {
        if (!job->done || job->waiting > 0)
            return err_set(err, -EAGAIN, "the data of '%.60s' is still being copied to the same place; ask again",
                           job->copy.from);
        forget(copies, job);
        job = NULL;
    }
    int r = job ? 0 : start(copies, copy, err);
    if (r == 0)
        *ret = *find(copies, copy->to);
    return r;
}

int copies_run(struct copies *copies, const struct data_copy *copy, int64_t deadline_ns, struct err *err) {
    const struct timespec until = {.tv_sec = deadline_ns / NS_PER_S, .tv_nsec = deadline_ns % NS_PER_S};
    LOCK_SCOPE(&copies->lock);
    struct job *job = NULL;
    int r = begin(copies, copy, &job, err);
    if (r < 0)
        return r;
    job->waiting++;
    while (!job->done)
        if (pthread_cond_timedwait(&copies->changed, &copies->lock, &until) == ETIMEDOUT)
            break;
    job->waiting--;
    if (!job->done)
        return err_set(err, -EAGAIN, "the data of '%.60s' is still being copied; ask again", copy->from);
    r = job->err.code;
    if (r < 0)
        (void)err_set(err, r, "%s", job->err.msg);
    if (job->waiting == 0)
        forget(copies, job);
    return r;
}
