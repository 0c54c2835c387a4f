// SPDX-License-Identifier: Apache-2.0
#include "sidecar/engine/sqlite/history.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "sidecar/engine/sqlite/store.h"

static void id_key(char ret[static 24], int64_t id) {
    (void)snprintf(ret, 24, "%lld", (long long)id);
}

struct history *history_find(struct histories *h, int64_t ns) {
    char key[24];
    id_key(key, ns);
    return strmap_get(&h->by_id, key);
}

int history_open(struct histories *h, int64_t ns, int64_t version) {
    LOCK_SCOPE(&h->lock);
    if (history_find(h, ns))
        return 0;
    char key[24];
    id_key(key, ns);
    struct history *one = mem_zalloc(sizeof *one);
    if (!one || strmap_put(&h->by_id, key, one) < 0) {
        free(one);
        return -ENOMEM;
    }
    one->id = ns;
    one->floor = one->version = version;
    return 0;
}

static void drop_oldest(struct history *one) {
    struct history_event *event = &one->ring[one->first];
    one->floor = event->version;
    one->bytes -= event->key_len;
    free(event->key);
    one->first = (one->first + 1) % one->cap;
    one->count--;
}

static struct history *history_free(struct history *one) {
    if (one) {
        while (one->count > 0)
            drop_oldest(one);
        free(one->ring);
        free(one);
    }
    return NULL;
}

static int grow(struct history *one) {
    size_t cap = one->cap ? one->cap * 2 : 16;
    struct history_event *ring = mem_array(cap, sizeof *ring);
    if (!ring)
        return -ENOMEM;
    for (size_t i = 0; i < one->count; i++)
        ring[i] = one->ring[(one->first + i) % one->cap];
    free(one->ring);
    one->ring = ring;
    one->first = 0;
    one->cap = cap;
    return 0;
}

// Takes the event's key.
static void add(struct history *one, struct history_event *event) {
    one->version = event->version;
    if (one->count == one->cap && one->cap < HISTORY_EVENTS && grow(one) < 0) {
        while (one->count > 0) // no memory: who watches must list again
            drop_oldest(one);
    }
    while (one->count > 0 && (one->count == HISTORY_EVENTS || one->bytes + event->key_len > HISTORY_BYTES))
        drop_oldest(one);
    if (one->cap == one->count) {
        free(event->key);
        one->floor = event->version;
        return;
    }
    one->ring[(one->first + one->count++) % one->cap] = *event;
    one->bytes += event->key_len;
}

int history_note(struct histories *h, int64_t ns, int64_t version, const void *key, size_t len, bool removed) {
    if (h->pending_count == h->pending_cap) {
        size_t cap = h->pending_cap ? h->pending_cap * 2 : 64;
        struct history_change *more = mem_realloc(h->pending, cap, sizeof *more);
        if (!more)
            return -ENOMEM;
        h->pending = more;
        h->pending_cap = cap;
    }
    char *copy = copy_blob(key, len);
    if (!copy)
        return -ENOMEM;
    h->pending[h->pending_count++] = (struct history_change){ns, {version, copy, len, removed}};
    return 0;
}

static void wake_all(struct store *s, struct history *one) {
    struct engine_call *woken = one->watchers;
    one->watchers = NULL;
    for (struct engine_call *next; woken; woken = next) {
        next = woken->next;
        kv_watch_wake(s, woken);
    }
}

void history_commit(struct store *s) {
    struct histories *h = &s->histories;
    if (h->pending_count == 0)
        return;
    LOCK_SCOPE(&h->lock);
    for (size_t i = 0; i < h->pending_count; i++) {
        struct history_change *change = &h->pending[i];
        struct history *one = history_find(h, change->ns);
        if (!one) {
            free(change->event.key);
            continue;
        }
        add(one, &change->event);
        wake_all(s, one);
    }
    h->pending_count = 0;
}

void history_drop(struct store *s) {
    struct histories *h = &s->histories;
    for (size_t i = 0; i < h->pending_count; i++)
        free(h->pending[i].event.key);
    h->pending_count = 0;
}

void history_forget(struct store *s, int64_t ns) {
    struct histories *h = &s->histories;
    char key[24];
    id_key(key, ns);
    LOCK_SCOPE(&h->lock);
    struct history *one = strmap_remove(&h->by_id, key);
    if (one)
        wake_all(s, one);
    (void)history_free(one);
}

int64_t history_overdue(struct store *s, int64_t now_ns, bool all) {
    struct histories *h = &s->histories;
    int64_t next_ns = TIME_NEVER;
    const struct strmap_slot *slot;
    LOCK_SCOPE(&h->lock);
    h->closed = h->closed || all;
    for (size_t i = 0; (slot = strmap_next(&h->by_id, &i));) {
        struct history *one = slot->value;
        for (struct engine_call **p = &one->watchers; *p;) {
            struct kv_watch *watch = (struct kv_watch *)*p;
            if (all || watch->wait_until_ns <= now_ns) {
                *p = watch->call.next;
                kv_watch_wake(s, &watch->call);
                continue;
            }
            next_ns = watch->wait_until_ns < next_ns ? watch->wait_until_ns : next_ns;
            p = &watch->call.next;
        }
    }
    // Under the lock, so that a watch which begins to wait meanwhile is not overlooked.
    atomic_store(&h->next_ns, next_ns);
    return next_ns;
}

void histories_done(struct histories *h) {
    const struct strmap_slot *slot;
    for (size_t i = 0; (slot = strmap_next(&h->by_id, &i));)
        (void)history_free(slot->value);
    strmap_done(&h->by_id);
    free(h->pending);
    (void)pthread_mutex_destroy(&h->lock);
}
