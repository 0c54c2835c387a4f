// SPDX-License-Identifier: Apache-2.0
// What is known of a kind of objects, kept up to date by a watch: as little of each as its reader asked for.
//
// Why:     reconcilers ask all the time what is there; asking the API server would cost it and them. 1,000 objects of 1 KiB are
//          1 MiB here, because they are kept as text, without what nobody reads (managedFields, seeded data).
// Owns:    its texts. What get and each return are copies.
// Threads: a thread of its own follows the watch; everything else from any thread. `changed` is called by that thread, without a lock.
// Fails:   a watch that fails goes on by itself; kube_cache_new tells only what can never work.
// Order:   its lock is innermost.
#pragma once

#include "lib/kube/watch.h"

struct kube_cache;

struct kube_cache_options {
    const struct kube *kube;
    const char *collection, *selector; // as of a watch; copied
    uint32_t page;
    const char *const *kept; // paths of what is kept of each (kube_keep); NULL-terminated, static storage
    const char *index;       // path of a text by which objects can be found as well; NULL: none. Must be among `kept`.
    // An object is new, gone, or not as it was, as far as it is kept. `index` is its text, NULL without one.
    void (*changed)(void *arg, const char *key, const char *index);
    void *arg;
    const struct clock *clock; // NULL: clock_system
};

int kube_cache_new(const struct kube_cache_options *options, struct kube_cache **ret, struct err *err) must_check;
int kube_cache_start(struct kube_cache *cache, struct err *err) must_check; // the thread
// Tells the thread to end, which takes a second at most; kube_cache_free joins it.
void kube_cache_stop(struct kube_cache *cache);
struct kube_cache *kube_cache_free(struct kube_cache *cache);
DEFINE_CLEANUP(kube_cache)

bool kube_cache_is_whole(struct kube_cache *cache); // was it listed once?
size_t kube_cache_count(struct kube_cache *cache);
// A copy of what is kept. -ENOENT: there is no such object.
int kube_cache_get(struct kube_cache *cache, const char *key, struct json **ret, struct err *err) must_check;
// All with this text in their index, in no order; stops when `fn` fails.
int kube_cache_each(struct kube_cache *cache, const char *index, int (*fn)(void *arg, const struct json *object),
                    void *arg, struct err *err) must_check;

// For tests, and for who has a thread already: one step of the watch.
int kube_cache_step(struct kube_cache *cache, struct err *err) must_check;
