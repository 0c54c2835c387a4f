// SPDX-License-Identifier: Apache-2.0
#include "controller/operator/sources.h"

static const char *const volume_kept[] = {
    "metadata.name",      "spec.storageClassName", "spec.capacity.storage", "spec.claimRef.namespace",
    "spec.claimRef.name", "spec.csi.driver",       "status.phase",          NULL};
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
