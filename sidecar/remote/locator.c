// SPDX-License-Identifier: Apache-2.0
#include "sidecar/remote/locator.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"

#define AGAIN_S 30   // a name that works is looked up so often
#define PATIENCE_S 2 // with a lookup, at the start and at the end

struct locator {
    struct http_upstream *upstream;
    const char *host, *port;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop, looked; // under the lock
};

// Until the flag is set, or so many seconds. Is it set?
static bool wait_for(struct locator *locator, const bool *flag, time_t seconds) {
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    LOCK_SCOPE(&locator->lock);
    int r = 0;
    while (!*flag && r == 0)
        r = pthread_cond_timedwait(&locator->changed, &locator->lock, &until);
    return *flag;
}

static void set(struct locator *locator, bool *flag) {
    LOCK_SCOPE(&locator->lock);
    *flag = true;
    (void)pthread_cond_broadcast(&locator->changed);
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
        set(locator, &locator->looked);
    } while (!wait_for(locator, &locator->stop, 1));
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
    (void)pthread_cond_init(&locator->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    int r = pthread_create(&locator->thread, NULL, run, locator);
    if (r != 0) {
        free(locator);
        return err_set(err, -r, "cannot start a thread: %s", err_name(r));
    }
    (void)wait_for(locator, &locator->looked, PATIENCE_S);
    *ret = locator;
    return 0;
}

bool locator_stop(struct locator *locator) {
    struct timespec until;
    if (!locator)
        return true;
    set(locator, &locator->stop);
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    if (pthread_timedjoin_np(locator->thread, NULL, &until) != 0)
        return false;
    (void)pthread_cond_destroy(&locator->changed);
    (void)pthread_mutex_destroy(&locator->lock);
    free(locator);
    return true;
}
