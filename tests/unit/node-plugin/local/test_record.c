// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/local/record.h"
#include "tests/support/cm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/str.h"

#define ID "v-abcdefghijklmnopqrstuvwxyz@fast"

// A value of its own in every field: fields that are mixed up do not go unnoticed.
static struct local_record example(void) {
    return (struct local_record){
        .kind = LOCAL_SNAPSHOT,
        .id = ID,
        .name = "a \"name\" of väl/ues",
        .bytes = INT64_C(1) << 40,
        .created_ns = INT64_C(1790000000123456789),
        .source_id = "v-source@fast",
        .source = CONTENT_VOLUME,
        .full = true,
        .on_delete = LOCAL_RETAIN,
        .fs_type = "xfs",
        .raw = true,
        .formatted = "ext4",
        .fs_bytes = INT64_C(3) << 38,
        .published = true,
        .published_read_only = true,
        .inline_target = "/var/lib/kubelet/pods/uid/volumes/kubernetes.io~csi/data/mount",
        .group_id = "g-group@fast",
    };
}

static void assert_same(const struct local_record *a, const struct local_record *b) {
    assert_int_equal(a->kind, b->kind);
    assert_string_equal(a->id, b->id);
    assert_string_equal(a->name, b->name);
    assert_true(a->bytes == b->bytes);
    assert_true(a->created_ns == b->created_ns);
    assert_string_equal(a->source_id, b->source_id);
    assert_int_equal(a->source, b->source);
    assert_int_equal(a->full, b->full);
    assert_int_equal(a->on_delete, b->on_delete);
    assert_string_equal(a->fs_type, b->fs_type);
    assert_int_equal(a->raw, b->raw);
    assert_string_equal(a->formatted, b->formatted);
    assert_true(a->fs_bytes == b->fs_bytes);
    assert_int_equal(a->published, b->published);
    assert_int_equal(a->published_read_only, b->published_read_only);
    assert_string_equal(a->inline_target, b->inline_target);
    assert_string_equal(a->group_id, b->group_id);
}

// Through the text, as on the disk.
static void assert_round_trip(const struct local_record *record) {
    struct json *json cleanup(json_freep) = local_record_encode(record);
    char *text cleanup_free = json_dump(json, true);
    struct json *back cleanup(json_freep) = NULL;
    struct local_record decoded;
    struct err err = ERR_NONE;
    assert_non_null(text);
    memset(&decoded, 0xa5, sizeof decoded);
    assert_int_equal(json_parse(text, strlen(text), 65536, &back, &err), 0);
    assert_int_equal(local_record_decode(back, &decoded, &err), 0);
    assert_same(record, &decoded);
}

static void every_field_comes_back(void **state) {
    (void)state;
    const struct local_record all = example();
    const struct local_record least = {.kind = LOCAL_GROUP, .id = ID, .name = "n"};
    assert_round_trip(&all);
    assert_round_trip(&least);
    // Each truth by itself: one that is read from its neighbour's place would pass the example.
    for (int i = 0; i < 4; i++) {
        const struct local_record one = {.kind = LOCAL_VOLUME,
                                         .id = ID,
                                         .name = "n",
                                         .full = i == 0,
                                         .raw = i == 1,
                                         .published = i == 2,
                                         .published_read_only = i == 3};
        assert_round_trip(&one);
    }
}

static void the_longest_texts_fit(void **state) {
    (void)state;
    struct local_record record = example();
    memset(record.id, 'i', sizeof record.id - 1);
    memset(record.name, 'n', sizeof record.name - 1);
    memset(record.source_id, 's', sizeof record.source_id - 1);
    memset(record.group_id, 'g', sizeof record.group_id - 1);
    memset(record.fs_type, 'f', sizeof record.fs_type - 1);
    memset(record.formatted, 'o', sizeof record.formatted - 1);
    assert_round_trip(&record);
}

// The example with one field replaced: a value as JSON, or NULL for none.
static int decode_with(const char *key, const char *value, struct err *err) {
    const struct local_record record = example();
    struct json *json cleanup(json_freep) = local_record_encode(&record);
    struct json *changed cleanup(json_freep) = NULL;
    struct local_record decoded;
    struct str text cleanup_str = {0};
    char *old cleanup_free = json_dump(json, false);
    char quoted[64];
    (void)snprintf(quoted, sizeof quoted, "\"%s\"", key);
    char *at = strstr(old, quoted);
    if (at)
        at[1] = '_'; // an unknown field now
    old[strlen(old) - 1] = '\0';
    (void)str_append(&text, old);
    if (value)
        (void)str_printf(&text, ",\"%s\":%s", key, value);
    (void)str_append(&text, "}");
    *err = ERR_NONE;
    assert_int_equal(json_parse(str_text(&text), text.len, 65536, &changed, err), 0);
    return local_record_decode(changed, &decoded, err);
}

static void assert_refused(const char *key, const char *value, int code, const char *message) {
    struct err err;
    if (decode_with(key, value, &err) != code || !strstr(err.msg, message))
        fail_msg("%s = %s: code %d, message '%s'", key, value ? value : "(missing)", err.code, err.msg);
}

static void what_is_missing_is_named(void **state) {
    (void)state;
    static const char *const needed[] = {"version", "kind", "id", "name"};
    for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
        char quoted[32];
        (void)snprintf(quoted, sizeof quoted, "'%s'", needed[i]);
        assert_refused(needed[i], NULL, -EBADMSG, quoted);
    }
    assert_refused("id", "\"\"", -EBADMSG, "'id'");
    assert_refused("name", "\"\"", -EBADMSG, "'name'");
    assert_refused("id", "7", -EBADMSG, "'id'");
    assert_refused("version", "0", -EBADMSG, "'version'");
    assert_refused("kind", "120", -EBADMSG, "'kind'"); // an 'x'
}

static void what_is_out_of_bounds_is_named(void **state) {
    (void)state;
    static const struct {
        const char *key;
        size_t size;
    } texts[] = {
        {"id", CSI_ID_MAX + 1},      {"name", LOCAL_NAME_SIZE},    {"sourceId", CSI_ID_MAX + 1},
        {"groupId", CSI_ID_MAX + 1}, {"formatted", LOCAL_FS_SIZE}, {"fsType", LOCAL_FS_SIZE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        char value[LOCAL_NAME_SIZE + 3] = {'"'}, message[48];
        memset(value + 1, 'x', texts[i].size);
        value[texts[i].size + 1] = '"';
        value[texts[i].size + 2] = '\0';
        (void)snprintf(message, sizeof message, "'%s' is out of bounds", texts[i].key);
        assert_refused(texts[i].key, value, -EBADMSG, message);
    }
    static const char *const numbers[] = {"bytes", "createdNs", "fsBytes", "kind", "source", "onDelete"};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        char message[48];
        (void)snprintf(message, sizeof message, "'%s' is out of bounds", numbers[i]);
        assert_refused(numbers[i], "-1", -EBADMSG, message);
    }
    assert_refused("source", "4294967296", -EBADMSG, "'source' is out of bounds"); // 0 when cut to an int
}

static void a_newer_version_is_told_apart_from_damage(void **state) {
    (void)state;
    assert_refused("version", "2", -EPROTONOSUPPORT, "version 2, this program knows up to 1");
    // Whatever else a newer version means by its fields.
    const struct local_record record = example();
    struct json *json cleanup(json_freep) = local_record_encode(&record);
    struct local_record decoded;
    assert_int_equal(json_set_int(json, "version", 2), 0);
    assert_int_equal(json_set_int(json, "kind", -1), 0);
    assert_int_equal(local_record_decode(json, &decoded, NULL), -EPROTONOSUPPORT);
}

static void unknown_fields_are_passed_over(void **state) {
    (void)state;
    struct err err;
    assert_int_equal(decode_with("added later", "[1,{}]", &err), 0);
}

static void a_text_that_does_not_fit_changes_nothing(void **state) {
    (void)state;
    char place[4] = "abc";
    assert_int_equal(LOCAL_SET(place, "defg"), -ENAMETOOLONG);
    assert_string_equal(place, "abc");
    assert_int_equal(LOCAL_SET(place, "def"), 0);
    assert_string_equal(place, "def");
    assert_int_equal(LOCAL_SET(place, NULL), 0);
    assert_string_equal(place, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_comes_back),
        cmocka_unit_test(the_longest_texts_fit),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(what_is_out_of_bounds_is_named),
        cmocka_unit_test(a_newer_version_is_told_apart_from_damage),
        cmocka_unit_test(unknown_fields_are_passed_over),
        cmocka_unit_test(a_text_that_does_not_fit_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
