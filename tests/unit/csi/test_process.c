// SPDX-License-Identifier: Apache-2.0
// What belongs to the process: identity, capabilities, codes, deadlines, and which services are there.
#include "tests/unit/csi/fixture.h"

static Csi__V1__VolumeCapability *blocks[] = {&block_volume};

#define LIST(code, ...) CALL(f, Controller, ListVolumes, list_volumes, code, __VA_ARGS__)

static void test_identity(void **state) {
    struct fixture *f = *state;
    const Csi__V1__GetPluginInfoResponse *info = CALL(f, Identity, GetPluginInfo, get_plugin_info, RPC_OK, );
    assert_string_equal(info->name, "fake.stowage.dev");
    assert_string_equal(info->vendor_version, STOWAGE_VERSION);
    assert_true(CALL(f, Identity, Probe, probe, RPC_OK, )->ready->value);
    assert_int_equal(CALL(f, Identity, GetPluginCapabilities, get_plugin_capabilities, RPC_OK, )->n_capabilities, 4);
    assert_int_equal(
        CALL(f, Controller, ControllerGetCapabilities, controller_get_capabilities, RPC_OK, )->n_capabilities, 15);
    assert_int_equal(CALL(f, Node, NodeGetCapabilities, node_get_capabilities, RPC_OK, )->n_capabilities, 5);
}

static int not_ready(void *self, struct err *err) {
    (void)self;
    return err_set(err, -EHOSTUNREACH, "the share does not answer");
}

static void test_probe_that_fails(void **state) {
    struct fixture *f = *state;
    stop(f);
    f->fake.class.probe = not_ready;
    start(f);
    CALL(f, Identity, Probe, probe, RPC_FAILED_PRECONDITION, );
    assert_string_equal(f->status.message, "the share does not answer");
}

static void test_capacity(void **state) {
    struct fixture *f = *state;
    const Csi__V1__GetCapacityResponse *reply = CALL(f, Controller, GetCapacity, get_capacity, RPC_OK, );
    assert_int_equal(reply->available_capacity, INT64_C(1) << 40);
    assert_int_equal(reply->maximum_volume_size->value, INT64_C(1) << 39);
    reply = CALL(f, Controller, GetCapacity, get_capacity, RPC_OK, CAPS(blocks));
    assert_int_equal(reply->available_capacity, 0);
}

static void test_errors_have_codes(void **state) {
    struct fixture *f = *state;
    static const struct {
        int error;
        enum rpc_code code;
    } rows[] = {{-EHOSTUNREACH, RPC_UNAVAILABLE},  {-EACCES, RPC_PERMISSION_DENIED},
                {-ENOSPC, RPC_RESOURCE_EXHAUSTED}, {-ETIMEDOUT, RPC_DEADLINE_EXCEEDED},
                {-EBADMSG, RPC_DATA_LOSS},         {-EINPROGRESS, RPC_ABORTED},
                {-EBUSY, RPC_FAILED_PRECONDITION}, {-EIO, RPC_INTERNAL},
                {-EOPNOTSUPP, RPC_UNIMPLEMENTED}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        fake_class_fail(&f->fake, rows[i].error);
        CREATE(f, rows[i].code, q.name = "v");
        assert_string_equal(f->status.message, "as the test asked");
        LIST(rows[i].code, );
    }
}

static void test_default_deadline(void **state) {
    struct fixture *f = *state;
    CREATE(f, RPC_OK, q.name = "v");
    int64_t left = fake_class_deadline(&f->fake) - clock_monotonic(&clock_system);
    assert_true(left > 0 && left <= 7 * NS_PER_S);
}

static void test_a_node_serves_no_controller(void **state) {
    struct fixture *f = *state;
    stop(f);
    f->fake.class.volumes = NULL;
    f->fake.class.snapshots = NULL;
    start(f);
    CALL(f, Controller, ListVolumes, list_volumes, RPC_UNIMPLEMENTED, );
    CALL(f, GroupController, GroupControllerGetCapabilities, group_controller_get_capabilities, RPC_UNIMPLEMENTED, );
    CALL(f, Node, NodeGetInfo, node_get_info, RPC_OK, );
    CALL(f, Identity, Probe, probe, RPC_OK, );
}

// csi-resizer leaves growing to the nodes when the plugin has a controller that cannot, and nodes that can.
static void test_a_front_tells_that_nodes_grow(void **state) {
    struct fixture *f = *state;
    for (int grows = 0; grows <= 1; grows++) {
        stop(f);
        f->fake.class.volumes = NULL;
        f->fake.class.snapshots = NULL;
        f->fake.class.node = NULL;
        f->fake.class.node_expands = grows;
        start(f);
        CALL(f, Identity, Probe, probe, RPC_OK, );
        assert_string_equal(CALL(f, Identity, GetPluginInfo, get_plugin_info, RPC_OK, )->name, "fake.stowage.dev");
        const Csi__V1__GetPluginCapabilitiesResponse *plugin =
            CALL(f, Identity, GetPluginCapabilities, get_plugin_capabilities, RPC_OK, );
        assert_int_equal(plugin->capabilities[0]->service->type,
                         CSI__V1__PLUGIN_CAPABILITY__SERVICE__TYPE__CONTROLLER_SERVICE);
        assert_int_equal(
            CALL(f, Controller, ControllerGetCapabilities, controller_get_capabilities, RPC_OK, )->n_capabilities, 0);
        const Csi__V1__NodeGetCapabilitiesResponse *node =
            CALL(f, Node, NodeGetCapabilities, node_get_capabilities, RPC_OK, );
        assert_int_equal(node->n_capabilities, grows);
        if (grows)
            assert_int_equal(node->capabilities[0]->rpc->type,
                             CSI__V1__NODE_SERVICE_CAPABILITY__RPC__TYPE__EXPAND_VOLUME);
        CALL(f, Controller, ListVolumes, list_volumes, RPC_UNIMPLEMENTED, );
        CALL(f, Node, NodeGetInfo, node_get_info, RPC_UNIMPLEMENTED, );
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_identity),
        T(test_probe_that_fails),
        T(test_capacity),
        T(test_errors_have_codes),
        T(test_default_deadline),
        T(test_a_node_serves_no_controller),
        T(test_a_front_tells_that_nodes_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
