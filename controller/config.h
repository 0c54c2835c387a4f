// SPDX-License-Identifier: Apache-2.0
// The settings of stowage-controller: one table of flags, also read from the environment (STOWAGE_…).
#pragma once

#include "controller/volume.h"
#include "lib/base/fields.h"

struct config {
    char *socket, *local_socket, *state_dir, *http;
    struct field_list shares, nodes, origins;
    int64_t max_volumes_per_node;
    uint32_t threads, connections, copy_workers, remove_workers, default_permissions;
    uint32_t uid, gid; // of NFS calls
    int default_on_delete, log_level, log_format;
    bool operator_on;
    char *kubeconfig, *operator_namespace;
    uint32_t node_metrics_port;
    char *webhook, *webhook_name;
    char *inject_image, *inject_pull_policy, *inject_store_url, *inject_store_ca, *inject_audience, *inject_cpu_request;
    int64_t inject_memory_request, inject_memory_limit;
    char *store_url, *store_public_url, *store_ca, *store_token_file;
    uint32_t store_patience;
    struct volume_node *node_list; // `nodes`, parsed
};

// Reads environment and command line. -ECANCELED: --help or --version was given and answered.
int config_read(int argc, char **argv, struct config *ret, struct err *err) must_check;
void config_done(struct config *config);
