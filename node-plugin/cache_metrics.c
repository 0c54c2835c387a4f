// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cache_metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/metrics.h"
#include "lib/cache/cache.h"

#define FRESH_NS (500 * NS_PER_MS) // one look serves all metrics of a scrape

// Rendering takes a lock of its own, so this is one thread's at a time.
static struct {
    const char *dir;
    int64_t read_ns;
    bool up, read;
    struct cache_disk disk;
    struct cache_figures *figures; // owned
    size_t count;
} look;

static void refresh(void) {
    int64_t now = clock_monotonic(&clock_system);
    if (look.read_ns && now - look.read_ns < FRESH_NS)
        return;
    free(look.figures);
    look.figures = NULL;
    look.count = 0;
    look.read_ns = now;
    look.disk = (struct cache_disk){0};
    int r = cache_read_figures(look.dir, &look.disk, &look.figures, &look.count, NULL);
    look.read = r == 0;
    look.up =
        r == 0 || (r == -ENOENT && access(look.dir, R_OK | X_OK) == 0); // before the first volume there is no index
}

struct source {
    const char *name;
    size_t offset;    // of a uint64_t in struct cache_figures, or in struct cache_disk
    const char *more; // labels beside the volume's, with a comma before them
};

static uint64_t value_at(const void *figures, size_t offset) {
    return *(const uint64_t *)(const void *)((const char *)figures + offset);
}

static void append_label(struct str *out, const char *value) {
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            (void)str_append_bytes(out, "\\", 1);
        (void)str_append_bytes(out, *value == '\n' ? " " : value, 1);
    }
}

static void collect_volumes(void *arg, struct str *out) {
    refresh();
    for (const struct source *source = arg; source->name; source++)
        for (size_t i = 0; i < look.count; i++) {
            (void)str_printf(out, "%s{volume=\"", source->name);
            append_label(out, look.figures[i].volume);
            (void)str_printf(out, "\"%s} %" PRIu64 "\n", source->more ? source->more : "",
                             value_at(&look.figures[i], source->offset));
        }
}

static void collect_disk(void *arg, struct str *out) {
    const struct source *source = arg;
    refresh();
    if (look.read)
        (void)str_printf(out, "%s %" PRIu64 "\n", source->name, value_at(&look.disk, source->offset));
}

static double is_up(void *arg) {
    (void)arg;
    refresh();
    return look.up;
}

static double is_sick(void *arg) {
    (void)arg;
    refresh();
    return look.disk.sick;
}

#define OF(member) offsetof(struct cache_figures, member)
#define VOLUME(type_, name_, help_, member)                                                                            \
    {                                                                                                                  \
        .type = (type_), .name = (name_), .help = (help_), .collect = collect_volumes, .arg = (struct source[]) {      \
            {(name_), OF(member), NULL}, {                                                                             \
                NULL, 0, NULL                                                                                          \
            }                                                                                                          \
        }                                                                                                              \
    }
#define DISK(name_, help_, member)                                                                                     \
    {                                                                                                                  \
        .type = METRIC_GAUGE, .name = (name_), .help = (help_), .collect = collect_disk, .arg = (struct source[]) {    \
            { (name_), offsetof(struct cache_disk, member), NULL }                                                     \
        }                                                                                                              \
    }

static struct metric metrics[] = {
    VOLUME(METRIC_GAUGE, "stowage_cache_bytes", "Bytes in the node's cache", bytes),
    VOLUME(METRIC_GAUGE, "stowage_cache_objects", "Files in the node's cache, whole or in part", objects),
    VOLUME(METRIC_GAUGE, "stowage_cache_limit_bytes", "Most that the volume may hold; 0: as the disk allows", limit),
    VOLUME(METRIC_GAUGE, "stowage_cache_pinned_bytes", "Bytes that are kept for the volume", pinned_bytes),
    VOLUME(METRIC_COUNTER, "stowage_cache_opens_total", "Opens of files for reading", opens),
    VOLUME(METRIC_COUNTER, "stowage_cache_open_hits_total", "Opens of files that were in the cache", open_hits),
    VOLUME(METRIC_COUNTER, "stowage_cache_evicted_bytes_total", "Bytes that made room for others", evicted_bytes),
    VOLUME(METRIC_COUNTER, "stowage_cache_errors_total", "Errors of the cache's disk", errors),
    {.type = METRIC_COUNTER,
     .name = "stowage_cache_read_bytes_total",
     .help = "Bytes read through the daemon, by where they came from; what the kernel reads from cache files itself is "
             "not seen",
     .collect = collect_volumes,
     .arg = (struct source[]){{"stowage_cache_read_bytes_total", OF(cache_bytes), ",from=\"cache\""},
                              {"stowage_cache_read_bytes_total", OF(origin_bytes), ",from=\"origin\""},
                              {NULL, 0, NULL}}},
    DISK("stowage_cache_disk_free_bytes", "Free bytes of the disk that the cache is on", free_bytes),
    DISK("stowage_cache_disk_total_bytes", "Size of the disk that the cache is on", total_bytes),
    DISK("stowage_cache_memory_bytes", "Memory for data on its way, of all mounts together", memory_bytes),
    {.type = METRIC_GAUGE,
     .name = "stowage_cache_sick",
     .help = "1 while nothing is stored after errors of the cache's disk",
     .read = is_sick},
    {.type = METRIC_GAUGE, .name = "stowage_cache_up", .help = "1 when the cache can be read", .read = is_up},
};

void cache_metrics_register(const char *dir) {
    look.dir = dir;
    look.read_ns = 0;
    for (size_t i = 0; i < ARRAY_SIZE(metrics); i++)
        metric_register(&metrics[i]);
}
