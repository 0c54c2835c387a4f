// SPDX-License-Identifier: Apache-2.0
#include "sidecar/remote/projector.h"

#include <errno.h>
#include <time.h>

#include "lib/base/mem.h"
#include "sidecar/remote/projection.h"
#include "sidecar/remote/routes.h"

struct projector {
    const struct remote *remote;
    struct http_server *server;
    struct notifier *notifier;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; // of what follows, and of what the projections have under it
    pthread_cond_t woken;
    bool wake, stop;
    size_t count;
    struct projection projections[];
};

void projector_lock(struct projector *projector) {
    (void)pthread_mutex_lock(&projector->lock);
}
void projector_unlock(struct projector *projector) {
    (void)pthread_mutex_unlock(&projector->lock);
}
void projector_wake(struct projector *projector) {
    projector->wake = true;
    (void)pthread_cond_signal(&projector->woken);
}
struct notifier *projector_notifier(struct projector *projector) {
    return projector->notifier;
}

int projector_ask(struct projector *projector, const char *target, const char *more_fields,
                  const struct http_subscriber *subscriber, void *arg) {
    struct str fields cleanup_str = {0};
    (void)str_append(&fields, more_fields);
    int r = remote_append_fields(projector->remote, NULL, &fields);
    return r < 0 ? r
                 : http_server_subscribe(projector->server, projector->remote->store, target, fields.data, subscriber,
                                         arg);
}

// ---- the thread --------------------------------------------------------------------------------------------------------

static bool wait_until(struct projector *projector, int64_t due_ns) {
    struct timespec until = {.tv_sec = due_ns / NS_PER_S, .tv_nsec = due_ns % NS_PER_S};
    LOCK_SCOPE(&projector->lock);
    int r = 0;
    while (!projector->wake && !projector->stop && r != ETIMEDOUT)
        r = due_ns == DEADLINE_NONE ? pthread_cond_wait(&projector->woken, &projector->lock)
                                    : pthread_cond_timedwait(&projector->woken, &projector->lock, &until);
    projector->wake = false;
    return !projector->stop;
}

static void *run(void *arg) {
    struct projector *projector = arg;
    int64_t due = 0;
    do {
        due = DEADLINE_NONE;
        for (size_t i = 0; i < projector->count; i++) {
            int64_t next = projection_turn(&projector->projections[i], clock_monotonic(&clock_system));
            due = next < due ? next : due;
        }
    } while (wait_until(projector, due));
    return NULL;
}

// ---- begin and end ------------------------------------------------------------------------------------------------------

int projector_new(const struct projector_options *options, const struct remote *remote, struct projector **ret,
                  struct err *err) {
    const struct project_specs *specs = &options->specs;
    struct projector *projector = mem_zalloc(sizeof *projector + specs->count * sizeof projector->projections[0]);
    pthread_condattr_t attr;
    if (!projector)
        return err_set(err, -ENOMEM, "out of memory");
    projector->remote = remote;
    (void)pthread_mutex_init(&projector->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&projector->woken, &attr);
    (void)pthread_condattr_destroy(&attr);
    projection_metrics_register();
    int r = 0;
    for (size_t i = 0; r == 0 && i < specs->count; i++) {
        r = projection_open(&projector->projections[i], projector, &specs->items[i], options->bytes_max, options->mode,
                            err);
        projector->count += r == 0;
    }
    if (r == 0 && options->notify)
        r = notifier_start(options->notify, &projector->notifier, err);
    if (r < 0) {
        (void)projector_free(projector);
        return r;
    }
    *ret = projector;
    return 0;
}

int projector_start(struct projector *projector, struct http_server *server, struct err *err) {
    projector->server = server;
    int r = pthread_create(&projector->thread, NULL, run, projector);
    if (r != 0)
        return err_set(err, -r, "cannot start a thread: %s", err_name(r));
    projector->started = true;
    return 0;
}

void projector_stop(struct projector *projector) {
    if (!projector || !projector->started)
        return;
    projector_lock(projector);
    projector->stop = true;
    projector_wake(projector);
    projector_unlock(projector);
    (void)pthread_join(projector->thread, NULL);
    projector->started = false;
}

struct projector *projector_free(struct projector *projector) {
    if (!projector)
        return NULL;
    projector_stop(projector);
    projector->notifier = notifier_stop(projector->notifier);
    for (size_t i = 0; i < projector->count; i++)
        projection_done(&projector->projections[i]);
    (void)pthread_cond_destroy(&projector->woken);
    (void)pthread_mutex_destroy(&projector->lock);
    free(projector);
    return NULL;
}

bool projector_ready(struct projector *projector, struct err *err) {
    LOCK_SCOPE(&projector->lock);
    for (size_t i = 0; i < projector->count; i++)
        if (!projector->projections[i].shown) {
            (void)err_set(err, -EAGAIN, "%s", projector->projections[i].problem);
            return false;
        }
    return true;
}
