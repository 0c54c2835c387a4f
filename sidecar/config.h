// SPDX-License-Identifier: Apache-2.0
// The settings of stowage-sidecar: one table of flags, also read from the environment (STOWAGE_…).
#pragma once

#include "lib/base/fields.h"
#include "sidecar/engine/engine.h"

struct sidecar_config {
    char *data_dir, *tokens, *public_url, *tls_cert, *tls_key, *backup_dir, *restore;
    char *token_review, *token_review_token, *token_review_ca, *token_audience;
    struct field_list listen, file_systems, quotas, service_accounts;
    bool allow_remote, skip_check;
    uint32_t threads, readers, workers, connections;
    int engine, log_level, log_format;
};

// Reads environment and command line. -ECANCELED: --help or --version was given and answered.
int sidecar_config_read(int argc, char **argv, struct sidecar_config *ret, struct err *err) must_check;
void sidecar_config_done(struct sidecar_config *config);

// The quota of a workspace: of the last --quota for it, else of the last for all.
void sidecar_config_quota(const struct sidecar_config *config, const char *workspace, struct quota *ret);
// "[WORKSPACE:]namespaces=N,queues=N,bytes=SIZE". *ret_workspace: allocated, NULL for all.
int sidecar_config_parse_quota(const char *text, char **ret_workspace, struct quota *ret, struct err *err) must_check;
