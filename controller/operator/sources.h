// SPDX-License-Identifier: Apache-2.0
// Kinds of Kubernetes' own that reconcilers look at.
#pragma once

#include "controller/operator/reconciler.h"

extern const struct source persistent_volumes; // by the StorageClass they are of
extern const struct source node_pods;          // those of stowage-node, by their phase
extern const struct source storage_classes;    // by their name
extern const struct source storage_capacities; // what nodes have left for local volumes, by StorageClass
