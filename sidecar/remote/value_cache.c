// SPDX-License-Identifier: Apache-2.0
#include "sidecar/remote/value_cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/metrics.h"
#include "lib/base/strmap.h"
#include "lib/http/head.h"
#include "sidecar/remote/routes.h"
#include "sidecar/remote/watch.h"

#define ENTRY_COST 256    // of its own memory, beside key and value
#define SLOTS 256         // counters of changes
#define AGAIN_NS NS_PER_S // between two tries to watch

struct entry {
    struct space *space;
    char *key, *data;
    size_t len;
    char etag[32];
    struct entry *newer, *older;
};

struct space { // a namespace below one prefix
    struct value_cache *cache;
    char *prefix, *ns;
    struct strmap entries;
    uint32_t changes[SLOTS]; // by hash of the key: what was read before the last change is not kept
    bool watching, live;     // live: the watch tells of every change
    int64_t heard_ns, tried_ns;
    struct watch_reader reader;
    struct space *next;
};

struct value_cache {
    const struct remote *remote;
    int64_t limit;
    pthread_mutex_t lock; // of all that follows
    struct space *spaces;
    size_t space_count;
    int64_t used;
    struct entry *newest, *oldest;
};

struct visit { // a request that is passed on
    struct value_cache *cache;
    struct space *space; // of a read
    struct cache_key key;
    uint32_t seen;
    bool watched; // already when it was sent: a change between its reading and the watch's begin would be missed
    bool writes;
};

static struct metric lookups = {
    .type = METRIC_COUNTER, .name = "stowage_sidecar_cache_total", .help = "Reads of keys", .labels = {"result"}};

// ---- entries; with the lock held ---------------------------------------------------------------------------------------

static uint32_t *slot_of(struct space *space, const char *key) {
    uint32_t hash = 2166136261U;
    for (; *key; key++)
        hash = (hash ^ (unsigned char)*key) * 16777619U;
    return &space->changes[hash % SLOTS];
}

static void unlink_entry(struct value_cache *cache, struct entry *entry) {
    *(entry->newer ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void link_newest(struct value_cache *cache, struct entry *entry) {
    entry->newer = NULL;
    entry->older = cache->newest;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

static int64_t cost_of(const struct entry *entry) {
    return (int64_t)(entry->len + strlen(entry->key)) + ENTRY_COST;
}

static void drop(struct value_cache *cache, struct entry *entry) {
    if (!entry)
        return;
    (void)strmap_remove(&entry->space->entries, entry->key);
    unlink_entry(cache, entry);
    cache->used -= cost_of(entry);
    free(entry->key);
    free(entry->data);
    free(entry);
}

static void change_key(struct space *space, const char *key) {
    ++*slot_of(space, key);
    drop(space->cache, strmap_get(&space->entries, key));
}

static void change_all(struct space *space) {
    for (size_t i = 0; i < SLOTS; i++)
        space->changes[i]++;
    for (struct entry *entry = space->cache->newest, *next; entry; entry = next) {
        next = entry->older;
        if (entry->space == space)
            drop(space->cache, entry);
    }
}

// What a request changes: of one key, or of a namespace, or of nobody knows which; below every prefix.
static void change(struct value_cache *cache, const struct cache_key *what) {
    for (struct space *space = cache->spaces; space; space = space->next) {
        if (what->ns && !str_eq(space->ns, what->ns))
            continue;
        if (what->ns && what->key)
            change_key(space, what->key);
        else
            change_all(space);
    }
}

static void keep(struct space *space, const char *key, const char *etag, const char *data, size_t len) {
    struct value_cache *cache = space->cache;
    struct entry *entry = mem_zalloc(sizeof *entry);
    if (!entry)
        return;
    drop(cache, strmap_get(&space->entries, key));
    entry->space = space;
    entry->key = mem_strdup(key);
    entry->data = mem_alloc(len + 1);
    if (!entry->key || !entry->data || strmap_put(&space->entries, key, entry) < 0) {
        free(entry->key);
        free(entry->data);
        free(entry);
        return;
    }
    memcpy(entry->data, data, len);
    entry->len = len;
    (void)snprintf(entry->etag, sizeof entry->etag, "%s", etag);
    link_newest(cache, entry);
    cache->used += cost_of(entry);
    while (cache->used > cache->limit && cache->oldest)
        drop(cache, cache->oldest);
}

// ---- the watch -----------------------------------------------------------------------------------------------------------

static bool is_usable(const struct space *space) {
    return space->live && clock_monotonic(&clock_system) - space->heard_ns <= CACHE_HEARD_S * NS_PER_S;
}

static int take_change(void *arg, const struct json *event) {
    struct watch_bytes key cleanup(watch_bytes_done) = {0};
    if (watch_bytes_get(event, "key", &key) < 0)
        return -EBADMSG;
    change_key(arg, key.data);
    return 0;
}

static int hear(void *arg, const char *data, size_t len) {
    static const struct watch_ops ops = {.change = take_change};
    struct space *space = arg;
    LOCK_SCOPE(&space->cache->lock);
    space->heard_ns = clock_monotonic(&clock_system);
    space->live = true;
    return watch_read(&space->reader, data, len, &ops, space);
}

static void watch_ended(void *arg) {
    struct space *space = arg;
    LOCK_SCOPE(&space->cache->lock);
    space->live = space->watching = false;
    watch_reader_done(&space->reader);
    change_all(space);
}

static void watch(struct space *space, struct http_request *request) {
    static const struct http_subscriber subscriber = {.bytes = hear, .ended = watch_ended};
    struct str fields cleanup_str = {0}, target cleanup_str = {0};
    const struct remote *remote = space->cache->remote;
    (void)str_append(&fields, "Accept: text/event-stream\r\n");
    (void)str_printf(&target, "%s/kv/namespaces/%s/watch?since=now&heartbeat=%d", space->prefix, space->ns,
                     WATCH_HEARTBEAT_S);
    if (remote_append_fields(remote, NULL, &fields) < 0 || target.failed ||
        http_subscribe(request, remote->store, target.data, fields.data, &subscriber, space) < 0)
        watch_ended(space);
}

// ---- requests --------------------------------------------------------------------------------------------------------------

static struct space *space_of(struct value_cache *cache, const struct cache_key *key) {
    for (struct space *space = cache->spaces; space; space = space->next)
        if (str_eq(space->ns, key->ns) && str_eq(space->prefix, key->prefix))
            return space;
    struct space *space = cache->space_count < CACHE_NAMESPACES_MAX ? mem_zalloc(sizeof *space) : NULL;
    if (!space)
        return NULL;
    space->cache = cache;
    space->ns = mem_strdup(key->ns);
    space->prefix = mem_strdup(key->prefix);
    if (!space->ns || !space->prefix) {
        free(space->ns);
        free(space->prefix);
        free(space);
        return NULL;
    }
    space->next = cache->spaces;
    cache->spaces = space;
    cache->space_count++;
    return space;
}

static void visit_free(struct visit *visit) {
    cache_key_done(&visit->key);
    free(visit);
}

static void answered(void *arg, unsigned status, const struct http_head *head, const char *body, size_t len) {
    struct visit *visit = arg;
    const char *etag = http_head_field(head, "ETag");
    LOCK_SCOPE(&visit->cache->lock);
    if (visit->writes) {
        change(visit->cache, &visit->key);
        return;
    }
    bool same = visit->watched && *slot_of(visit->space, visit->key.key) == visit->seen && is_usable(visit->space);
    if (same && status == 200 && body && etag && strlen(etag) < sizeof(((struct entry *)0)->etag) &&
        !http_head_field(head, "Stowage-Expires-Ms"))
        keep(visit->space, visit->key.key, etag, body, len);
}

static void ended(void *arg) {
    struct visit *visit = arg;
    if (visit->writes) { // also one whose answer never came
        LOCK_SCOPE(&visit->cache->lock);
        change(visit->cache, &visit->key);
    }
    visit_free(visit);
}

static void accompany(struct http_forward *forward, struct visit *visit) {
    static const struct http_forward_watcher watcher = {answered, ended};
    forward->watcher = &watcher;
    forward->arg = visit;
}

static bool wants_any(const struct http_request *request) {
    static const char *const conditions[] = {"If-Match", "If-None-Match", "Range", "Cache-Control", "Pragma"};
    for (size_t i = 0; i < ARRAY_SIZE(conditions); i++)
        if (http_request_header(request, conditions[i]))
            return false;
    return true;
}

// True: answered. Else `visit` goes along, and *ret_watch is to be watched.
static bool look_up(struct value_cache *cache, struct http_request *request, struct visit *visit,
                    struct space **ret_watch) {
    LOCK_SCOPE(&cache->lock);
    struct space *space = visit->space = space_of(cache, &visit->key);
    int64_t now = clock_monotonic(&clock_system);
    if (!space)
        return false;
    struct entry *entry = is_usable(space) ? strmap_get(&space->entries, visit->key.key) : NULL;
    if (!space->watching && now - space->tried_ns > AGAIN_NS) {
        space->watching = true;
        space->tried_ns = now;
        *ret_watch = space;
    }
    visit->seen = *slot_of(space, visit->key.key);
    visit->watched = is_usable(space);
    if (!entry)
        return false;
    unlink_entry(cache, entry);
    link_newest(cache, entry);
    if (http_reply_header(request, "ETag", entry->etag) == 0 &&
        http_reply_header(request, "Cache-Control", "no-cache") == 0 &&
        http_reply_header(request, "Stowage-Cache", "hit") == 0)
        http_reply(request, 200, "application/octet-stream", entry->data, entry->len);
    else
        http_reply_status(request, 503, "out_of_memory", "out of memory; try again later");
    return true;
}

bool value_cache_answers(struct value_cache *cache, struct http_request *request, struct http_forward *forward) {
    enum http_method method = http_request_method(request);
    bool reads = method == HTTP_GET || method == HTTP_HEAD;
    struct visit *visit = mem_zalloc(sizeof *visit);
    struct space *to_watch = NULL;
    if (!visit) {
        http_reply_status(request, 503, "out_of_memory", "out of memory; try again later");
        return true;
    }
    visit->cache = cache;
    visit->writes = !reads;
    bool below = cache_key_parse(request, &visit->key);
    if (!below || (reads && (method == HTTP_HEAD || !visit->key.ns || !visit->key.key || !wants_any(request)))) {
        visit_free(visit);
        return false;
    }
    if (visit->writes) {
        LOCK_SCOPE(&cache->lock);
        change(cache, &visit->key);
        accompany(forward, visit);
        return false;
    }
    bool hit = look_up(cache, request, visit, &to_watch);
    metric_add(&lookups, hit ? "hit" : "miss", NULL, 1);
    if (to_watch)
        watch(to_watch, request);
    if (hit || !visit->space)
        visit_free(visit);
    else
        accompany(forward, visit);
    return hit;
}

// ---- begin and end -----------------------------------------------------------------------------------------------------------

int value_cache_new(int64_t bytes, const struct remote *remote, struct value_cache **ret, struct err *err) {
    struct value_cache *cache = mem_zalloc(sizeof *cache);
    if (!cache)
        return err_set(err, -ENOMEM, "out of memory");
    cache->remote = remote;
    cache->limit = bytes;
    (void)pthread_mutex_init(&cache->lock, NULL);
    metric_register(&lookups);
    *ret = cache;
    return 0;
}

struct value_cache *value_cache_free(struct value_cache *cache) {
    if (!cache)
        return NULL;
    while (cache->oldest)
        drop(cache, cache->oldest);
    for (struct space *space; (space = cache->spaces);) {
        cache->spaces = space->next;
        strmap_done(&space->entries);
        watch_reader_done(&space->reader);
        free(space->prefix);
        free(space->ns);
        free(space);
    }
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
    return NULL;
}
