// SPDX-License-Identifier: Apache-2.0
// What tree_work.c and tree_work_copy.c share.
#pragma once

#include "controller/job.h"
#include "controller/tree_copy.h"
#include "controller/tree_remove.h"
#include "controller/tree_work.h"
#include "lib/base/metrics.h"

#define TREE_WORK_CALL_NS (10 * NS_PER_S) // one call of the background work

struct tree_worker {
    struct tree_worker_options options;
    struct jobs *jobs;
    struct workq *removers, *copiers;
    atomic_long removals, copies;
};

void tree_worker_count(atomic_long *count, struct metric *metric, long by);
char *tree_work_key(const char *kind, const struct share *share, const char *name); // allocated

// tree_work_copy.c
void tree_work_copy_metrics(void);
int tree_work_copy_start(void *self, const struct copy_order *order, struct err *err);
int tree_work_copy_wait(void *self, struct share *target, const char *name, int64_t deadline_ns,
                        struct copy_progress *ret, struct err *err);
int tree_work_copy_cancel(void *self, struct share *target, const char *name, int64_t deadline_ns, struct err *err);
