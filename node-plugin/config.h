// SPDX-License-Identifier: Apache-2.0
// The settings of stowage-node: one table for flags, environment and help.
#pragma once

#include <stdint.h>

#include "csi/volume.h"
#include "lib/base/err.h"

struct config {
    char *socket, *node_id, *state_dir, *cachefs, *http;
    uint32_t max_volumes, threads;
    int mount_mode; // enum mount_mode
    int log_level;  // enum log_level
    int log_format; // enum log_format
    char default_node_id[CSI_ID_MAX + 1], default_cachefs[4096];
};

// -ECANCELED: help was asked for and printed.
int config_read(struct config *ret, int argc, char **argv, struct err *err) must_check;
void config_done(struct config *config);
const char *config_node_id(const struct config *config);   // the host name unless given
const char *config_cachefs(const struct config *config);   // beside this program unless given
const char *config_log_level(const struct config *config); // as text, for daemons
const char *config_log_format(const struct config *config);
