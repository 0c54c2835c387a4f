// SPDX-License-Identifier: Apache-2.0
// The settings of stowage-node: one table for flags, environment and help.
#pragma once

#include <stdint.h>

#include "csi/volume.h"
#include "lib/base/err.h"
#include "lib/base/fields.h"

struct node_config {
    char *socket, *node_id, *state_dir, *cachefs, *mount_service, *http, *inline_dir, *local_socket, *node_group,
        *cache_dir, *origin_dir;
    int64_t cache_memory;
    uint32_t cache_keep_free;
    struct field_list inline_shares, pools, origin_paths, inline_pools;
    uint32_t max_volumes, threads;
    int mount_mode; // enum mount_mode
    int log_level;  // enum log_level
    int log_format; // enum log_format
    char default_node_id[CSI_ID_MAX + 1], default_cachefs[4096];
};

// -ECANCELED: help was asked for and printed.
int node_config_read(struct node_config *ret, int argc, char **argv, struct err *err) must_check;
void node_config_done(struct node_config *config);
const char *node_config_node_id(const struct node_config *config);   // the host name unless given
const char *node_config_cachefs(const struct node_config *config);   // beside this program unless given
const char *node_config_log_level(const struct node_config *config); // as text, for daemons
const char *node_config_log_format(const struct node_config *config);
