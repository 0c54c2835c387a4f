// SPDX-License-Identifier: Apache-2.0
// The Controller service for volumes: argument errors, and what replies hold.
#include "tests/unit/csi/fixture.h"

static Csi__V1__VolumeCapability *blocks[] = {&block_volume};

static void test_create_names(void **state) {
    struct fixture *f = *state;
    char longest[128 * 2 + 3] = "";
    for (size_t i = 0; i < 128; i++)
        memcpy(longest + 2 * i, "é", 2);
    CREATE(f, RPC_INVALID_ARGUMENT, );
    CREATE(f, RPC_INVALID_ARGUMENT, q.name = "a\nb");
    CREATE(f, RPC_INVALID_ARGUMENT, q.name = "a\x7f");
    CREATE(f, RPC_INVALID_ARGUMENT, q.name = "a\xc2\x85"); // U+0085
    CREATE(f, RPC_OK, q.name = "a");
    CREATE(f, RPC_OK, q.name = "../ü/\xf0\x9f\x98\x80");
    CREATE(f, RPC_OK, q.name = longest);
    memcpy(longest + 256, "x", 2);
    CREATE(f, RPC_INVALID_ARGUMENT, q.name = longest);
    assert_non_null(strstr(f->status.message, "129"));
}

static void test_create_capabilities(void **state) {
    struct fixture *f = *state;
    Csi__V1__VolumeCapability *bad[] = {&without_mode, &without_type, &unknown_mode, &block_volume};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CREATE(f, RPC_INVALID_ARGUMENT, q.name = "v"; CAPS(&bad[i]));
    assert_non_null(strstr(f->status.message, "block"));
    CREATE(f, RPC_INVALID_ARGUMENT, q.name = "v"; q.n_volume_capabilities = 0);
    assert_int_equal(fake_class_volumes(&f->fake), 0);
}

static void test_create_ranges(void **state) {
    struct fixture *f = *state;
    CREATE(f, RPC_INVALID_ARGUMENT, q.name = "v"; RANGE(-1, 0));
    CREATE(f, RPC_INVALID_ARGUMENT, q.name = "v"; RANGE(0, INT64_MIN));
    CREATE(f, RPC_INVALID_ARGUMENT, q.name = "v"; RANGE(10, 9));
    assert_int_equal(fake_class_volumes(&f->fake), 0);
    assert_int_equal(CREATE(f, RPC_OK, q.name = "v"; RANGE(10, 10))->volume->capacity_bytes, 10);
    CREATE(f, RPC_ALREADY_EXISTS, q.name = "v"; RANGE(20, 20));
}

static void test_create_sources(void **state) {
    struct fixture *f = *state;
    cleanup_free char *id = new_volume(f, "source");
    Csi__V1__VolumeContentSource source = CSI__V1__VOLUME_CONTENT_SOURCE__INIT;
    Csi__V1__VolumeContentSource__VolumeSource volume = CSI__V1__VOLUME_CONTENT_SOURCE__VOLUME_SOURCE__INIT;
    CREATE(f, RPC_INVALID_ARGUMENT, q.name = "v"; q.volume_content_source = &source);
    source.type_case = CSI__V1__VOLUME_CONTENT_SOURCE__TYPE_VOLUME;
    source.volume = &volume;
    CREATE(f, RPC_INVALID_ARGUMENT, q.name = "v"; q.volume_content_source = &source);
    volume.volume_id = "vol-999999";
    CREATE(f, RPC_NOT_FOUND, q.name = "v"; q.volume_content_source = &source);
    volume.volume_id = id;
    const Csi__V1__Volume *made = CREATE(f, RPC_OK, q.name = "v"; q.volume_content_source = &source)->volume;
    assert_int_equal(made->content_source->type_case, CSI__V1__VOLUME_CONTENT_SOURCE__TYPE_VOLUME);
    assert_string_equal(made->content_source->volume->volume_id, id);
    assert_int_equal(made->n_volume_context, 1);
    assert_string_equal(made->volume_context[0]->key, "kind");
    assert_string_equal(made->volume_context[0]->value, "fake");
}

static void test_mutable_parameters(void **state) {
    struct fixture *f = *state;
    cleanup_free char *id = new_volume(f, "v");
    Csi__V1__CreateVolumeRequest__MutableParametersEntry entry =
        CSI__V1__CREATE_VOLUME_REQUEST__MUTABLE_PARAMETERS_ENTRY__INIT;
    Csi__V1__CreateVolumeRequest__MutableParametersEntry *entries[] = {&entry};
    entry.key = "colour";
    CREATE(f, RPC_INVALID_ARGUMENT, q.name = "w"; q.mutable_parameters = entries; q.n_mutable_parameters = 1);
    entry.key = "tier";
    CREATE(f, RPC_OK, q.name = "w"; q.mutable_parameters = entries; q.n_mutable_parameters = 1);
    Csi__V1__ControllerModifyVolumeRequest__MutableParametersEntry change =
        CSI__V1__CONTROLLER_MODIFY_VOLUME_REQUEST__MUTABLE_PARAMETERS_ENTRY__INIT;
    Csi__V1__ControllerModifyVolumeRequest__MutableParametersEntry *changes[] = {&change};
#define MODIFY(code, id)                                                                                               \
    CALL(f, Controller, ControllerModifyVolume, controller_modify_volume, code, q.volume_id = (id);                    \
         q.mutable_parameters = changes; q.n_mutable_parameters = 1)
    change.key = "colour"; // before existence
    MODIFY(RPC_INVALID_ARGUMENT, "vol-999999");
    change.key = "tier";
    MODIFY(RPC_NOT_FOUND, "vol-999999");
    MODIFY(RPC_INVALID_ARGUMENT, "");
    MODIFY(RPC_OK, id);
}

// ---- arguments come before existence, and garbage names nothing ----

static void test_controller_arguments(void **state) {
    struct fixture *f = *state;
    char *no = "vol-999999";
    CALL(f, Controller, DeleteVolume, delete_volume, RPC_INVALID_ARGUMENT, );
    CALL(f, Controller, DeleteVolume, delete_volume, RPC_OK, q.volume_id = no);
    CALL(f, Controller, DeleteVolume, delete_volume, RPC_OK, q.volume_id = "gar/bage");
#define PUBLISH(code, ...) CALL(f, Controller, ControllerPublishVolume, controller_publish_volume, code, __VA_ARGS__)
    PUBLISH(RPC_INVALID_ARGUMENT, q.node_id = FAKE_NODE; q.volume_capability = &mount_volume);
    PUBLISH(RPC_INVALID_ARGUMENT, q.volume_id = no; q.volume_capability = &mount_volume);
    PUBLISH(RPC_INVALID_ARGUMENT, q.volume_id = no; q.node_id = FAKE_NODE);
    PUBLISH(RPC_INVALID_ARGUMENT, q.volume_id = no; q.node_id = FAKE_NODE; q.volume_capability = &without_mode);
    PUBLISH(RPC_NOT_FOUND, q.volume_id = no; q.node_id = FAKE_NODE; q.volume_capability = &mount_volume);
    CALL(f, Controller, ControllerUnpublishVolume, controller_unpublish_volume, RPC_INVALID_ARGUMENT, );
    CALL(f, Controller, ControllerUnpublishVolume, controller_unpublish_volume, RPC_OK, q.volume_id = no);
#define EXPAND(code, ...) CALL(f, Controller, ControllerExpandVolume, controller_expand_volume, code, __VA_ARGS__)
    EXPAND(RPC_INVALID_ARGUMENT, );
    EXPAND(RPC_INVALID_ARGUMENT, q.volume_id = no);
    EXPAND(RPC_INVALID_ARGUMENT, q.volume_id = no; RANGE(0, 0));
    EXPAND(RPC_INVALID_ARGUMENT, q.volume_id = no; RANGE(5, 4));
    EXPAND(RPC_NOT_FOUND, q.volume_id = no; RANGE(5, 0));
    CALL(f, Controller, ControllerGetVolume, controller_get_volume, RPC_INVALID_ARGUMENT, );
    CALL(f, Controller, ControllerGetVolume, controller_get_volume, RPC_NOT_FOUND, q.volume_id = no);
    CALL(f, Controller, ControllerGetVolume, controller_get_volume, RPC_NOT_FOUND, q.volume_id = "garbage");
}

static void test_expand(void **state) {
    struct fixture *f = *state;
    cleanup_free char *id = new_volume(f, "v");
    const Csi__V1__ControllerExpandVolumeResponse *reply = EXPAND(RPC_OK, q.volume_id = id; RANGE(INT64_C(1) << 35, 0));
    assert_int_equal(reply->capacity_bytes, INT64_C(1) << 35);
    EXPAND(RPC_OUT_OF_RANGE, q.volume_id = id; RANGE(INT64_MAX, 0));
}

static void test_validate(void **state) {
    struct fixture *f = *state;
    cleanup_free char *id = new_volume(f, "v");
#define VALIDATE(code, ...)                                                                                            \
    CALL(f, Controller, ValidateVolumeCapabilities, validate_volume_capabilities, code, __VA_ARGS__)
    VALIDATE(RPC_INVALID_ARGUMENT, CAPS(mounts));
    VALIDATE(RPC_INVALID_ARGUMENT, q.volume_id = "vol-999999");
    VALIDATE(RPC_NOT_FOUND, q.volume_id = "vol-999999"; CAPS(mounts));
    VALIDATE(RPC_NOT_FOUND, q.volume_id = "garbage"; CAPS(mounts));
    Csi__V1__ValidateVolumeCapabilitiesRequest__ParametersEntry entry =
        CSI__V1__VALIDATE_VOLUME_CAPABILITIES_REQUEST__PARAMETERS_ENTRY__INIT;
    Csi__V1__ValidateVolumeCapabilitiesRequest__ParametersEntry *entries[] = {&entry};
    entry.key = "k";
    entry.value = "w";
    const Csi__V1__ValidateVolumeCapabilitiesResponse *reply =
        VALIDATE(RPC_OK, q.volume_id = id; q.parameters = entries; q.n_parameters = 1; CAPS(mounts));
    assert_non_null(reply->confirmed);
    assert_int_equal(reply->confirmed->n_volume_capabilities, 1);
    assert_int_equal(reply->confirmed->volume_capabilities[0]->access_mode->mode, many_writers.mode);
    assert_string_equal(reply->confirmed->parameters[0]->value, "w");
    reply = VALIDATE(RPC_OK, q.volume_id = id; CAPS(blocks));
    assert_null(reply->confirmed);
    assert_non_null(strstr(reply->message, "block"));
}

// ---- lists ----

#define LIST(code, ...) CALL(f, Controller, ListVolumes, list_volumes, code, __VA_ARGS__)

static void test_list_volumes(void **state) {
    struct fixture *f = *state;
    fake_class_generate(&f->fake, 5);
    LIST(RPC_ABORTED, q.starting_token = "invalid-token");
    LIST(RPC_INVALID_ARGUMENT, q.max_entries = -1);
    assert_int_equal(LIST(RPC_OK, )->n_entries, 5);
    const Csi__V1__ListVolumesResponse *page = LIST(RPC_OK, q.max_entries = 2);
    assert_int_equal(page->n_entries, 2);
    cleanup_free char *token = mem_strdup(page->next_token);
    page = LIST(RPC_OK, q.starting_token = token);
    assert_int_equal(page->n_entries, 3);
    assert_string_equal(page->entries[0]->volume->volume_id, "vol-z000002");
    assert_string_equal(page->next_token, "");
    assert_non_null(page->entries[0]->status->volume_condition);
    assert_string_equal(LIST(RPC_OK, q.max_entries = 5)->next_token, ""); // a full page with nothing behind it
    token[0] = token[0] == 'a' ? 'b' : 'a';
    LIST(RPC_ABORTED, q.starting_token = token);
}

static void test_long_list_is_cut(void **state) {
    struct fixture *f = *state;
    fake_class_generate(&f->fake, 5000); // of more than 1000 bytes each
    const Csi__V1__ListVolumesResponse *page = LIST(RPC_OK, );
    size_t first = page->n_entries;
    assert_true(first < 5000 && first > 3000);
    assert_true(protobuf_c_message_get_packed_size(&page->base) < (size_t)4 << 20);
    cleanup_free char *token = mem_strdup(page->next_token);
    page = LIST(RPC_OK, q.starting_token = token);
    assert_int_equal(first + page->n_entries, 5000);
    assert_string_equal(page->next_token, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_create_names),       T(test_create_capabilities),  T(test_create_ranges), T(test_create_sources),
        T(test_mutable_parameters), T(test_controller_arguments), T(test_expand),        T(test_validate),
        T(test_list_volumes),       T(test_long_list_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
