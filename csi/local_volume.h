// SPDX-License-Identifier: Apache-2.0
// The class "local": its names and parameters, for those who speak of its volumes without having them.
//
// Why:   each node makes its own volumes; what is one for the whole cluster (growing them, making classes of them, in
//        stowage-controller) knows these and nothing else of the class.
// Owns:  texts are allocated copies, released by local_parameters_done.
// Fails: -EINVAL naming the parameter and the remedy.
#pragma once

#include "csi/volume.h"

#define LOCAL_DRIVER_NAME "local.csi.stowage.dev"
#define LOCAL_TOPOLOGY_KEY "topology.local.csi.stowage.dev/node"
#define LOCAL_POOL_SIZE 64 // bytes of a pool's name, with NUL

struct local_parameters {
    char *pool;
    int allocation, provisioning, on_delete; // indices of the choices; provisioning 1: full
};
// Strict: an unknown name is refused; csi.storage.k8s.io/* that the orchestrator may add are ignored.
int local_parameters_parse(const struct string_map *parameters, struct local_parameters *ret,
                           struct err *err) must_check;
void local_parameters_done(struct local_parameters *parameters);
// Of ControllerModifyVolume: the only parameter that may be changed.
int local_on_delete_parse(const struct string_map *parameters, int *ret, struct err *err) must_check;
const char *local_allocation_name(const struct local_parameters *parameters); // NULL: as the pool does
void local_parameters_print_help(void);
