// SPDX-License-Identifier: Apache-2.0
#include "sidecar/remote/locator.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"

#define AGAIN_S 30 // a name that works is looked up so often
#define STOP_S 2

struct locator {
    struct http_upstream *upstream;
    const char *host, *port;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool stop; // under the lock
};

// A second, or until it ends: true.
static bool wait_a_second(struct locator *locator) {
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    LOCK_SCOPE(&locator->lock);
    int r = 0;
    while (!locator->stop && r == 0)
        r = pthread_cond_timedwait(&locator->stopped, &locator->lock, &until);
    return locator->stop;
}

static void *run(void *arg) {
    struct locator *locator = arg;
    char last[256] = "";
    int age = AGAIN_S;
    do {
        struct err err = ERR_NONE;
        bool missed = http_upstream_missed(locator->upstream);
        if (++age <= AGAIN_S && !missed && !last[0])
            continue;
        age = 0;
        int r = http_upstream_resolve(locator->upstream, locator->host, locator->port, &err);
        if (r < 0 && strcmp(last, err_text(&err)) != 0)
            log_warning("store not found", LOG_S("error", err_text(&err)));
        (void)snprintf(last, sizeof last, "%s", r < 0 ? err_text(&err) : "");
    } while (!wait_a_second(locator));
    return NULL;
}

int locator_start(struct http_upstream *upstream, const char *host, const char *port, struct locator **ret,
                  struct err *err) {
    struct locator *locator = mem_zalloc(sizeof *locator);
    pthread_condattr_t attr;
    if (!locator)
        return err_set(err, -ENOMEM, "out of memory");
    *locator = (struct locator){.upstream = upstream, .host = host, .port = port};
    (void)pthread_mutex_init(&locator->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&locator->stopped, &attr);
    (void)pthread_condattr_destroy(&attr);
    int r = pthread_create(&locator->thread, NULL, run, locator);
    if (r != 0) {
        free(locator);
        return err_set(err, -r, "cannot start a thread: %s", err_name(r));
    }
    *ret = locator;
    return 0;
}

bool locator_stop(struct locator *locator) {
    struct timespec until;
    if (!locator)
        return true;
    (void)pthread_mutex_lock(&locator->lock);
    locator->stop = true;
    (void)pthread_cond_signal(&locator->stopped);
    (void)pthread_mutex_unlock(&locator->lock);
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STOP_S;
    if (pthread_timedjoin_np(locator->thread, NULL, &until) != 0)
        return false;
    (void)pthread_cond_destroy(&locator->stopped);
    (void)pthread_mutex_destroy(&locator->lock);
    free(locator);
    return true;
}
