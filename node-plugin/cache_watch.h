// SPDX-License-Identifier: Apache-2.0
// Tells the cluster when the disk of the node's cache fails, and when it works again: Events of the Node object.
//
// Why:     programs notice nothing, since reads go to the origin; without a word nobody would mend the disk.
// Owns:    a thread of its own.
// Threads: cache_watch_look is one thread's at a time.
// Fails:   at its start only. A cluster that does not answer misses an Event; metric, log and `stowage cache status` tell it too.
#pragma once

#include "lib/base/clock.h"
#include "lib/kube/kube.h"

struct cache_watch;

struct cache_watch_options {
    const char *dir, *node_id; // kept by the caller
    struct kube *kube;         // becomes the watch's own, also on failure
    const struct clock *clock; // NULL: clock_system
};

int cache_watch_new(const struct cache_watch_options *options, struct cache_watch **ret, struct err *err) must_check;
// The same as the pod's service account, looking every 15 s. Outside a cluster: 0 and NULL.
int cache_watch_start(const char *dir, const char *node_id, struct cache_watch **ret, struct err *err) must_check;
struct cache_watch *cache_watch_free(struct cache_watch *watch);
DEFINE_CLEANUP(cache_watch)

// One look. True: it differed from the one before, and the cluster was told.
bool cache_watch_look(struct cache_watch *watch);
