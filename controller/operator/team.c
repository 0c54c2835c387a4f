// SPDX-License-Identifier: Apache-2.0
#include "controller/operator/team.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/kube/queue.h"

#define SOURCES_MAX 16
#define SHORT_OF_MEMORY_US 100000 // until it is tried again
#define THREADS_MAX 16
#define NOT_YET_MS 300 // until the caches are whole, or this process leads again

struct watched {
    struct team *team;
    const struct source *source;
    struct kube_cache *cache;
};

struct team {
    struct team_options options;
    struct operator_context ctx;
    struct watched watched[SOURCES_MAX];
    size_t watched_count;
    struct kube_queue *queue;
    pthread_t threads[THREADS_MAX];
    unsigned thread_count;
    atomic_bool whole;
};

static struct metric reconciles = {.type = METRIC_COUNTER,
                                   .name = "stowage_operator_reconciles_total",
                                   .help = "Objects that were looked at, by kind and result.",
                                   .labels = {"kind", "result"}};

// ---- what makes work -------------------------------------------------------------------------------------------------

// A key of the queue names the reconciler by its number: "0/training".
static void queue_object(struct team *team, size_t reconciler, const char *key, int64_t after_ms) {
    char *text cleanup_free = mem_printf("%zu/%s", reconciler, key);
    if (!text || kube_queue_add(team->queue, text, after_ms) < 0)
        log_error("an object is not looked at: out of memory", LOG_S("object", key));
}

static void on_changed(void *arg, const char *key, const char *index) {
    const struct watched *watched = arg;
    const struct reconciler *const *all = watched->team->options.reconcilers;
    const char *related = watched->source->index ? index : key;
    for (size_t i = 0; all[i]; i++) {
        if (all[i]->objects == watched->source)
            queue_object(watched->team, i, key, 0);
        for (const struct source *const *source = all[i]->related; source && *source; source++)
            if (*source == watched->source && related)
                queue_object(watched->team, i, related, 0);
    }
}

static struct kube_cache *cache_of(const struct operator_context *ctx, const struct source *source) {
    const struct team *team = ctx->arg;
    for (size_t i = 0; i < team->watched_count; i++)
        if (team->watched[i].source == source)
            return team->watched[i].cache;
    return NULL;
}

// ---- the work --------------------------------------------------------------------------------------------------------

static bool may_work(struct team *team) {
    bool whole = atomic_load(&team->whole);
    for (size_t i = 0; !whole && i < team->watched_count; i++)
        if (!kube_cache_is_whole(team->watched[i].cache))
            return false;
    atomic_store(&team->whole, true);
    return team->options.leading(team->options.arg);
}

static int look_at(struct team *team, const struct reconciler *reconciler, const char *key, int64_t *ret_again_ms,
                   struct err *err) {
    struct json *object cleanup(json_freep) = NULL;
    int r = kube_cache_get(cache_of(&team->ctx, reconciler->objects), key, &object, err);
    if (r == -ENOENT)
        return 0; // gone, with all that was its own
    return r < 0 ? r : reconciler->reconcile(&team->ctx, object, ret_again_ms, err);
}

static void settle(struct team *team, const struct reconciler *reconciler, char *key, int result, int64_t again_ms,
                   const struct err *err) {
    char *copy cleanup_free = again_ms ? mem_strdup(key) : NULL;
    if (result == 0) {
        kube_queue_done(team->queue, key);
        if (copy && kube_queue_add(team->queue, copy, again_ms) < 0)
            log_error("an object is not looked at again: out of memory", LOG_S("object", copy));
        return;
    }
    char *name cleanup_free = mem_strdup(strchr(key, '/') + 1);
    uint32_t pause_ms = kube_queue_failed(team->queue, key);
    if (result != -EAGAIN)
        log_warning("not as it should be yet; trying again", LOG_S("kind", reconciler->kind), LOG_S("object", name),
                    LOG_S("error", err_text(err)), LOG_I("again_ms", pause_ms));
}

static void work_on(struct team *team, char *key) {
    struct err err = ERR_NONE;
    int64_t again_ms = 0;
    uint64_t number = 0;
    char *slash = strchr(key, '/');
    *slash = '\0';
    int r = str_to_u64(key, 0, SOURCES_MAX, &number);
    *slash = '/';
    const struct reconciler *reconciler = team->options.reconcilers[number];
    if (r == 0 && !may_work(team)) {
        settle(team, reconciler, key, 0, NOT_YET_MS, &err);
        return;
    }
    if (r == 0)
        r = look_at(team, reconciler, slash + 1, &again_ms, &err);
    metric_add(&reconciles, reconciler->kind, r == 0 ? "ok" : r == -EAGAIN ? "changed" : "failed", 1);
    settle(team, reconciler, key, r, again_ms, &err);
}

static void *work(void *arg) {
    struct team *team = arg;
    char *key;
    for (;;) {
        int r = kube_queue_take(team->queue, &key);
        if (r == -ECANCELED)
            return NULL;
        if (r == 0)
            work_on(team, key);
        else
            (void)usleep(SHORT_OF_MEMORY_US);
    }
}

// ---- beginning and end -----------------------------------------------------------------------------------------------

static int watch_source(struct team *team, const struct source *source, struct err *err) {
    if (cache_of(&team->ctx, source))
        return 0;
    if (team->watched_count == SOURCES_MAX)
        return err_set(err, -E2BIG, "more than %d kinds are watched", SOURCES_MAX);
    struct watched *watched = &team->watched[team->watched_count];
    char *collection cleanup_free =
        kube_collection(source->group, source->own_namespace ? team->options.ns : NULL, source->plural);
    if (!collection)
        return err_set(err, -ENOMEM, "out of memory");
    *watched = (struct watched){.team = team, .source = source};
    const struct kube_cache_options options = {.kube = team->options.kube,
                                               .collection = collection,
                                               .selector = source->selector,
                                               .page = source->page,
                                               .kept = source->kept,
                                               .index = source->index,
                                               .changed = on_changed,
                                               .arg = watched};
    int r = kube_cache_new(&options, &watched->cache, err);
    if (r == 0)
        team->watched_count++;
    return r;
}

static int watch_sources(struct team *team, const struct source *const *sources, struct err *err) {
    int r = 0;
    for (; r == 0 && sources && *sources; sources++)
        r = watch_source(team, *sources, err);
    return r;
}

static int watch_all(struct team *team, struct err *err) {
    int r = 0;
    for (const struct reconciler *const *one = team->options.reconcilers; r == 0 && *one; one++) {
        r = watch_source(team, (*one)->objects, err);
        if (r == 0)
            r = watch_sources(team, (*one)->related, err);
        if (r == 0)
            r = watch_sources(team, (*one)->looked_at, err);
    }
    for (size_t i = 0; r == 0 && i < team->watched_count; i++)
        r = kube_cache_start(team->watched[i].cache, err);
    return r;
}

static int start_threads(struct team *team, struct err *err) {
    for (unsigned i = 0; i < team->options.threads && i < THREADS_MAX; i++) {
        int r = pthread_create(&team->threads[i], NULL, work, team);
        if (r != 0)
            return err_set(err, -r, "no thread can be made");
        team->thread_count++;
    }
    return 0;
}

int team_new(const struct team_options *options, struct team **ret, struct err *err) {
    struct team *team cleanup(team_freep) = mem_zalloc(sizeof *team);
    if (!team)
        return err_set(err, -ENOMEM, "out of memory");
    metric_register(&reconciles);
    team->options = *options;
    team->ctx = (struct operator_context){.kube = options->kube,
                                          .events = options->events,
                                          .reach = options->reach,
                                          .hits = options->hits,
                                          .store = options->store,
                                          .survey = options->survey,
                                          .clock = &clock_system,
                                          .ns = options->ns,
                                          .cache = cache_of,
                                          .arg = team};
    int r = kube_queue_new(&(struct kube_queue_options){0}, &team->queue, err);
    if (r == 0)
        r = watch_all(team, err);
    if (r == 0)
        r = start_threads(team, err);
    if (r == 0)
        *ret = take_ptr(team);
    return r;
}

struct team *team_free(struct team *team) {
    if (!team)
        return NULL;
    if (team->queue)
        kube_queue_stop(team->queue);
    for (size_t i = 0; i < team->watched_count; i++) // all at once, for each takes up to a second
        kube_cache_stop(team->watched[i].cache);
    for (unsigned i = 0; i < team->thread_count; i++)
        (void)pthread_join(team->threads[i], NULL);
    for (size_t i = 0; i < team->watched_count; i++)
        (void)kube_cache_free(team->watched[i].cache);
    (void)kube_queue_free(team->queue);
    free(team);
    return NULL;
}

size_t team_waiting(struct team *team) {
    return kube_queue_length(team->queue);
}
