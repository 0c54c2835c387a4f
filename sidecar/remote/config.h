// SPDX-License-Identifier: Apache-2.0
// The settings of stowage-sidecar --engine remote: one table of flags, also read from the environment (STOWAGE_…).
#pragma once

#include "lib/base/fields.h"
#include "sidecar/remote/spec.h"

struct remote_config {
    char *store_url, *store_ca, *token_file, *workspace, *write_sdk_files;
    char *project_notify;
    struct field_list listen, project;
    bool allow_remote, local_links, probe;
    int64_t cache, project_max_bytes;
    uint32_t threads, connections, project_mode;
    int engine, log_level, log_format;
    // of store_url
    char *host, *port, *unix_path; // unix_path: the others are NULL
    bool tls;
    struct project_specs projects; // of `project`
};

// Reads environment and command line. -ECANCELED: --help or --version was given and answered.
int remote_config_read(int argc, char **argv, struct remote_config *ret, struct err *err) must_check;
void remote_config_done(struct remote_config *config);
