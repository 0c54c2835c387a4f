// SPDX-License-Identifier: Apache-2.0
// The Node service: what it can do and which node it is.
#include <errno.h>

#include "csi/messages.h"

#define CAN(name) CSI__V1__NODE_SERVICE_CAPABILITY__RPC__TYPE__##name

typedef Csi__V1__NodeServiceCapability__RPC__Type rpc_type;
static const rpc_type of_nodes[] = {
    CAN(STAGE_UNSTAGE_VOLUME), CAN(GET_VOLUME_STATS),         CAN(EXPAND_VOLUME),
    CAN(VOLUME_CONDITION),     CAN(SINGLE_NODE_MULTI_WRITER),
};
// Of a front: all that external-resizer asks of a node before it leaves growing to it.
static const rpc_type of_growing_nodes[] = {CAN(EXPAND_VOLUME)};

int csi_node_get_capabilities(const struct csi_call *call, const Csi__V1__NodeGetCapabilitiesRequest *request,
                              Csi__V1__NodeGetCapabilitiesResponse *response, struct err *err) {
    (void)request;
    const struct volume_class *class = call->class;
    const rpc_type *types = class->node ? of_nodes : of_growing_nodes;
    size_t count = class->node ? ARRAY_SIZE(of_nodes) : class->node_expands ? ARRAY_SIZE(of_growing_nodes) : 0;
    struct message_list list = {0};
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        Csi__V1__NodeServiceCapability *capability =
            message_new(call, &csi__v1__node_service_capability__descriptor, err);
        Csi__V1__NodeServiceCapability__RPC *rpc =
            message_new(call, &csi__v1__node_service_capability__rpc__descriptor, err);
        if (!capability || !rpc)
            return -ENOMEM;
        rpc->type = types[i];
        capability->rpc = rpc;
        capability->type_case = CSI__V1__NODE_SERVICE_CAPABILITY__TYPE_RPC;
        r = list_add(call, &list, capability, err);
    }
    response->capabilities = (Csi__V1__NodeServiceCapability **)list.items;
    response->n_capabilities = list.count;
    return r;
}

int csi_node_get_info(const struct csi_call *call, const Csi__V1__NodeGetInfoRequest *request,
                      Csi__V1__NodeGetInfoResponse *response, struct err *err) {
    (void)request;
    const struct volume_class *class = call->class;
    struct node_info info = {0};
    int r = class->node->info(class->node_self, &info, err);
    if (r < 0)
        return r;
    response->max_volumes_per_node = info.max_volumes;
    r = text_write(call, info.id, &response->node_id, err);
    return r < 0 ? r : topology_write_node(call, info.topology, &response->accessible_topology, err);
}
