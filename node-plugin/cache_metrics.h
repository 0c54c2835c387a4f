// SPDX-License-Identifier: Apache-2.0
// Metrics of the node's cache, read from its directory: the daemons of the mounts share it and count there.
#pragma once

// `dir` must outlive the process's metrics. A cache that cannot be read has no samples, but stowage_cache_up 0.
void cache_metrics_register(const char *dir);
