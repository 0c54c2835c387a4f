// SPDX-License-Identifier: Apache-2.0
// The class "local": its names, for those who speak of its volumes without having them.
//
// Why:   each node makes its own volumes; what is one for the whole cluster (growing them, in stowage-controller) knows
//        these names and nothing else of the class.
#pragma once

#define LOCAL_DRIVER_NAME "local.csi.stowage.dev"
#define LOCAL_TOPOLOGY_KEY "topology.local.csi.stowage.dev/node"
