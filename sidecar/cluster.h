// SPDX-License-Identifier: Apache-2.0
// Tokens of a Kubernetes cluster: what sidecar/reviews.h asks, answered by the API server.
//
// Why:     part of stowage-sidecar-cluster only (sidecar/program.h); elsewhere these functions are not there, hence weak.
#pragma once

#include "sidecar/reviews.h"

struct cluster_options {
    const char *url;        // of the API server; "in-cluster": as the pod's own service account says
    const char *token_file; // of whom it is asked; NULL: none (with a URL)
    const char *ca_file;
    const char *audience; // that tokens must be for
};

#define maybe __attribute__((weak))

struct cluster;
maybe int cluster_new(const struct cluster_options *options, struct cluster **ret, struct err *err) must_check;
maybe struct cluster *cluster_free(struct cluster *cluster);
DEFINE_CLEANUP(cluster)

// For reviews_options.ask.
maybe int cluster_review(struct cluster *cluster, const char *token, struct review_account *ret,
                         struct err *err) must_check;
