// SPDX-License-Identifier: Apache-2.0
// Counters, gauges and histograms, written in the Prometheus text format.
//
// Owns:    a metric lives in static storage of the module that counts, and is registered once at start.
// Threads: adding and observing are safe from any thread; rendering takes the same lock.
// Limits:  two labels and 256 label combinations a metric; further ones are counted under "other".
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/str.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_series;
struct metric {
    enum metric_type type;
    const char *name; // "stowage_rpc_seconds"
    const char *help;
    const char *labels[2];                       // label names; NULL where unused
    double (*read)(void *arg);                   // gauges that are computed when read; else NULL
    void (*collect)(void *arg, struct str *out); // writes its own samples, with labels of its own; else NULL
    void *arg;
    // private
    struct metric_series *series;
    size_t count;
    struct metric *next;
};

void metric_register(struct metric *m); // once; a second registration is ignored
// Label values: NULL where the metric has no such label.
void metric_add(struct metric *m, const char *label0, const char *label1, double value);
void metric_set(struct metric *m, const char *label0, const char *label1, double value);
void metric_observe_seconds(struct metric *m, const char *label0, const char *label1, double seconds);
int metrics_render(struct str *out); // all registered metrics and the process's own (RSS, threads, start time)
