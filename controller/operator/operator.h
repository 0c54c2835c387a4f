// SPDX-License-Identifier: Apache-2.0
// The operator: of all controllers of a cluster one leads, and makes the cluster as the objects of stowage.dev say.
//
// Why:     the CSI services need no Kubernetes; this does, so it is switched on by a flag (--operator) and stands beside them.
// Owns:    its threads. Nothing is kept in it that the cluster does not say: another one can take over at any time.
// Threads: cluster_operator_free waits until what is being done has ended: the time limit of a request at most.
// Fails:   at start only what can never work (no cluster, no memory); an API server that is away is waited for.
#pragma once

#include "controller/operator/data_store.h"
#include "controller/operator/reach.h"
#include "lib/kube/kube.h"

struct cluster_operator;

struct cluster_operator_options {
    const char *kubeconfig; // NULL: the pod's service account
    const char *ns;         // where the Lease is; NULL: the pod's, or that of the kubeconfig
    const char *identity;   // of this process; NULL: host name and chance
    unsigned threads;       // objects worked on at once; 0: 4
    struct reach_options reach;
    struct data_store_options store; // without a URL there is none
    uint32_t node_port;              // of the nodes' /metrics, for the hit ratio of their caches; 0: they are not asked
};
int cluster_operator_start(const struct cluster_operator_options *options, struct cluster_operator **ret,
                           struct err *err) must_check;
struct cluster_operator *cluster_operator_free(struct cluster_operator *op);
DEFINE_CLEANUP(cluster_operator)
