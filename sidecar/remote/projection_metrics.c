// SPDX-License-Identifier: Apache-2.0
#include "lib/base/metrics.h"
#include "sidecar/remote/projection.h"

#define GAUGE(what, text)                                                                                              \
    {                                                                                                                  \
        .type = METRIC_GAUGE, .name = "stowage_projection_" what, .help = text, .labels = { "namespace" }              \
    }
static struct metric keys = GAUGE("keys", "Keys that are shown as files");
static struct metric bytes = GAUGE("bytes", "Of keys and values that are shown as files");
static struct metric skipped = GAUGE("skipped_keys", "Keys that are too long to be a file's name");
static struct metric watching = GAUGE("watching", "1 while changes come from the store");
static struct metric over =
    GAUGE("over_limit", "1 while there is more than may be shown: the files are those of before");
static struct metric updates = {.type = METRIC_COUNTER,
                                .name = "stowage_projection_updates_total",
                                .help = "Changes of the files, however many at once",
                                .labels = {"namespace"}};
static struct metric delay = {.type = METRIC_HISTOGRAM,
                              .name = "stowage_projection_delay_seconds",
                              .help = "From the store's word to the files",
                              .labels = {"namespace"}};

void projection_metrics_register(void) {
    struct metric *all[] = {&keys, &bytes, &skipped, &watching, &over, &updates, &delay};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        metric_register(all[i]);
}

void projection_count(const struct projection *p, bool live, bool too_large) {
    const struct key_files_counts *counts = key_files_counts(p->files);
    metric_set(&watching, p->spec.ns, NULL, live);
    metric_set(&over, p->spec.ns, NULL, too_large);
    if (!live || too_large)
        return;
    metric_set(&keys, p->spec.ns, NULL, (double)(counts->keys - counts->skipped));
    metric_set(&bytes, p->spec.ns, NULL, (double)counts->bytes);
    metric_set(&skipped, p->spec.ns, NULL, (double)counts->skipped);
}

void projection_count_update(const struct projection *p, int64_t took_ns) {
    metric_add(&updates, p->spec.ns, NULL, 1);
    metric_observe_seconds(&delay, p->spec.ns, NULL, (double)took_ns / NS_PER_S);
}
