// SPDX-License-Identifier: Apache-2.0
// The cluster that this process belongs to: by a kubeconfig, or as the pod's service account; and the namespace that is its own.
//
// Owns:    what its options point to; it outlives the clients that are made of it.
// Fails:   -ENOENT there is no cluster here; -EINVAL the namespace is not known, with the flag that tells it.
#pragma once

#include "lib/kube/kube.h"

struct cluster;

// `kubeconfig` NULL: the pod's service account. `ns` NULL: the pod's, or that of the kubeconfig.
int cluster_new(const char *kubeconfig, const char *ns, struct cluster **ret, struct err *err) must_check;
struct cluster *cluster_free(struct cluster *cluster);
DEFINE_CLEANUP(cluster)

const char *cluster_namespace(const struct cluster *cluster);
// A client of its own; `timeout_s` of a request, 0: the usual.
int cluster_connect(const struct cluster *cluster, uint32_t timeout_s, struct kube **ret, struct err *err) must_check;
