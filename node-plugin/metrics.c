// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/metrics.h"

#include "lib/base/metrics.h"
#include "lib/mount/child.h"
#include "node-plugin/mount_mode.h"

static struct metric mounts = {
    .type = METRIC_GAUGE, .name = "stowage_mounts", .help = "Volumes staged on this node", .labels = {"mode"}};
static struct metric failures = {.type = METRIC_COUNTER,
                                 .name = "stowage_mount_failures_total",
                                 .help = "Mounts that failed, timed out or whose daemon died",
                                 .labels = {"mode", "reason"}};
static struct metric automatic_mode = {.type = METRIC_GAUGE,
                                       .name = "stowage_mount_mode",
                                       .help = "1 for the way that mountMode auto mounts on this node",
                                       .labels = {"mode"}};

void node_metrics_register(void) {
    metric_register(&mounts);
    metric_register(&failures);
    metric_register(&automatic_mode);
    child_register_metrics();
    node_metrics_set_mounts(MOUNT_MODE_KERNEL, 0);
    node_metrics_set_mounts(MOUNT_MODE_FUSE, 0);
}

void node_metrics_set_mounts(enum mount_mode mode, unsigned count) {
    metric_set(&mounts, mount_mode_name(mode), NULL, count);
}

void node_metrics_set_mode(enum mount_mode automatic) {
    metric_set(&automatic_mode, mount_mode_name(automatic), NULL, 1);
}

void node_metrics_count_failure(enum mount_mode mode, const char *reason) {
    metric_add(&failures, mount_mode_name(mode), reason, 1);
}
