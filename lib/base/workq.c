// SPDX-License-Identifier: Apache-2.0
#include "lib/base/workq.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include "lib/base/mem.h"

struct workq {
    pthread_mutex_t lock; // protects all below but `stopping`'s reads
    pthread_cond_t wake;
    struct work *head, **tail;
    size_t queued, running;
    unsigned threads_max, threads_started, threads_idle;
    pthread_t *threads;
    atomic_bool stopping;
    bool joined;
    char name[16];
};

static struct work *take(struct workq *q) {
    LOCK_SCOPE(&q->lock);
    while (!q->head && !atomic_load(&q->stopping)) {
        q->threads_idle++;
        (void)pthread_cond_wait(&q->wake, &q->lock);
        q->threads_idle--;
    }
    if (atomic_load(&q->stopping))
        return NULL;
    struct work *work = q->head;
    q->head = work->next;
    if (!q->head)
        q->tail = &q->head;
    q->queued--;
    q->running++;
    return work;
}

static void *worker(void *arg) {
    struct workq *q = arg;
    (void)pthread_setname_np(pthread_self(), q->name);
    for (struct work *work; (work = take(q));) {
        work->run(work);
        LOCK_SCOPE(&q->lock);
        q->running--;
    }
    return NULL;
}

int workq_new(const char *name, unsigned threads, struct workq **ret, struct err *err) {
    struct workq *q = mem_zalloc(sizeof *q);
    pthread_t *list = mem_array(threads, sizeof *list);
    if (!q || !list) {
        free(q);
        free(list);
        return err_set(err, -ENOMEM, "no memory for the work queue '%s'", name);
    }
    (void)pthread_mutex_init(&q->lock, NULL);
    (void)pthread_cond_init(&q->wake, NULL);
    q->tail = &q->head;
    q->threads = list;
    q->threads_max = threads;
    (void)snprintf(q->name, sizeof q->name, "%s", name);
    *ret = q;
    return 0;
}

int workq_push(struct workq *q, struct work *work) {
    LOCK_SCOPE(&q->lock);
    if (atomic_load(&q->stopping))
        return -ECANCELED;
    if (q->threads_idle <= q->queued && q->threads_started < q->threads_max) {
        int r = pthread_create(&q->threads[q->threads_started], NULL, worker, q);
        if (r == 0)
            q->threads_started++;
        else if (q->threads_started == 0)
            return -r;
    }
    work->next = NULL;
    *q->tail = work;
    q->tail = &work->next;
    q->queued++;
    (void)pthread_cond_signal(&q->wake);
    return 0;
}

size_t workq_pending(struct workq *q) {
    LOCK_SCOPE(&q->lock);
    return q->queued + q->running;
}

bool workq_stopping(const struct workq *q) {
    return atomic_load(&q->stopping);
}

void workq_stop(struct workq *q) {
    (void)pthread_mutex_lock(&q->lock);
    atomic_store(&q->stopping, true);
    bool join = !q->joined;
    q->joined = true;
    (void)pthread_cond_broadcast(&q->wake);
    (void)pthread_mutex_unlock(&q->lock);
    for (unsigned i = 0; join && i < q->threads_started; i++)
        (void)pthread_join(q->threads[i], NULL);
}

struct workq *workq_free(struct workq *q) {
    if (!q)
        return NULL;
    workq_stop(q);
    (void)pthread_cond_destroy(&q->wake);
    (void)pthread_mutex_destroy(&q->lock);
    free(q->threads);
    free(q);
    return NULL;
}
