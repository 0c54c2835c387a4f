// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cm.h"

#include <errno.h>
#include <string.h>

#include "cli/message_json.h"
#include "lib/base/mem.h"
#include "proto/csi.pb-c.h"

static int parse(const char *text, ProtobufCMessage **ret, struct err *err) {
    struct json *json cleanup(json_freep) = NULL;
    assert_int_equal(json_parse(text, strlen(text), 65536, &json, err), 0);
    return message_from_json(json, &csi__v1__create_volume_request__descriptor, ret, err);
}

static const char REQUEST[] =
    "{\"name\":\"data\",\"capacity_range\":{\"required_bytes\":10737418240,\"limit_bytes\":0},\"volume_capabilities\":["
    "{"
    "\"mount\":{\"mount_flags\":[\"hard\",\"nconnect=4\"]},\"access_mode\":{\"mode\":\"MULTI_NODE_MULTI_WRITER\"}}],"
    "\"parameters\":{\"server\":\"10.0.0.5\",\"share\":\"/exports\"},\"volume_content_source\":{\"volume\":{"
    "\"volume_id\":\"v-1\"}}}";

static void reads_every_kind_of_field(void **state) {
    (void)state;
    ProtobufCMessage *message cleanup(rpc_message_freep) = NULL;
    struct err err = ERR_NONE;
    assert_int_equal(parse(REQUEST, &message, &err), 0);
    const Csi__V1__CreateVolumeRequest *request = (Csi__V1__CreateVolumeRequest *)message;
    assert_string_equal(request->name, "data");
    assert_int_equal(request->capacity_range->required_bytes, INT64_C(10737418240));
    assert_int_equal(request->n_volume_capabilities, 1);
    const Csi__V1__VolumeCapability *capability = request->volume_capabilities[0];
    assert_int_equal(capability->access_type_case, CSI__V1__VOLUME_CAPABILITY__ACCESS_TYPE_MOUNT);
    assert_int_equal(capability->mount->n_mount_flags, 2);
    assert_string_equal(capability->mount->mount_flags[1], "nconnect=4");
    assert_int_equal(capability->access_mode->mode,
                     CSI__V1__VOLUME_CAPABILITY__ACCESS_MODE__MODE__MULTI_NODE_MULTI_WRITER);
    assert_int_equal(request->n_parameters, 2);
    assert_string_equal(request->parameters[0]->key, "server");
    assert_string_equal(request->parameters[1]->value, "/exports");
    assert_int_equal(request->volume_content_source->type_case, CSI__V1__VOLUME_CONTENT_SOURCE__TYPE_VOLUME);
    assert_string_equal(request->volume_content_source->volume->volume_id, "v-1");
}

static void survives_the_wire_and_comes_back_as_the_same_json(void **state) {
    (void)state;
    ProtobufCMessage *message cleanup(rpc_message_freep) = NULL;
    ProtobufCMessage *again cleanup(rpc_message_freep) = NULL;
    struct json *json cleanup(json_freep) = NULL;
    struct err err = ERR_NONE;
    uint8_t wire[1024];
    assert_int_equal(parse(REQUEST, &message, &err), 0);
    assert_true(protobuf_c_message_get_packed_size(message) < sizeof wire);
    size_t size = protobuf_c_message_pack(message, wire);
    again = protobuf_c_message_unpack(message->descriptor, NULL, size, wire);
    assert_non_null(again);
    assert_int_equal(message_to_json(again, &json, &err), 0);
    assert_string_equal(json_get_text(json, "name"), "data");
    assert_int_equal(json_get_int(json_get(json, "capacity_range"), "required_bytes", 0), INT64_C(10737418240));
    assert_string_equal(json_get_text(json_get(json, "parameters"), "share"), "/exports");
    const struct json *source = json_get(json, "volume_content_source");
    assert_string_equal(json_get_text(json_get(source, "volume"), "volume_id"), "v-1");
    assert_null(json_get(source, "snapshot"));
    assert_null(json_get(json, "accessibility_requirements"));
    const struct json *capability = json_at(json_get(json, "volume_capabilities"), 0);
    assert_string_equal(json_get_text(json_get(capability, "access_mode"), "mode"), "MULTI_NODE_MULTI_WRITER");
}

static void refuses_what_does_not_fit(void **state) {
    (void)state;
    static const struct {
        const char *text, *named;
    } cases[] = {
        {"{\"nmae\":\"x\"}", "volume_capabilities"}, // the list of what there is
        {"{\"name\":7}", "'name' wants a string"},
        {"{\"capacity_range\":{\"required_bytes\":\"10Gi\"}}", "'required_bytes' wants a whole number"},
        {"{\"parameters\":{\"uid\":1000}}", "'parameters' wants an object of strings"},
        {"{\"volume_capabilities\":{\"mount\":{}}}", "'volume_capabilities' wants a list"},
        {"{\"volume_capabilities\":[{\"access_mode\":{\"mode\":\"RWX\"}}]}", "no value 'RWX'"},
        {"{\"volume_capabilities\":[{\"mount\":{},\"block\":{}}]}", "the only choice"},
        {"{\"volume_capabilities\":[{\"mount\":{\"mount_flags\":[1]}}]}", "list of strings"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        ProtobufCMessage *message cleanup(rpc_message_freep) = NULL;
        struct err err = ERR_NONE;
        assert_int_equal(parse(cases[i].text, &message, &err), -EINVAL);
        assert_null(message);
        if (!strstr(err_text(&err), cases[i].named))
            fail_msg("'%s' does not name '%s'", err_text(&err), cases[i].named);
    }
}

// Whatever allocation fails, the half-filled message can be released; the sanitizers watch.
static void releases_everything_when_memory_runs_out(void **state) {
    (void)state;
    struct json *json cleanup(json_freep) = NULL;
    struct err err = ERR_NONE;
    assert_int_equal(json_parse(REQUEST, strlen(REQUEST), 65536, &json, &err), 0);
    int r = -ENOMEM;
    long n = 0;
    for (n = 1; r < 0 && n < 1000; n++) {
        ProtobufCMessage *message cleanup(rpc_message_freep) = NULL;
        (void)mem_fail_nth(n);
        r = message_from_json(json, &csi__v1__create_volume_request__descriptor, &message, &err);
        (void)mem_fail_nth(0);
        assert_true(r == 0 ? message != NULL : r == -ENOMEM && !message);
    }
    assert_true(n > 10 && n < 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_kind_of_field),
        cmocka_unit_test(survives_the_wire_and_comes_back_as_the_same_json),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(releases_everything_when_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
