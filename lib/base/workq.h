// SPDX-License-Identifier: Apache-2.0
// A bounded number of threads that run queued work in order of arrival.
//
// Owns:    its threads; not the work items, which are embedded in the caller's structs and must outlive their run.
// Threads: workq_push from any thread, also from a running item.
// Fails:   workq_push -ECANCELED once stopping began; the item was then not queued.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

struct work {
    void (*run)(struct work *work);
    struct work *next; // the queue's
};
struct workq;

// `threads` 1..256; `name` (≤ 15 bytes) names them in the process list. Threads start with the first work.
int workq_new(const char *name, unsigned threads, struct workq **ret, struct err *err) must_check;
int workq_push(struct workq *q, struct work *work) must_check;
size_t workq_pending(struct workq *q); // queued and running
// True once workq_stop was called: long items look here and end early.
bool workq_stopping(const struct workq *q);
// Lets what runs end, drops what was not started, joins the threads.
void workq_stop(struct workq *q);
struct workq *workq_free(struct workq *q); // stops first
DEFINE_CLEANUP(workq)
