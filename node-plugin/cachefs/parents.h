// SPDX-License-Identifier: Apache-2.0
// What the reply to a change told about the directory it was made in.
//
// Why:     the kernel drops a directory's attributes when it made or removed a name there, and asks for them before the
//          next name, to check permission. The reply to the change carried them: that saves a call for each.
// Owns:    nothing; a few entries, the latest win.
// Threads: any; one lock inside, a leaf.
#pragma once

#include <pthread.h>

#include "node-plugin/cachefs/nodes.h"

#define PARENTS_MAX 16u

struct parent {
    uint64_t id, change; // the node, and the number of the change
    int64_t told_ns;     // when it was asked for, CLOCK_MONOTONIC
    struct nfs_attr attr;
};
struct parents {
    pthread_mutex_t lock;
    struct parent slots[PARENTS_MAX];
};

// A change in directory `id` was answered, with number `change` (nodes_changed), having been asked for at `asked_ns`.
void parents_put(struct parents *parents, uint64_t id, uint64_t change, int64_t asked_ns, const struct nfs_attr *attr);
// Once for each put: a kernel that asks again wants to know it anew. False: not known.
bool parents_take(struct parents *parents, uint64_t id, struct parent *ret);
