// SPDX-License-Identifier: Apache-2.0
// Keys that are to be worked on: each by one thread at a time, each once however often it was asked for, and those that fail later
// and later.
//
//     idle ──add──► waiting ──due, taken──► working ──done──► idle
//                      ▲                      │ │
//                      │      failed, backoff │ │ added meanwhile
//                      └──────────────────────┴─┘
//
// Owns:    copies of its keys. A key that is idle and did not fail takes no memory.
// Threads: any.
// Fails:   adding -ENOMEM; taking -ECANCELED once it is stopped.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"

struct kube_queue;

struct kube_queue_options {
    uint32_t first_ms, most_ms; // pauses after failures of one key; 0: 100 ms, 60 s
    const struct clock *clock;  // NULL: clock_system. Another one only for kube_queue_try.
};
int kube_queue_new(const struct kube_queue_options *options, struct kube_queue **ret, struct err *err) must_check;
struct kube_queue *kube_queue_free(struct kube_queue *queue);
DEFINE_CLEANUP(kube_queue)

// To be worked on in `after_ms` at the latest. Adding again never puts it off.
int kube_queue_add(struct kube_queue *queue, const char *key, int64_t after_ms) must_check;
// Waits for a key that is due. *ret_key is to be given back by exactly one of the two below, which frees it.
int kube_queue_take(struct kube_queue *queue, char **ret_key) must_check;
int kube_queue_try(struct kube_queue *queue, char **ret_key) must_check; // the same without waiting: -EAGAIN
void kube_queue_done(struct kube_queue *queue, char *key);               // its failures are forgotten
// Again after a pause that grows with each failure in a row; returns it in milliseconds.
uint32_t kube_queue_failed(struct kube_queue *queue, char *key);
void kube_queue_stop(struct kube_queue *queue);     // wakes all who wait
size_t kube_queue_length(struct kube_queue *queue); // waiting and working
