// SPDX-License-Identifier: Apache-2.0
// How often a volume's files were in the cache of a node when they were opened: the sum over all nodes.
//
// Why:     each node counts for itself (stowage_cache_opens_total of its /metrics), and keeps counting over restarts.
// Owns:    what each node said last, until nobody has asked for that node for ten minutes.
// Threads: any; nodes are asked on threads of its own.
// Fails:   a node that does not answer keeps what it said last; what is no metric is passed over.
#pragma once

#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"

struct hits;

struct hits_options {
    uint32_t port; // of the nodes' /metrics
    // Gets the text of http://ADDRESS:PORT/metrics in parts. NULL: by HTTP, within 5 s.
    int (*fetch)(void *arg, const char *url, int (*chunk)(void *arg, const char *data, size_t len, struct err *err),
                 void *chunk_arg, struct err *err);
    void *arg;
    const struct clock *clock; // NULL: clock_system
};
int hits_new(const struct hits_options *options, struct hits **ret, struct err *err) must_check;
struct hits *hits_free(struct hits *hits);
DEFINE_CLEANUP(hits)

// A node counts; it is asked (again) in the background when that was more than 60 s ago.
void hits_ask(struct hits *hits, const char *address);
// Adds to both what the nodes said of this volume.
void hits_of(struct hits *hits, const char *volume, uint64_t *opens, uint64_t *open_hits);
