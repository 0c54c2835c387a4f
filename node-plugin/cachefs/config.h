// SPDX-License-Identifier: Apache-2.0
// The flags of stowage-cachefs, each also an environment variable, and its help.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "node-plugin/cachefs/keeper.h"
#include "node-plugin/cachefs/volume_cache.h"

struct cachefs_config {
    struct kept kept; // by the keeper, for its daemon
    char *server, *share, *origin_path, *sub_dir, *mount_point, *fs_name, *serve, *http;
    uint32_t nfs_port, mount_port, connections, ready_fd, stop_grace, max_ends;
    int nfs_version, log_level, log_format;
    bool read_only, origin_uncached, state_version;
    struct volume_cache_flags cache;
};

// -ECANCELED: help was asked for, and printed. Also after a failure what was read is there (ready_fd, log_level).
int cachefs_config_read(struct cachefs_config *config, int argc, char **argv, struct err *err) must_check;
void cachefs_config_done(struct cachefs_config *config);
