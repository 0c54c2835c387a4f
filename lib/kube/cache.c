// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/strmap.h"
#include "lib/kube/object.h"

#define KEPT_MAX (8U << 20)

struct item {
    char *key, *text;          // the kept part as JSON
    char *index;               // NULL: none
    uint32_t round;            // of the list that saw it last
    struct item *next, **link; // among those of the same index
};

struct group {
    struct item *first;
};

struct kube_cache {
    struct kube_cache_options options;
    struct kube_watch *watch;
    pthread_t thread;
    bool started;
    atomic_bool stopping;
    pthread_mutex_t lock; // of what follows
    pthread_cond_t wake;  // of a pause, when stopping
    struct strmap items, groups;
    uint32_t round;
    bool whole;
};

// ---- items, under the lock -------------------------------------------------------------------------------------------

static struct item *item_free(struct item *item) {
    if (item) {
        free(item->key);
        free(item->text);
        free(item->index);
        free(item);
    }
    return NULL;
}
DEFINE_CLEANUP(item)

static void unlink_item(struct kube_cache *cache, struct item *item) {
    if (!item->link)
        return;
    *item->link = item->next;
    if (item->next)
        item->next->link = item->link;
    item->link = NULL;
    struct group *group = strmap_get(&cache->groups, item->index);
    if (group && !group->first)
        free(strmap_remove(&cache->groups, item->index));
}

static int link_item(struct kube_cache *cache, struct item *item) {
    if (!item->index)
        return 0;
    struct group *group = strmap_get(&cache->groups, item->index);
    if (!group) {
        group = mem_zalloc(sizeof *group);
        if (!group || strmap_put(&cache->groups, item->index, group) < 0) {
            free(group);
            return -ENOMEM;
        }
    }
    item->next = group->first;
    if (item->next)
        item->next->link = &item->next;
    item->link = &group->first;
    group->first = item;
    return 0;
}

static void drop(struct kube_cache *cache, struct item *item) {
    unlink_item(cache, item);
    (void)strmap_remove(&cache->items, item->key);
    (void)item_free(item);
}

static int make_item(const struct kube_cache *cache, const struct json *object, struct item **ret) {
    struct item *item cleanup(item_freep) = mem_zalloc(sizeof *item);
    struct json *kept cleanup(json_freep) = kube_keep(object, cache->options.kept);
    const char *index = kept && cache->options.index ? kube_text(kept, cache->options.index) : NULL;
    if (!item || !kept)
        return -ENOMEM;
    item->key = kube_key(object);
    item->text = json_dump(kept, false);
    item->index = mem_strdup(index);
    if (!item->key || !item->text || (index && !item->index))
        return -ENOMEM;
    *ret = take_ptr(item);
    return 0;
}

// Puts `item` in the place of `old`. What was there stays when memory is short.
static int put(struct kube_cache *cache, struct item *item, struct item *old) {
    if (link_item(cache, item) < 0)
        return -ENOMEM;
    if (strmap_put(&cache->items, item->key, item) < 0) {
        unlink_item(cache, item);
        return -ENOMEM;
    }
    if (old) {
        unlink_item(cache, old);
        (void)item_free(old);
    }
    return 0;
}

// ---- what the watch tells --------------------------------------------------------------------------------------------

static void tell(const struct kube_cache *cache, const char *key, const char *index) {
    if (cache->options.changed)
        cache->options.changed(cache->options.arg, key, index);
}

static void on_begin(void *arg) {
    struct kube_cache *cache = arg;
    LOCK_SCOPE(&cache->lock);
    cache->round++;
}

// What has to be told after the lock is released.
struct change {
    char *key, *before, *after; // its index, then and now
    bool is;
};
static void change_done(struct change *change) {
    free(change->key);
    free(change->before);
    free(change->after);
}

static int note(struct change *change, const char *key, const char *before, const char *after) {
    change->is = true;
    change->key = mem_strdup(key);
    change->before = mem_strdup(before);
    change->after = mem_strdup(after);
    return change->key && (!before || change->before) && (!after || change->after) ? 0 : -ENOMEM;
}

static int apply(struct kube_cache *cache, struct item **fresh, bool gone, struct change *change) {
    LOCK_SCOPE(&cache->lock);
    struct item *old = strmap_get(&cache->items, (*fresh)->key);
    int r = 0;
    if (gone) {
        r = old ? note(change, old->key, old->index, NULL) : 0;
        if (old && r == 0)
            drop(cache, old);
        return r;
    }
    (*fresh)->round = cache->round;
    if (old && str_eq(old->text, (*fresh)->text)) {
        old->round = cache->round;
        return 0;
    }
    r = note(change, (*fresh)->key, old ? old->index : NULL, (*fresh)->index);
    if (r == 0)
        r = put(cache, *fresh, old);
    if (r == 0)
        (void)take_ptr(*fresh);
    return r;
}

static int on_object(void *arg, const struct json *object, bool gone, struct err *err) {
    struct kube_cache *cache = arg;
    struct item *fresh cleanup(item_freep) = NULL;
    struct change change cleanup(change_done) = {0};
    int r = make_item(cache, object, &fresh);
    if (r == 0)
        r = apply(cache, &fresh, gone, &change);
    if (r < 0)
        return err_set(err, r, "out of memory");
    if (change.is && (change.after || !change.before))
        tell(cache, change.key, change.after);
    if (change.is && change.before && !str_eq(change.before, change.after))
        tell(cache, change.key, change.before);
    return 0;
}

// One that the list did not name. 1: dropped; 0: there is none (left); -ENOMEM.
static int drop_one_unseen(struct kube_cache *cache, struct change *change) {
    LOCK_SCOPE(&cache->lock);
    const struct strmap_slot *slot;
    for (size_t i = 0; (slot = strmap_next(&cache->items, &i));) {
        struct item *item = slot->value;
        if (item->round == cache->round)
            continue;
        if (note(change, item->key, item->index, NULL) < 0)
            return -ENOMEM;
        drop(cache, item);
        return 1;
    }
    cache->whole = true;
    return 0;
}

static int on_whole(void *arg, struct err *err) {
    struct kube_cache *cache = arg;
    for (;;) {
        struct change change cleanup(change_done) = {0};
        int r = drop_one_unseen(cache, &change);
        if (r <= 0)
            return r < 0 ? err_set(err, r, "out of memory") : 0;
        tell(cache, change.key, change.before);
    }
}

// ---- the thread ------------------------------------------------------------------------------------------------------

static bool is_stopping(void *arg) {
    return atomic_load(&((struct kube_cache *)arg)->stopping);
}

static void pause_for(struct kube_cache *cache, uint32_t ms) {
    int64_t until_ns = clock_monotonic(&clock_system) + ms * NS_PER_MS;
    struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};
    LOCK_SCOPE(&cache->lock);
    while (!is_stopping(cache) && pthread_cond_timedwait(&cache->wake, &cache->lock, &until) == 0)
        continue;
}

int kube_cache_step(struct kube_cache *cache, struct err *err) {
    return kube_watch_step(cache->watch, err);
}

static void *run(void *arg) {
    struct kube_cache *cache = arg;
    int last = 0;
    while (!is_stopping(cache)) {
        struct err err = ERR_NONE;
        int r = kube_cache_step(cache, &err);
        uint32_t pause_ms = kube_watch_pause_ms(cache->watch);
        // Once for a trouble, not once for each try; a version that is too old is none.
        if (r < 0 && r != -ECANCELED && r != -ESTALE && r != last)
            log_warning("the cluster cannot be watched; trying again",
                        LOG_S("what", kube_watch_collection(cache->watch)), LOG_S("error", err_text(&err)));
        last = r;
        if (pause_ms)
            pause_for(cache, pause_ms);
    }
    return NULL;
}

int kube_cache_new(const struct kube_cache_options *options, struct kube_cache **ret, struct err *err) {
    static const struct kube_watch_sink sink = {.begin = on_begin, .object = on_object, .whole = on_whole};
    struct kube_cache *cache cleanup(kube_cache_freep) = mem_zalloc(sizeof *cache);
    if (!cache)
        return err_set(err, -ENOMEM, "out of memory");
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&cache->lock, NULL);
    (void)pthread_cond_init(&cache->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    cache->options = *options;
    cache->options.collection = cache->options.selector = NULL; // the caller's: the watch has copies
    const struct kube_watch_options watch = {.kube = options->kube,
                                             .collection = options->collection,
                                             .selector = options->selector,
                                             .page = options->page,
                                             .clock = options->clock,
                                             .sink = &sink,
                                             .arg = cache,
                                             .cancelled = is_stopping,
                                             .cancel_arg = cache};
    int r = kube_watch_new(&watch, &cache->watch, err);
    if (r == 0)
        *ret = take_ptr(cache);
    return r;
}

int kube_cache_start(struct kube_cache *cache, struct err *err) {
    int r = pthread_create(&cache->thread, NULL, run, cache);
    if (r != 0)
        return err_set(err, -r, "no thread can be made");
    cache->started = true;
    return 0;
}

void kube_cache_stop(struct kube_cache *cache) {
    LOCK_SCOPE(&cache->lock);
    atomic_store(&cache->stopping, true);
    (void)pthread_cond_broadcast(&cache->wake);
}

struct kube_cache *kube_cache_free(struct kube_cache *cache) {
    if (!cache)
        return NULL;
    const struct strmap_slot *slot;
    kube_cache_stop(cache);
    if (cache->started)
        (void)pthread_join(cache->thread, NULL);
    for (size_t i = 0; (slot = strmap_next(&cache->items, &i));)
        (void)item_free(slot->value);
    for (size_t i = 0; (slot = strmap_next(&cache->groups, &i));)
        free(slot->value);
    strmap_done(&cache->items);
    strmap_done(&cache->groups);
    (void)kube_watch_free(cache->watch);
    (void)pthread_cond_destroy(&cache->wake);
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
    return NULL;
}

// ---- questions -------------------------------------------------------------------------------------------------------

bool kube_cache_is_whole(struct kube_cache *cache) {
    LOCK_SCOPE(&cache->lock);
    return cache->whole;
}

size_t kube_cache_count(struct kube_cache *cache) {
    LOCK_SCOPE(&cache->lock);
    return cache->items.len;
}

int kube_cache_get(struct kube_cache *cache, const char *key, struct json **ret, struct err *err) {
    LOCK_SCOPE(&cache->lock);
    const struct item *item = strmap_get(&cache->items, key);
    if (!item)
        return err_set(err, -ENOENT, "'%.120s' is not there", key);
    return json_parse_body(item->text, strlen(item->text), KEPT_MAX, ret, err);
}

int kube_cache_each(struct kube_cache *cache, const char *index, int (*fn)(void *arg, const struct json *object),
                    void *arg, struct err *err) {
    LOCK_SCOPE(&cache->lock);
    const struct group *group = strmap_get(&cache->groups, index);
    int r = 0;
    for (const struct item *item = group ? group->first : NULL; item && r == 0; item = item->next) {
        struct json *object cleanup(json_freep) = NULL;
        r = json_parse_body(item->text, strlen(item->text), KEPT_MAX, &object, err);
        if (r == 0)
            r = fn(arg, object);
    }
    return r;
}
