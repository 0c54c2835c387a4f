// SPDX-License-Identifier: Apache-2.0
// The rows themselves: typed handlers behind the untyped table of lib/rpc.
#include "csi/table.h"

#include <assert.h>

static bool is_cancelled(void *rpc) {
    return rpc_call_cancelled(rpc);
}

static struct csi_call call_of(struct rpc_call *rpc) {
    return (struct csi_call){
        .class = rpc->self,
        .context = {.deadline_ns = rpc->deadline_ns,
                    .cancelled = is_cancelled,
                    .arg = rpc,
                    .request_id = rpc->request_id},
        .arena = rpc->arena,
    };
}

// The generic path made both messages from this row's descriptors, so the casts are safe.
#define DEFINE_ADAPTER(service, Rpc, handler, ...)                                                                     \
    static int handler##_row(struct rpc_call *rpc, const ProtobufCMessage *request, ProtobufCMessage *response,        \
                             struct err *err) {                                                                        \
        struct csi_call call = call_of(rpc);                                                                           \
        return csi_##handler(&call, (const Csi__V1__##Rpc##Request *)request, (Csi__V1__##Rpc##Response *)response,    \
                             err);                                                                                     \
    }
CSI_IDENTITY_RPCS(DEFINE_ADAPTER)
CSI_CONTROLLER_CAPABILITY_RPCS(DEFINE_ADAPTER)
CSI_CONTROLLER_RPCS(DEFINE_ADAPTER)
CSI_SNAPSHOT_RPCS(DEFINE_ADAPTER)
CSI_GROUP_RPCS(DEFINE_ADAPTER)
CSI_NODE_CAPABILITY_RPCS(DEFINE_ADAPTER)
CSI_NODE_RPCS(DEFINE_ADAPTER)

#define ROW(service, Rpc, handler, object_field, lock_kind, seconds, is_quick, ...)                                    \
    {.path = "/csi.v1." #service "/" #Rpc,                                                                             \
     .request = &csi__v1__##handler##_request__descriptor,                                                             \
     .response = &csi__v1__##handler##_response__descriptor,                                                           \
     .handle = handler##_row,                                                                                          \
     .required = {__VA_ARGS__},                                                                                        \
     .object = object_field,                                                                                           \
     .lock = lock_kind,                                                                                                \
     .deadline_s = seconds,                                                                                            \
     .quick = is_quick},
static const struct rpc_method identity[] = {CSI_IDENTITY_RPCS(ROW)};
static const struct rpc_method controller_capabilities[] = {CSI_CONTROLLER_CAPABILITY_RPCS(ROW)};
static const struct rpc_method controller[] = {CSI_CONTROLLER_RPCS(ROW)};
static const struct rpc_method snapshots[] = {CSI_SNAPSHOT_RPCS(ROW)};
static const struct rpc_method groups[] = {CSI_GROUP_RPCS(ROW)};
static const struct rpc_method node_capabilities[] = {CSI_NODE_CAPABILITY_RPCS(ROW)};
static const struct rpc_method node[] = {CSI_NODE_RPCS(ROW)};

static_assert(ARRAY_SIZE(identity) + ARRAY_SIZE(controller_capabilities) + ARRAY_SIZE(controller) +
                      ARRAY_SIZE(snapshots) + ARRAY_SIZE(groups) + ARRAY_SIZE(node_capabilities) + ARRAY_SIZE(node) <=
                  CSI_RPC_COUNT,
              "CSI_RPC_COUNT is too small");

static void add(const struct rpc_method ***ret, const struct rpc_method *rows, size_t count) {
    for (size_t i = 0; i < count; i++)
        *(*ret)++ = &rows[i];
}

void csi_table_of(const struct volume_class *class, const struct rpc_method *ret[static CSI_RPC_COUNT + 1]) {
    const struct rpc_method **end = ret;
    bool front = !class->volumes && !class->node;
    add(&end, identity, ARRAY_SIZE(identity));
    if (class->volumes || front)
        add(&end, controller_capabilities, ARRAY_SIZE(controller_capabilities));
    if (class->volumes)
        add(&end, controller, ARRAY_SIZE(controller));
    if (class->volumes && class->snapshots)
        add(&end, snapshots, ARRAY_SIZE(snapshots));
    if (class->snapshots && class->snapshots->group_create)
        add(&end, groups, ARRAY_SIZE(groups));
    if (class->node || front)
        add(&end, node_capabilities, ARRAY_SIZE(node_capabilities));
    if (class->node)
        add(&end, node, ARRAY_SIZE(node));
    *end = NULL;
}
