// SPDX-License-Identifier: Apache-2.0
#include "controller/operator/sources.h"

static const char *const volume_kept[] = {"metadata.name",           "spec.storageClassName", "spec.capacity.storage",
                                          "spec.claimRef.namespace", "spec.claimRef.name",    "spec.csi.driver",
                                          "spec.csi.volumeHandle",   "status.phase",          NULL};
const struct source persistent_volumes = {
    .group = "/api/v1", .plural = "persistentvolumes", .kept = volume_kept, .index = "spec.storageClassName"};

static const char *const class_kept[] = {"metadata.name",        "metadata.uid",      "metadata.ownerReferences",
                                         "metadata.annotations", "provisioner",       "parameters",
                                         "reclaimPolicy",        "volumeBindingMode", "allowVolumeExpansion",
                                         "mountOptions",         "allowedTopologies", NULL};
const struct source storage_classes = {
    .group = "/apis/storage.k8s.io/v1", .plural = "storageclasses", .kept = class_kept};

static const char *const capacity_kept[] = {"metadata.name", "metadata.namespace", "storageClassName", "capacity",
                                            NULL};
const struct source storage_capacities = {.group = "/apis/storage.k8s.io/v1",
                                          .plural = "csistoragecapacities",
                                          .own_namespace = true,
                                          .kept = capacity_kept,
                                          .index = "storageClassName"};

static const char *const pod_kept[] = {"metadata.name", "metadata.namespace", "status.phase", "status.hostIP", NULL};
const struct source node_pods = {.group = "/api/v1",
                                 .plural = "pods",
                                 .own_namespace = true,
                                 .selector = "app.kubernetes.io/name=stowage,app.kubernetes.io/component=node",
                                 .kept = pod_kept,
                                 .index = "status.phase"};
