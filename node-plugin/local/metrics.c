// SPDX-License-Identifier: Apache-2.0
// Metrics of the pools, computed when they are read.
#include <inttypes.h>

#include "lib/base/metrics.h"
#include "node-plugin/local/local.h"

static int64_t up(struct local *local, const struct local_pool *pool) {
    (void)local;
    return local_pool_ready(pool, NULL) == 0;
}

static int64_t available(struct local *local, const struct local_pool *pool) {
    int64_t bytes = 0, largest = 0;
    return local_pool_ready(pool, NULL) == 0 && local_room(local, pool, &bytes, &largest, NULL) == 0 ? bytes : 0;
}

static int64_t count(struct local *local, const struct local_pool *pool) {
    LOCK_SCOPE(&local->lock);
    const struct strmap_slot *slot = NULL;
    int64_t volumes = 0;
    for (size_t i = 0; (slot = strmap_next(&local->records, &i));) {
        const struct local_record *record = slot->value;
        volumes += record->kind == LOCAL_VOLUME && str_eq(local_pool_of(record->id), pool->name);
    }
    return volumes;
}

static struct source {
    const char *name;
    int64_t (*of)(struct local *local, const struct local_pool *pool);
    struct local *local;
} sources[] = {
    {"stowage_local_pool_up", up, NULL},
    {"stowage_local_pool_available_bytes", available, NULL},
    {"stowage_local_volumes", count, NULL},
};

static void collect(void *arg, struct str *out) {
    const struct source *source = arg;
    for (size_t i = 0; i < source->local->pool_count; i++) {
        const struct local_pool *pool = source->local->pools[i];
        (void)str_printf(out, "%s{pool=\"%s\",kind=\"%s\"} %" PRId64 "\n", source->name, pool->name,
                         pool->allocation->name, source->of(source->local, pool));
    }
}

static struct metric metrics[] = {
    {.type = METRIC_GAUGE,
     .name = "stowage_local_pool_up",
     .help = "1 when the pool can be used",
     .collect = collect,
     .arg = &sources[0]},
    {.type = METRIC_GAUGE,
     .name = "stowage_local_pool_available_bytes",
     .help = "Room in the pool that nobody was promised",
     .collect = collect,
     .arg = &sources[1]},
    {.type = METRIC_GAUGE,
     .name = "stowage_local_volumes",
     .help = "Volumes in the pool",
     .collect = collect,
     .arg = &sources[2]},
};

void local_metrics_register(struct local *local) {
    for (size_t i = 0; i < ARRAY_SIZE(metrics); i++) {
        sources[i].local = local;
        metric_register(&metrics[i]);
    }
}
