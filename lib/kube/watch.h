// SPDX-License-Identifier: Apache-2.0
// A kind of objects, listed once and then followed: what is there, what changes, what goes.
//
//     ┌──────┐  list is whole   ┌───────┐  stream ends, or is cut
//     │ LIST ├─────────────────►│ WATCH ├─────┐ goes on behind the last version that was seen
//     └──▲───┘                  └───┬─▲─┘     │
//        │   410 Gone, garbage      │ └───────┘
//        └──────────────────────────┘          each failure waits, longer each time, before the next try
//
// Why:     a watch ends all the time: servers end it after a while, restart, or forget old versions. What is seen through the
//          sink is whole again after each of these.
// Owns:    its version; no object.
// Threads: one thread runs a watch; `cancelled` is asked from it.
// Fails:   kube_watch_step tells what happened, and the watch can always go on. Nothing waits for ever: a stream without a byte for
//          longer than the server was asked to keep it is cut.
#pragma once

#include "lib/base/clock.h"
#include "lib/kube/kube.h"

struct kube_watch_sink {
    void (*begin)(void *arg); // a list begins: what is not told of until `whole` is gone
    int (*object)(void *arg, const struct json *object, bool gone, struct err *err);
    int (*whole)(void *arg, struct err *err); // the list is complete; <0: it is listed again
};

struct kube_watch_options {
    const struct kube *kube;
    const char *collection;
    const char *selector;      // of labels; NULL: all
    uint32_t page;             // of the list; 0: as kube_list
    const struct clock *clock; // NULL: clock_system
    const struct kube_watch_sink *sink;
    void *arg;                    // of the sink
    bool (*cancelled)(void *arg); // asked at least once a second while a request goes on
    void *cancel_arg;
};

struct kube_watch;
// Texts of the options are copied; the rest must outlive it.
int kube_watch_new(const struct kube_watch_options *options, struct kube_watch **ret, struct err *err) must_check;
struct kube_watch *kube_watch_free(struct kube_watch *watch);
DEFINE_CLEANUP(kube_watch)

// Lists if it has to, then follows one stream to its end. 0: go on at once; -ECANCELED; other: go on after kube_watch_pause_ms.
int kube_watch_step(struct kube_watch *watch, struct err *err) must_check;
const char *kube_watch_collection(const struct kube_watch *watch);
// How long to wait after the last step: 0 when it went well.
uint32_t kube_watch_pause_ms(const struct kube_watch *watch);
