// SPDX-License-Identifier: Apache-2.0
// The RPCs of the CSI services, one row each; `X` is applied to every row.
//
//   X(service, RPC, handler, object, lock, deadline in s, quick, required fields in the order of their check..., NULL)
//
// Why:   a new RPC is a row here and a function csi_<handler>. The columns are those of struct rpc_method. Rows without a
//        lock only read; calls that change a volume hold the lock of its id, creations that of their name.
#pragma once

#include "csi/volume.h"
#include "lib/rpc/server.h"
#include "proto/csi.pb-c.h"

#define CSI_IDENTITY_RPCS(X)                                                                                           \
    X(Identity, GetPluginInfo, get_plugin_info, NULL, NULL, 5, true, NULL)                                             \
    X(Identity, GetPluginCapabilities, get_plugin_capabilities, NULL, NULL, 5, true, NULL)                             \
    X(Identity, Probe, probe, NULL, NULL, 5, true, NULL)

// What a service can do is asked of fronts as well: see struct volume_class.
#define CSI_CONTROLLER_CAPABILITY_RPCS(X)                                                                              \
    X(Controller, ControllerGetCapabilities, controller_get_capabilities, NULL, NULL, 5, true, NULL)
#define CSI_NODE_CAPABILITY_RPCS(X) X(Node, NodeGetCapabilities, node_get_capabilities, NULL, NULL, 5, true, NULL)

#define CSI_CONTROLLER_RPCS(X)                                                                                         \
    X(Controller, CreateVolume, create_volume, "name", "volume name", 0, false, "name", "volume_capabilities", NULL)   \
    X(Controller, DeleteVolume, delete_volume, "volume_id", "volume", 0, false, "volume_id", NULL)                     \
    X(Controller, ControllerPublishVolume, controller_publish_volume, "volume_id", "volume", 0, false, "volume_id",    \
      "node_id", "volume_capability", NULL)                                                                            \
    X(Controller, ControllerUnpublishVolume, controller_unpublish_volume, "volume_id", "volume", 0, false,             \
      "volume_id", NULL)                                                                                               \
    X(Controller, ValidateVolumeCapabilities, validate_volume_capabilities, "volume_id", NULL, 0, false, "volume_id",  \
      "volume_capabilities", NULL)                                                                                     \
    X(Controller, ListVolumes, list_volumes, NULL, NULL, 0, false, NULL)                                               \
    X(Controller, GetCapacity, get_capacity, NULL, NULL, 0, false, NULL)                                               \
    X(Controller, ControllerGetVolume, controller_get_volume, "volume_id", NULL, 0, false, "volume_id", NULL)          \
    X(Controller, ControllerExpandVolume, controller_expand_volume, "volume_id", "volume", 0, false, "volume_id",      \
      "capacity_range", NULL)                                                                                          \
    X(Controller, ControllerModifyVolume, controller_modify_volume, "volume_id", "volume", 0, false, "volume_id", NULL)

#define CSI_SNAPSHOT_RPCS(X)                                                                                           \
    X(Controller, CreateSnapshot, create_snapshot, "name", "snapshot name", 0, false, "name", "source_volume_id",      \
      NULL)                                                                                                            \
    X(Controller, DeleteSnapshot, delete_snapshot, "snapshot_id", "snapshot", 0, false, "snapshot_id", NULL)           \
    X(Controller, ListSnapshots, list_snapshots, NULL, NULL, 0, false, NULL)                                           \
    X(Controller, GetSnapshot, get_snapshot, "snapshot_id", NULL, 0, false, "snapshot_id", NULL)

#define CSI_GROUP_RPCS(X)                                                                                              \
    X(GroupController, GroupControllerGetCapabilities, group_controller_get_capabilities, NULL, NULL, 5, true, NULL)   \
    X(GroupController, CreateVolumeGroupSnapshot, create_volume_group_snapshot, "name", "group snapshot name", 0,      \
      false, "name", "source_volume_ids", NULL)                                                                        \
    X(GroupController, DeleteVolumeGroupSnapshot, delete_volume_group_snapshot, "group_snapshot_id", "group snapshot", \
      0, false, "group_snapshot_id", NULL)                                                                             \
    X(GroupController, GetVolumeGroupSnapshot, get_volume_group_snapshot, "group_snapshot_id", NULL, 0, false,         \
      "group_snapshot_id", NULL)

#define CSI_NODE_RPCS(X)                                                                                               \
    X(Node, NodeGetInfo, node_get_info, NULL, NULL, 5, true, NULL)                                                     \
    X(Node, NodeStageVolume, node_stage_volume, "volume_id", "volume", 0, false, "volume_id", "staging_target_path",   \
      "volume_capability", NULL)                                                                                       \
    X(Node, NodeUnstageVolume, node_unstage_volume, "volume_id", "volume", 0, false, "volume_id",                      \
      "staging_target_path", NULL)                                                                                     \
    X(Node, NodePublishVolume, node_publish_volume, "volume_id", "volume", 0, false, "volume_id", "target_path",       \
      "volume_capability", NULL)                                                                                       \
    X(Node, NodeUnpublishVolume, node_unpublish_volume, "volume_id", "volume", 0, false, "volume_id", "target_path",   \
      NULL)                                                                                                            \
    X(Node, NodeGetVolumeStats, node_get_volume_stats, "volume_id", NULL, 0, false, "volume_id", "volume_path", NULL)  \
    X(Node, NodeExpandVolume, node_expand_volume, "volume_id", "volume", 0, false, "volume_id", "volume_path", NULL)

// What a handler is given beside its messages.
struct csi_call {
    const struct volume_class *class;
    struct call_context context;
    struct arena *arena; // of the call; replies are built from it
};

#define CSI_DECLARE(service, Rpc, handler, ...)                                                                        \
    int csi_##handler(const struct csi_call *call, const Csi__V1__##Rpc##Request *request,                             \
                      Csi__V1__##Rpc##Response *response, struct err *err);
CSI_IDENTITY_RPCS(CSI_DECLARE)
CSI_CONTROLLER_CAPABILITY_RPCS(CSI_DECLARE)
CSI_CONTROLLER_RPCS(CSI_DECLARE)
CSI_SNAPSHOT_RPCS(CSI_DECLARE)
CSI_GROUP_RPCS(CSI_DECLARE)
CSI_NODE_CAPABILITY_RPCS(CSI_DECLARE)
CSI_NODE_RPCS(CSI_DECLARE)

#define CSI_RPC_COUNT 36 // at most so many rows in all
// The rows that a class can serve, NULL-terminated.
void csi_table_of(const struct volume_class *class, const struct rpc_method *ret[static CSI_RPC_COUNT + 1]);
