// SPDX-License-Identifier: Apache-2.0
// The Node service: argument errors, and what replies hold.
#include "tests/unit/csi/fixture.h"

static void test_node_arguments(void **state) {
    struct fixture *f = *state;
    char *no = "vol-999999";
#define STAGE(code, ...) CALL(f, Node, NodeStageVolume, node_stage_volume, code, __VA_ARGS__)
#define NODE_PUBLISH(code, ...) CALL(f, Node, NodePublishVolume, node_publish_volume, code, __VA_ARGS__)
    STAGE(RPC_INVALID_ARGUMENT, q.staging_target_path = "/s"; q.volume_capability = &mount_volume);
    STAGE(RPC_INVALID_ARGUMENT, q.volume_id = no; q.volume_capability = &mount_volume);
    STAGE(RPC_INVALID_ARGUMENT, q.volume_id = no; q.staging_target_path = "/s");
    STAGE(RPC_INVALID_ARGUMENT, q.volume_id = no; q.staging_target_path = "s"; q.volume_capability = &mount_volume);
    STAGE(RPC_NOT_FOUND, q.volume_id = no; q.staging_target_path = "/s"; q.volume_capability = &mount_volume);
    NODE_PUBLISH(RPC_INVALID_ARGUMENT, q.target_path = "/t"; q.volume_capability = &mount_volume);
    NODE_PUBLISH(RPC_INVALID_ARGUMENT, q.volume_id = no; q.volume_capability = &mount_volume);
    NODE_PUBLISH(RPC_INVALID_ARGUMENT, q.volume_id = no; q.target_path = "/t");
    NODE_PUBLISH(RPC_INVALID_ARGUMENT, q.volume_id = no; q.target_path = "t"; q.volume_capability = &mount_volume);
    NODE_PUBLISH(RPC_FAILED_PRECONDITION, q.volume_id = no; q.target_path = "/t"; q.volume_capability = &mount_volume);
    NODE_PUBLISH(RPC_NOT_FOUND, q.volume_id = no; q.target_path = "/t"; q.staging_target_path = "/s";
                 q.volume_capability = &mount_volume);
    CALL(f, Node, NodeUnstageVolume, node_unstage_volume, RPC_INVALID_ARGUMENT, q.volume_id = no);
    CALL(f, Node, NodeUnstageVolume, node_unstage_volume, RPC_INVALID_ARGUMENT, q.staging_target_path = "/s");
    CALL(f, Node, NodeUnpublishVolume, node_unpublish_volume, RPC_INVALID_ARGUMENT, q.volume_id = no);
    CALL(f, Node, NodeUnpublishVolume, node_unpublish_volume, RPC_INVALID_ARGUMENT, q.target_path = "/t");
    CALL(f, Node, NodeGetVolumeStats, node_get_volume_stats, RPC_INVALID_ARGUMENT, q.volume_id = no);
    CALL(f, Node, NodeGetVolumeStats, node_get_volume_stats, RPC_INVALID_ARGUMENT, q.volume_path = "/t");
    CALL(f, Node, NodeGetVolumeStats, node_get_volume_stats, RPC_NOT_FOUND, q.volume_id = no; q.volume_path = "a/b");
    CALL(f, Node, NodeExpandVolume, node_expand_volume, RPC_INVALID_ARGUMENT, q.volume_id = no);
    CALL(f, Node, NodeExpandVolume, node_expand_volume, RPC_INVALID_ARGUMENT, q.volume_path = "/t");
    CALL(f, Node, NodeExpandVolume, node_expand_volume, RPC_NOT_FOUND, q.volume_id = no; q.volume_path = "/t");
}

// Without a staging path only what kubelet calls ephemeral is published, and by the function that is for it.
static void test_inline_volumes(void **state) {
    struct fixture *f = *state;
    Csi__V1__NodePublishVolumeRequest__VolumeContextEntry server =
        CSI__V1__NODE_PUBLISH_VOLUME_REQUEST__VOLUME_CONTEXT_ENTRY__INIT;
    Csi__V1__NodePublishVolumeRequest__VolumeContextEntry ephemeral = server;
    Csi__V1__NodePublishVolumeRequest__VolumeContextEntry *context[] = {&server, &ephemeral};
    server.key = "server";
    server.value = "nas";
    ephemeral.key = "csi.storage.k8s.io/ephemeral";
    ephemeral.value = "true";
#define PUBLISH_WITH_CONTEXT(code, ...)                                                                                \
    NODE_PUBLISH(code, q.volume_id = "csi-1"; q.target_path = "/t"; q.volume_capability = &mount_volume;               \
                 q.volume_context = context; q.n_volume_context = ARRAY_SIZE(context); __VA_ARGS__)
    PUBLISH_WITH_CONTEXT(RPC_PERMISSION_DENIED, );
    PUBLISH_WITH_CONTEXT(RPC_NOT_FOUND, q.staging_target_path = "/s");
    PUBLISH_WITH_CONTEXT(RPC_INVALID_ARGUMENT, q.target_path = "t");
    ephemeral.value = "false";
    PUBLISH_WITH_CONTEXT(RPC_FAILED_PRECONDITION, );
    ephemeral.key = "ephemeral";
    ephemeral.value = "true";
    PUBLISH_WITH_CONTEXT(RPC_FAILED_PRECONDITION, );
}

static void test_node_replies(void **state) {
    struct fixture *f = *state;
    cleanup_free char *id = new_volume(f, "v");
    STAGE(RPC_OK, q.volume_id = id; q.staging_target_path = "/s"; q.volume_capability = &mount_volume);
    const Csi__V1__NodeGetVolumeStatsResponse *reply =
        CALL(f, Node, NodeGetVolumeStats, node_get_volume_stats, RPC_OK, q.volume_id = id; q.volume_path = "/s");
    assert_int_equal(reply->n_usage, 2);
    assert_int_equal(reply->usage[0]->unit, CSI__V1__VOLUME_USAGE__UNIT__BYTES);
    assert_int_equal(reply->usage[0]->available, 20);
    assert_int_equal(reply->usage[1]->total, 3);
    const Csi__V1__NodeGetInfoResponse *info = CALL(f, Node, NodeGetInfo, node_get_info, RPC_OK, );
    assert_string_equal(info->node_id, FAKE_NODE);
    assert_int_equal(info->max_volumes_per_node, FAKE_NODE_VOLUMES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_node_arguments),
        T(test_inline_volumes),
        T(test_node_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
