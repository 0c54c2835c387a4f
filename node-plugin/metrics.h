// SPDX-License-Identifier: Apache-2.0
// What the node counts.
#pragma once

#include "csi/shared_volume.h"

void node_metrics_register(void);
void node_metrics_set_mounts(enum mount_mode mode, unsigned count); // staged volumes
void node_metrics_set_mode(enum mount_mode automatic);              // what `auto` means on this node
// reason: "mount", "bind", "timeout", "daemon-died"
void node_metrics_count_failure(enum mount_mode mode, const char *reason);
