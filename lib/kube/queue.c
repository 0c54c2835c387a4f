// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/queue.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/strmap.h"
#include "lib/kube/backoff.h"

#define FIRST_MS 100
#define MOST_MS 60000
#define NOWHERE SIZE_MAX

struct entry {
    char *key;
    size_t at;      // its place in the heap; NOWHERE: not waiting
    int64_t due_ns; // when waiting, or when it is to wait again after the work
    bool working, again;
    struct backoff backoff;
};

struct kube_queue {
    struct kube_queue_options options;
    pthread_mutex_t lock; // of what follows
    pthread_cond_t wake;
    struct strmap entries;
    struct entry **heap; // the soonest first
    size_t count, cap;
    bool stopped;
};

// ---- the heap --------------------------------------------------------------------------------------------------------

static void place(struct kube_queue *queue, struct entry *entry, size_t at) {
    queue->heap[at] = entry;
    entry->at = at;
}

static void rise(struct kube_queue *queue, struct entry *entry) {
    size_t at = entry->at;
    for (; at > 0 && queue->heap[(at - 1) / 2]->due_ns > entry->due_ns; at = (at - 1) / 2)
        place(queue, queue->heap[(at - 1) / 2], at);
    place(queue, entry, at);
}

static void sink(struct kube_queue *queue, struct entry *entry) {
    size_t at = entry->at;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < queue->count && queue->heap[child + 1]->due_ns < queue->heap[child]->due_ns)
            child++;
        if (child >= queue->count || queue->heap[child]->due_ns >= entry->due_ns)
            break;
        place(queue, queue->heap[child], at);
        at = child;
    }
    place(queue, entry, at);
}

// Room for every entry there is, so that going back to waiting cannot fail.
static int reserve(struct kube_queue *queue, size_t entries) {
    size_t cap = queue->cap ? queue->cap * 2 : 16;
    if (entries <= queue->cap)
        return 0;
    struct entry **grown = mem_realloc(queue->heap, cap, sizeof(struct entry *));
    if (!grown)
        return -ENOMEM;
    queue->heap = grown;
    queue->cap = cap;
    return 0;
}

static void push(struct kube_queue *queue, struct entry *entry) {
    place(queue, entry, queue->count++);
    rise(queue, entry);
    (void)pthread_cond_signal(&queue->wake);
}

static struct entry *pop(struct kube_queue *queue) {
    struct entry *first = queue->heap[0], *last = queue->heap[--queue->count];
    if (first != last) {
        place(queue, last, 0);
        sink(queue, last);
    }
    first->at = NOWHERE;
    return first;
}

// ---- entries ---------------------------------------------------------------------------------------------------------

static void entry_free(struct entry *entry) {
    free(entry->key);
    free(entry);
}

static struct entry *find_or_make(struct kube_queue *queue, const char *key) {
    struct entry *entry = strmap_get(&queue->entries, key);
    if (entry)
        return entry;
    entry = mem_zalloc(sizeof *entry);
    char *copy cleanup_free = mem_strdup(key);
    if (!entry || !copy || reserve(queue, queue->entries.len + 1) < 0 || strmap_put(&queue->entries, key, entry) < 0) {
        free(entry);
        return NULL;
    }
    *entry = (struct entry){.key = take_ptr(copy),
                            .at = NOWHERE,
                            .backoff = {.first_ms = queue->options.first_ms, .most_ms = queue->options.most_ms}};
    return entry;
}

static void forget_if_idle(struct kube_queue *queue, struct entry *entry) {
    if (entry->at == NOWHERE && !entry->working && entry->backoff.failures == 0) {
        (void)strmap_remove(&queue->entries, entry->key);
        entry_free(entry);
    }
}

int kube_queue_new(const struct kube_queue_options *options, struct kube_queue **ret, struct err *err) {
    struct kube_queue *queue = mem_zalloc(sizeof *queue);
    if (!queue)
        return err_set(err, -ENOMEM, "out of memory");
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&queue->lock, NULL);
    (void)pthread_cond_init(&queue->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    queue->options = *options;
    queue->options.first_ms = options->first_ms ? options->first_ms : FIRST_MS;
    queue->options.most_ms = options->most_ms ? options->most_ms : MOST_MS;
    queue->options.clock = options->clock ? options->clock : &clock_system;
    *ret = queue;
    return 0;
}

struct kube_queue *kube_queue_free(struct kube_queue *queue) {
    if (!queue)
        return NULL;
    const struct strmap_slot *slot;
    for (size_t i = 0; (slot = strmap_next(&queue->entries, &i));)
        entry_free(slot->value);
    strmap_done(&queue->entries);
    free(queue->heap);
    (void)pthread_cond_destroy(&queue->wake);
    (void)pthread_mutex_destroy(&queue->lock);
    free(queue);
    return NULL;
}

int kube_queue_add(struct kube_queue *queue, const char *key, int64_t after_ms) {
    int64_t due_ns = clock_monotonic(queue->options.clock) + after_ms * NS_PER_MS;
    LOCK_SCOPE(&queue->lock);
    struct entry *entry = find_or_make(queue, key);
    if (!entry)
        return -ENOMEM;
    if (entry->working) {
        entry->due_ns = entry->again && entry->due_ns < due_ns ? entry->due_ns : due_ns;
        entry->again = true;
    } else if (entry->at == NOWHERE) {
        entry->due_ns = due_ns;
        push(queue, entry);
    } else if (due_ns < entry->due_ns) {
        entry->due_ns = due_ns;
        rise(queue, entry);
        (void)pthread_cond_signal(&queue->wake);
    }
    return 0;
}

// ---- work ------------------------------------------------------------------------------------------------------------

static int take_due(struct kube_queue *queue, char **ret_key) {
    if (queue->count == 0 || queue->heap[0]->due_ns > clock_monotonic(queue->options.clock))
        return -EAGAIN;
    char *key = mem_strdup(queue->heap[0]->key);
    if (!key)
        return -ENOMEM;
    struct entry *entry = pop(queue);
    entry->working = true;
    entry->again = false;
    *ret_key = key;
    return 0;
}

static void wait_for_next(struct kube_queue *queue) {
    if (queue->count == 0) {
        (void)pthread_cond_wait(&queue->wake, &queue->lock);
        return;
    }
    int64_t due_ns = queue->heap[0]->due_ns;
    struct timespec until = {.tv_sec = due_ns / NS_PER_S, .tv_nsec = due_ns % NS_PER_S};
    (void)pthread_cond_timedwait(&queue->wake, &queue->lock, &until);
}

int kube_queue_try(struct kube_queue *queue, char **ret_key) {
    LOCK_SCOPE(&queue->lock);
    return queue->stopped ? -ECANCELED : take_due(queue, ret_key);
}

int kube_queue_take(struct kube_queue *queue, char **ret_key) {
    LOCK_SCOPE(&queue->lock);
    while (!queue->stopped) {
        int r = take_due(queue, ret_key);
        if (r != -EAGAIN)
            return r;
        wait_for_next(queue);
    }
    return -ECANCELED;
}

// Back to waiting, if it has to be.
static void settle(struct kube_queue *queue, struct entry *entry, bool failed, uint32_t pause_ms) {
    int64_t retry_ns = clock_monotonic(queue->options.clock) + pause_ms * NS_PER_MS;
    entry->working = false;
    // One that fails is not hurried by being asked for again: that is what the pause is for.
    if (failed)
        entry->due_ns = retry_ns;
    if (failed || entry->again)
        push(queue, entry);
    entry->again = false;
}

void kube_queue_done(struct kube_queue *queue, char *key) {
    LOCK_SCOPE(&queue->lock);
    struct entry *entry = strmap_get(&queue->entries, key);
    free(key);
    backoff_reset(&entry->backoff);
    settle(queue, entry, false, 0);
    forget_if_idle(queue, entry);
}

uint32_t kube_queue_failed(struct kube_queue *queue, char *key) {
    LOCK_SCOPE(&queue->lock);
    struct entry *entry = strmap_get(&queue->entries, key);
    free(key);
    uint32_t pause_ms = backoff_next(&entry->backoff, queue->options.clock);
    settle(queue, entry, true, pause_ms);
    return pause_ms;
}

void kube_queue_stop(struct kube_queue *queue) {
    LOCK_SCOPE(&queue->lock);
    queue->stopped = true;
    (void)pthread_cond_broadcast(&queue->wake);
}

size_t kube_queue_length(struct kube_queue *queue) {
    LOCK_SCOPE(&queue->lock);
    size_t working = 0;
    const struct strmap_slot *slot;
    for (size_t i = 0; (slot = strmap_next(&queue->entries, &i));)
        working += ((const struct entry *)slot->value)->working;
    return queue->count + working;
}
