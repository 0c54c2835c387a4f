// SPDX-License-Identifier: Apache-2.0
// Snapshots and group snapshots: argument errors, lists, and what replies hold.
#include "tests/unit/csi/fixture.h"

#define LIST(code, ...) CALL(f, Controller, ListVolumes, list_volumes, code, __VA_ARGS__)

#define SNAP(code, ...) CALL(f, Controller, CreateSnapshot, create_snapshot, code, __VA_ARGS__)
#define SNAPS(code, ...) CALL(f, Controller, ListSnapshots, list_snapshots, code, __VA_ARGS__)

static void test_snapshots(void **state) {
    struct fixture *f = *state;
    cleanup_free char *id = new_volume(f, "v"), *other = new_volume(f, "w");
    SNAP(RPC_INVALID_ARGUMENT, q.source_volume_id = id);
    SNAP(RPC_INVALID_ARGUMENT, q.name = "s");
    SNAP(RPC_INVALID_ARGUMENT, q.name = "\t"; q.source_volume_id = id);
    SNAP(RPC_NOT_FOUND, q.name = "s"; q.source_volume_id = "vol-999999");
    const Csi__V1__Snapshot *made = SNAP(RPC_OK, q.name = "s"; q.source_volume_id = id)->snapshot;
    assert_int_equal(made->creation_time->seconds, 1700000000);
    assert_int_equal(made->creation_time->nanos, 123456789);
    assert_true(made->ready_to_use);
    assert_string_equal(made->source_volume_id, id);
    cleanup_free char *snapshot = mem_strdup(made->snapshot_id);
    SNAP(RPC_ALREADY_EXISTS, q.name = "s"; q.source_volume_id = other);
#define GET(code, id) CALL(f, Controller, GetSnapshot, get_snapshot, code, q.snapshot_id = (id))
    GET(RPC_INVALID_ARGUMENT, "");
    GET(RPC_NOT_FOUND, "snap-999999");
    GET(RPC_NOT_FOUND, "garbage");
    assert_string_equal(GET(RPC_OK, snapshot)->snapshot->snapshot_id, snapshot);
    CALL(f, Controller, DeleteSnapshot, delete_snapshot, RPC_INVALID_ARGUMENT, );
    CALL(f, Controller, DeleteSnapshot, delete_snapshot, RPC_OK, q.snapshot_id = "garbage");
    CALL(f, Controller, DeleteSnapshot, delete_snapshot, RPC_OK, q.snapshot_id = snapshot);
    GET(RPC_NOT_FOUND, snapshot);
}

static void test_list_snapshots(void **state) {
    struct fixture *f = *state;
    cleanup_free char *id = new_volume(f, "v"), *other = new_volume(f, "w");
    cleanup_free char *first = mem_strdup(SNAP(RPC_OK, q.name = "a"; q.source_volume_id = id)->snapshot->snapshot_id);
    SNAP(RPC_OK, q.name = "b"; q.source_volume_id = other);
    SNAP(RPC_OK, q.name = "c"; q.source_volume_id = id);
    assert_int_equal(SNAPS(RPC_OK, )->n_entries, 3);
    assert_int_equal(SNAPS(RPC_OK, q.source_volume_id = id)->n_entries, 2);
    assert_int_equal(SNAPS(RPC_OK, q.source_volume_id = "vol-999999")->n_entries, 0);
    assert_int_equal(SNAPS(RPC_OK, q.source_volume_id = "garbage")->n_entries, 0);
    assert_int_equal(SNAPS(RPC_OK, q.snapshot_id = first)->n_entries, 1);
    assert_int_equal(SNAPS(RPC_OK, q.snapshot_id = first; q.source_volume_id = other)->n_entries, 0);
    assert_int_equal(SNAPS(RPC_OK, q.snapshot_id = "snap-999999")->n_entries, 0);
    assert_int_equal(SNAPS(RPC_OK, q.snapshot_id = "garbage")->n_entries, 0);
    cleanup_free char *token = mem_strdup(SNAPS(RPC_OK, q.max_entries = 2)->next_token);
    assert_int_equal(SNAPS(RPC_OK, q.starting_token = token)->n_entries, 1);
    LIST(RPC_ABORTED, q.starting_token = token); // a token of the other list
    SNAPS(RPC_INVALID_ARGUMENT, q.max_entries = -1);
}

static void test_group_snapshots(void **state) {
    struct fixture *f = *state;
    cleanup_free char *a = new_volume(f, "a"), *b = new_volume(f, "b");
    char *ids[] = {a, b}, *empty[] = {a, ""}, *missing[] = {"vol-999999"};
#define GROUP(code, list, count, ...)                                                                                  \
    CALL(f, GroupController, CreateVolumeGroupSnapshot, create_volume_group_snapshot, code,                            \
         q.source_volume_ids = (list);                                                                                 \
         q.n_source_volume_ids = (count); __VA_ARGS__)
    GROUP(RPC_INVALID_ARGUMENT, ids, 2, );
    GROUP(RPC_INVALID_ARGUMENT, NULL, 0, q.name = "g");
    GROUP(RPC_INVALID_ARGUMENT, empty, 2, q.name = "g");
    GROUP(RPC_NOT_FOUND, missing, 1, q.name = "g");
    const Csi__V1__VolumeGroupSnapshot *made = GROUP(RPC_OK, ids, 2, q.name = "g")->group_snapshot;
    assert_int_equal(made->n_snapshots, 2);
    assert_string_equal(made->snapshots[0]->group_snapshot_id, made->group_snapshot_id);
    assert_true(made->ready_to_use);
    cleanup_free char *group = mem_strdup(made->group_snapshot_id);
#define GET_GROUP(code, ...)                                                                                           \
    CALL(f, GroupController, GetVolumeGroupSnapshot, get_volume_group_snapshot, code, __VA_ARGS__)
#define DELETE_GROUP(code, ...)                                                                                        \
    CALL(f, GroupController, DeleteVolumeGroupSnapshot, delete_volume_group_snapshot, code, __VA_ARGS__)
    GET_GROUP(RPC_INVALID_ARGUMENT, );
    GET_GROUP(RPC_NOT_FOUND, q.group_snapshot_id = "garbage");
    GET_GROUP(RPC_INVALID_ARGUMENT, q.group_snapshot_id = group; q.snapshot_ids = ids; q.n_snapshot_ids = 2);
    assert_int_equal(GET_GROUP(RPC_OK, q.group_snapshot_id = group)->group_snapshot->n_snapshots, 2);
    DELETE_GROUP(RPC_INVALID_ARGUMENT, );
    DELETE_GROUP(RPC_OK, q.group_snapshot_id = "garbage"; q.snapshot_ids = ids; q.n_snapshot_ids = 2);
    DELETE_GROUP(RPC_INVALID_ARGUMENT, q.group_snapshot_id = group; q.snapshot_ids = ids; q.n_snapshot_ids = 2);
    DELETE_GROUP(RPC_OK, q.group_snapshot_id = group);
    GET_GROUP(RPC_NOT_FOUND, q.group_snapshot_id = group);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_snapshots),
        T(test_list_snapshots),
        T(test_group_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
