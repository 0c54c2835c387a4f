// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cache_watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/cache/cache.h"
#include "lib/kube/event.h"

#define LOOK_NS (15 * NS_PER_S)

struct cache_watch {
    const char *dir, *node_id;
    struct kube *kube;
    struct kube_events *events;
    bool failed; // as the cluster knows it
    pthread_t thread;
    bool running, stopping;
    pthread_mutex_t lock;
    pthread_cond_t wake;
};

// Before the first volume there is no index, which is no failure.
static bool is_failed(const char *dir, char *reason, size_t size) {
    struct cache_disk disk = {0};
    struct cache_figures *figures = NULL;
    struct err err = ERR_NONE;
    size_t count = 0;
    int r = cache_read_figures(dir, &disk, &figures, &count, &err);
    free(figures);
    if (r == -ENOENT && access(dir, R_OK | X_OK) == 0)
        r = 0;
    (void)snprintf(reason, size, "%s", r < 0 ? err_text(&err) : disk.reason);
    return r < 0 || disk.sick;
}

static int tell(struct cache_watch *watch, bool failed, const char *reason) {
    struct json *node cleanup(json_freep) = NULL;
    struct err err = ERR_NONE;
    char *path cleanup_free = kube_path("/api/v1/nodes", watch->node_id);
    char *message cleanup_free =
        failed ? mem_printf("The cache of node-group volumes in %s stores nothing: %s. Reads go to the origin. Mend or "
                            "replace the disk; what is stored there may be lost without harm.",
                            watch->dir, reason)
               : mem_printf("The cache of node-group volumes in %s stores again.", watch->dir);
    int r = path && message ? kube_get(watch->kube, path, &node, &err) : err_set(&err, -ENOMEM, "out of memory");
    if (r < 0) {
        log_warning("the cluster is not told of the cache's disk", LOG_S("reason", err_text(&err)));
        return r;
    }
    const struct kube_subject subject = {.api_version = "v1", .kind = "Node", .object = node};
    kube_event(watch->events, &subject, failed, failed ? "CacheDiskFailed" : "CacheDiskRecovered", message);
    kube_events_flush(watch->events);
    return 0;
}

bool cache_watch_look(struct cache_watch *watch) {
    char reason[sizeof((struct cache_disk *)NULL)->reason];
    bool failed = is_failed(watch->dir, reason, sizeof reason);
    if (failed == watch->failed || tell(watch, failed, reason) < 0)
        return false;
    watch->failed = failed;
    return true;
}

static void *watch_main(void *arg) {
    struct cache_watch *watch = arg;
    (void)pthread_mutex_lock(&watch->lock);
    while (!watch->stopping) {
        (void)pthread_mutex_unlock(&watch->lock);
        (void)cache_watch_look(watch);
        (void)pthread_mutex_lock(&watch->lock);
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += LOOK_NS / NS_PER_S;
        while (!watch->stopping && pthread_cond_timedwait(&watch->wake, &watch->lock, &until) == 0)
            continue;
    }
    (void)pthread_mutex_unlock(&watch->lock);
    return NULL;
}

int cache_watch_new(const struct cache_watch_options *options, struct cache_watch **ret, struct err *err) {
    struct cache_watch *watch = mem_zalloc(sizeof *watch);
    if (!watch) {
        (void)kube_free(options->kube);
        return err_set(err, -ENOMEM, "out of memory");
    }
    *watch = (struct cache_watch){.dir = options->dir, .node_id = options->node_id, .kube = options->kube};
    pthread_condattr_t attr;
    (void)pthread_mutex_init(&watch->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&watch->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    const struct kube_events_options events = {
        .kube = watch->kube, .component = "stowage-node", .instance = watch->node_id, .clock = options->clock};
    int r = kube_events_new(&events, &watch->events, err);
    if (r < 0) {
        (void)cache_watch_free(watch);
        return r;
    }
    *ret = watch;
    return 0;
}

int cache_watch_start(const char *dir, const char *node_id, struct cache_watch **ret, struct err *err) {
    struct cache_watch_options options = {.dir = dir, .node_id = node_id};
    *ret = NULL;
    if (!kube_in_cluster())
        return 0;
    int r = kube_new(NULL, &options.kube, err);
    if (r == 0)
        r = cache_watch_new(&options, ret, err);
    if (r < 0)
        return r;
    r = pthread_create(&(*ret)->thread, NULL, watch_main, *ret);
    if (r) {
        *ret = cache_watch_free(*ret);
        return err_set(err, -r, "cannot start a thread: %s", err_name(r));
    }
    (*ret)->running = true;
    return 0;
}

struct cache_watch *cache_watch_free(struct cache_watch *watch) {
    if (!watch)
        return NULL;
    if (watch->running) {
        {
            LOCK_SCOPE(&watch->lock);
            watch->stopping = true;
            (void)pthread_cond_signal(&watch->wake);
        }
        (void)pthread_join(watch->thread, NULL);
    }
    (void)kube_events_free(watch->events);
    (void)kube_free(watch->kube);
    (void)pthread_cond_destroy(&watch->wake);
    (void)pthread_mutex_destroy(&watch->lock);
    free(watch);
    return NULL;
}
