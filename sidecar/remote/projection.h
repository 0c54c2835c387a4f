// SPDX-License-Identifier: Apache-2.0
// Inside the projector: one namespace shown as files, and where it stands with the store.
//
//   IDLE ──► LOOK (how large is the namespace?) ──► IDLE ──► WATCH (all of it, then changes) ──► IDLE, when the stream ends
//               └── missing, too large, away: IDLE, and again after a while
//
// Why:     it looks first since the stream has no status of its own, and since a namespace that is too large must not be read at all.
// Threads: the stream's bytes are taken on a loop's thread, under `lock`; everything else belongs to the projector's thread.
#pragma once

#include <pthread.h>

#include "lib/base/clock.h"
#include "lib/http/upstream.h"
#include "sidecar/remote/key_files.h"
#include "sidecar/remote/notifier.h"
#include "sidecar/remote/spec.h"
#include "sidecar/remote/watch.h"

enum projection_stage { PROJECTION_IDLE, PROJECTION_LOOK, PROJECTION_WATCH };

struct remote;
struct projector;
struct projection {
    struct projector *projector;
    struct project_spec spec; // borrowed
    struct key_files *files;
    int64_t bytes_max;
    // under the projector's lock
    enum projection_stage stage; // of the request that is under way
    bool ended, cancelled;       // ended: the thread has not seen it yet; cancelled: it is to end
    unsigned status;
    struct str body; // of a look
    struct watch_reader reader;
    struct batch told, settled; // told: perhaps half a write
    bool overflow;              // more was told than may wait
    bool shown;                 // files are there
    char problem[256];          // why they are not those of now; "": they are
    // the thread's
    char id[48]; // from which a stream can go on; "": from the begin
    bool dirty;  // what is to be shown differs, perhaps
    int64_t look_ns, write_ns, settled_ns;
    unsigned tries;
    int64_t updates;
    size_t skipped;
};

int projection_open(struct projection *p, struct projector *projector, const struct project_spec *spec,
                    int64_t bytes_max, uint32_t mode, struct err *err) must_check;
void projection_done(struct projection *p);
// Does what can be done now; when to come again, in CLOCK_MONOTONIC.
int64_t projection_turn(struct projection *p, int64_t now_ns);

// ---- of the projector ----

void projector_lock(struct projector *projector);
void projector_unlock(struct projector *projector);
void projector_wake(struct projector *projector); // with the lock held
int projector_ask(struct projector *projector, const char *target, const char *more_fields,
                  const struct http_subscriber *subscriber, void *arg) must_check;
struct notifier *projector_notifier(struct projector *projector); // NULL: nobody is told

// ---- projection_stream.c: what the store says ----

int projection_look(struct projection *p) must_check;
int projection_watch(struct projection *p) must_check;
// ---- projection_metrics.c ----
void projection_metrics_register(void);
void projection_count(const struct projection *p, bool live, bool too_large);
void projection_count_update(const struct projection *p, int64_t took_ns);
