// SPDX-License-Identifier: Apache-2.0
// Topologies: where volumes are wanted, where they are, and what a class without a key makes of them.
#include "tests/unit/csi/fixture.h"

struct place { // one topology of two segments, of which the class knows the second
    Csi__V1__Topology__SegmentsEntry zone, node;
    Csi__V1__Topology__SegmentsEntry *segments[2];
    Csi__V1__Topology topology;
};

static Csi__V1__Topology *place_at(struct place *place, const char *key, const char *node) {
    place->zone = place->node = (Csi__V1__Topology__SegmentsEntry)CSI__V1__TOPOLOGY__SEGMENTS_ENTRY__INIT;
    place->topology = (Csi__V1__Topology)CSI__V1__TOPOLOGY__INIT;
    place->zone.key = "topology.kubernetes.io/zone";
    place->zone.value = FAKE_TOPOLOGY; // another key's value must not count
    place->node.key = (char *)(uintptr_t)key;
    place->node.value = (char *)(uintptr_t)node;
    place->segments[0] = &place->zone;
    place->segments[1] = &place->node;
    place->topology.segments = place->segments;
    place->topology.n_segments = 2;
    return &place->topology;
}

static void assert_here(const Csi__V1__Topology *topology) {
    assert_non_null(topology);
    assert_int_equal(topology->n_segments, 1);
    assert_string_equal(topology->segments[0]->key, FAKE_TOPOLOGY_KEY);
    assert_string_equal(topology->segments[0]->value, FAKE_TOPOLOGY);
}

static void test_plugin_says_so(void **state) {
    struct fixture *f = *state;
    const Csi__V1__GetPluginCapabilitiesResponse *reply =
        CALL(f, Identity, GetPluginCapabilities, get_plugin_capabilities, RPC_OK, );
    bool found = false;
    for (size_t i = 0; i < reply->n_capabilities; i++)
        found = found || (reply->capabilities[i]->type_case == CSI__V1__PLUGIN_CAPABILITY__TYPE_SERVICE &&
                          reply->capabilities[i]->service->type ==
                              CSI__V1__PLUGIN_CAPABILITY__SERVICE__TYPE__VOLUME_ACCESSIBILITY_CONSTRAINTS);
    assert_true(found);
    assert_here(CALL(f, Node, NodeGetInfo, node_get_info, RPC_OK, )->accessible_topology);
}

#define CREATE_AT(code, name_, requirement_)                                                                           \
    CALL(f, Controller, CreateVolume, create_volume, code, q.name = name_; q.volume_capabilities = mounts;             \
         q.n_volume_capabilities = 1; q.accessibility_requirements = requirement_)

static void test_where_wanted(void **state) {
    struct fixture *f = *state;
    struct place away, here;
    Csi__V1__Topology *both[] = {place_at(&away, FAKE_TOPOLOGY_KEY, "away"),
                                 place_at(&here, FAKE_TOPOLOGY_KEY, FAKE_TOPOLOGY)};
    Csi__V1__TopologyRequirement wish = CSI__V1__TOPOLOGY_REQUIREMENT__INIT;
    wish.requisite = both;
    wish.n_requisite = 1;
    CREATE_AT(RPC_RESOURCE_EXHAUSTED, "v", &wish);
    assert_int_equal(fake_class_volumes(&f->fake), 0);
    wish.n_requisite = 2;
    const Csi__V1__CreateVolumeResponse *reply = CREATE_AT(RPC_OK, "v", &wish);
    assert_int_equal(reply->volume->n_accessible_topology, 1);
    assert_here(reply->volume->accessible_topology[0]);
    // A preference is the first that the class is told.
    wish.preferred = &both[0];
    wish.n_preferred = 1;
    wish.requisite = &both[0];
    wish.n_requisite = 1;
    CREATE_AT(RPC_RESOURCE_EXHAUSTED, "w", &wish);
    assert_non_null(strstr(f->status.message, "'away'"));
}

static void test_without_the_key(void **state) {
    struct fixture *f = *state;
    struct place other;
    Csi__V1__Topology *list[] = {place_at(&other, "topology.example.com/rack", "r1")};
    Csi__V1__TopologyRequirement wish = CSI__V1__TOPOLOGY_REQUIREMENT__INIT;
    wish.requisite = list;
    wish.n_requisite = 1;
    CREATE_AT(RPC_INVALID_ARGUMENT, "v", &wish);
    assert_non_null(strstr(f->status.message, FAKE_TOPOLOGY_KEY));
    f->reply = rpc_message_free(f->reply);
    stop(f);
    f->fake.class.topology_key = NULL; // a class whose volumes are reached from everywhere
    start(f);
    CREATE_AT(RPC_OK, "v", &wish);
}

// A class of which only some volumes are bound to a place, and of which nodes may have none.
static void test_nodes_without_a_place(void **state) {
    struct fixture *f = *state;
    stop(f);
    f->fake.class.topology_common = "topology.example.com/all";
    start(f);
    const Csi__V1__Topology *node = CALL(f, Node, NodeGetInfo, node_get_info, RPC_OK, )->accessible_topology;
    assert_int_equal(node->n_segments, 2);
    assert_string_equal(node->segments[0]->key, "topology.example.com/all");
    assert_string_equal(node->segments[0]->value, "true");
    assert_string_equal(node->segments[1]->value, FAKE_TOPOLOGY);
    struct place away, none;
    Csi__V1__Topology *list[] = {place_at(&away, FAKE_TOPOLOGY_KEY, "away"),
                                 place_at(&none, "topology.example.com/all", "true")};
    Csi__V1__TopologyRequirement wish = CSI__V1__TOPOLOGY_REQUIREMENT__INIT;
    wish.preferred = list; // a preference binds nobody
    wish.n_preferred = 1;
    CREATE_AT(RPC_OK, "u", &wish);
    wish.requisite = list;
    wish.n_requisite = 1;
    CREATE_AT(RPC_RESOURCE_EXHAUSTED, "v", &wish);
    wish.n_requisite = 2; // one that leaves it open takes in every node
    CREATE_AT(RPC_OK, "v", &wish);
    f->reply = rpc_message_free(f->reply);
    stop(f);
    f->fake.class.topology_key = NULL;
    start(f);
    node = CALL(f, Node, NodeGetInfo, node_get_info, RPC_OK, )->accessible_topology;
    assert_int_equal(node->n_segments, 1);
}

static void test_capacity_of_a_place(void **state) {
    struct fixture *f = *state;
    struct place place;
#define CAPACITY_AT(topology)                                                                                          \
    CALL(f, Controller, GetCapacity, get_capacity, RPC_OK, q.accessible_topology = topology)->available_capacity
    assert_true(CAPACITY_AT(NULL) > 0);
    assert_true(CAPACITY_AT(place_at(&place, FAKE_TOPOLOGY_KEY, FAKE_TOPOLOGY)) > 0);
    assert_int_equal(CAPACITY_AT(place_at(&place, FAKE_TOPOLOGY_KEY, "away")), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_plugin_says_so),        T(test_where_wanted),        T(test_without_the_key),
        T(test_nodes_without_a_place), T(test_capacity_of_a_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
