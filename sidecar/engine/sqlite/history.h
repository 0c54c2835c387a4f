// SPDX-License-Identifier: Apache-2.0
// The newest changes of every namespace, in memory: what a watch reads.
//
// Why:     a change costs a few hundred bytes of memory instead of a second row on the disk. After a restart a watch that is
//          up to date goes on, and one that is behind is told to list again.
// Owns:    copies of the keys; at most HISTORY_EVENTS and HISTORY_BYTES a namespace.
// Threads: any; one lock. Changes are added by the writer after their commit.
#pragma once

#include <pthread.h>

#include "lib/base/strmap.h"
#include "lib/base/workq.h"
#include "sidecar/engine/engine.h"

#define HISTORY_EVENTS 1024
#define HISTORY_BYTES (256 * 1024)

struct history_event {
    int64_t version;
    char *key;
    size_t key_len;
    bool removed;
};
struct history {
    int64_t id;
    int64_t floor, version; // changes in (floor, version] are kept
    struct history_event *ring;
    size_t first, count, cap, bytes;
    struct engine_call *watchers;
};
struct history_change { // of the transaction that is not yet committed
    int64_t ns;
    struct history_event event;
};
struct store;
struct histories {
    struct work work; // first: looks again for the woken
    struct store *store;
    struct engine_call *woken;
    bool woken_queued;
    pthread_mutex_t lock;
    struct strmap by_id;
    bool closed;             // nothing waits any more
    _Atomic int64_t next_ns; // the earliest end of a wait, or earlier
    struct history_change *pending;
    size_t pending_count, pending_cap;
};

// Writer: a change in its transaction; -ENOMEM.
int history_note(struct histories *h, int64_t ns, int64_t version, const void *key, size_t len,
                 bool removed) must_check;
void history_commit(struct store *s); // after the commit: adds, and wakes who waits for it
void history_drop(struct store *s);   // after a rollback
// A namespace exists, as of `version`; nothing happens when it is known. -ENOMEM.
int history_open(struct histories *h, int64_t ns, int64_t version) must_check;
void history_forget(struct store *s, int64_t ns);                   // wakes who waits
struct history *history_find(struct histories *h, int64_t ns);      // with the lock held
int64_t history_overdue(struct store *s, int64_t now_ns, bool all); // wakes who waited long enough; gives the next time
void histories_done(struct histories *h);
// kv_watch.c, with the lock held: looks again, on a worker.
void kv_watch_wake(struct store *s, struct engine_call *call);
