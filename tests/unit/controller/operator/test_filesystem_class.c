// SPDX-License-Identifier: Apache-2.0
// From the spec of a FileSystem to its StorageClass, and what of a class that is there has to change.
#include "tests/support/cm.h"

#include <errno.h>
#include <string.h>

#include "controller/operator/filesystem_class.h"
#include "lib/base/mem.h"
#include "lib/kube/object.h"

static struct json *parse(const char *text) {
    struct json *json = NULL;
    struct err err = ERR_NONE;
    if (json_parse(text, strlen(text), 65536, &json, &err) < 0)
        fail_msg("%s in %s", err.msg, text);
    return json;
}

static struct json *with_spec(const char *spec) {
    char *text cleanup_free = mem_printf("{\"metadata\":{\"name\":\"fs\",\"uid\":\"u-1\"},\"spec\":{%s}}", spec);
    return parse(text);
}

static void expect_parameters(const char *spec, const char *provisioner, const char *location, const char *parameters) {
    struct json *object cleanup(json_freep) = with_spec(spec), *wanted cleanup(json_freep) = parse(parameters);
    struct filesystem_plan plan cleanup(filesystem_plan_done) = {0};
    struct err err = ERR_NONE;
    if (filesystem_plan_make(object, &plan, &err) < 0)
        fail_msg("%s: %s", spec, err.msg);
    char *text cleanup_free = json_dump(json_get(plan.class, "parameters"), false);
    if (!json_same(json_get(plan.class, "parameters"), wanted))
        fail_msg("%s gives %s", spec, text);
    assert_string_equal(plan.provisioner, provisioner);
    if (location)
        assert_string_equal(plan.location, location);
    else
        assert_null(plan.location);
}

static void a_spec_becomes_exactly_the_parameters_of_its_driver(void **state) {
    (void)state;
    expect_parameters(
        "\"type\":\"Shared\",\"server\":\"10.0.0.5\",\"share\":\"/e/data/"
        "\",\"uid\":1000650000,\"mountPermissions\":\"0770\","
        "\"nfsVersion\":3,\"mountPort\":20048,\"reclaimPolicy\":\"Retain\",\"allowedNamespaces\":[\"a\"],\"default\":"
        "true",
        "csi.stowage.dev", "10.0.0.5:2049:20048+3/e/data",
        "{\"server\":\"10.0.0.5\",\"share\":\"/e/data/\",\"uid\":\"1000650000\",\"mountPermissions\":\"0770\","
        "\"nfsVersion\":\"3\",\"mountPort\":\"20048\"}");
    expect_parameters(
        "\"type\":\"NodeGroup\",\"nodeGroup\":\"g\",\"server\":\"fd00::5\",\"share\":\"/e\",\"warmUp\":[\"/a\",\"b\"]",
        "csi.stowage.dev", "[fd00::5]/e",
        "{\"nodeGroup\":\"g\",\"server\":\"fd00::5\",\"share\":\"/e\",\"warmUp\":\"/a,b\"}");
    expect_parameters("\"type\":\"NodeGroup\",\"nodeGroup\":\"g\",\"origin\":\"mount\",\"originName\":\"ceph\","
                      "\"originPath\":\"/mnt/c\"",
                      "csi.stowage.dev", "mount=ceph/",
                      "{\"nodeGroup\":\"g\",\"origin\":\"mount\",\"originName\":\"ceph\",\"originPath\":\"/mnt/c\"}");
    expect_parameters("\"type\":\"Local\",\"pool\":\"nvme\",\"fsType\":\"xfs\",\"provisioning\":\"full\"",
                      "local.csi.stowage.dev", NULL,
                      "{\"pool\":\"nvme\",\"csi.storage.k8s.io/fstype\":\"xfs\",\"provisioning\":\"full\"}");
    expect_parameters("\"type\":\"Local\"", "local.csi.stowage.dev", NULL, "{}");
}

static void what_the_drivers_would_refuse_is_refused_with_their_words(void **state) {
    static const struct {
        const char *spec, *says;
    } rows[] = {
        {"\"type\":\"Shared\",\"server\":\"a\"", "share"},
        {"\"type\":\"Shared\",\"server\":\"a b\",\"share\":\"/e\"", "host name"},
        {"\"type\":\"Shared\",\"server\":\"a\",\"share\":\"/e/../x\"", "absolute path"},
        {"\"type\":\"Shared\",\"server\":\"a\",\"share\":\"/e\",\"sever\":\"b\"", "sever"},
        {"\"type\":\"Shared\",\"server\":\"a\",\"share\":\"/e\",\"subDir\":\"${pvc.x}\"", "known are"},
        {"\"type\":\"Shared\",\"server\":\"a\",\"share\":\"/e\",\"subDir\":\"../x\"", "none is '.' or '..'"},
        {"\"type\":\"Shared\",\"server\":\"a\",\"share\":\"/e\",\"nodeGroup\":\"g\"", "change the type"},
        {"\"type\":\"NodeGroup\",\"server\":\"a\",\"share\":\"/e\"", "needs nodeGroup"},
        {"\"type\":\"NodeGroup\",\"nodeGroup\":\"g\",\"server\":\"a\",\"share\":\"/e\",\"warmUp\":[\"a,b\"]",
         "holds a ','"},
        {"\"type\":\"Local\",\"server\":\"a\"", "server"},
        {"\"type\":\"Local\",\"onDelete\":\"archive\"", "onDelete"},
        {"\"type\":\"Fast\"", "Shared, NodeGroup or Local"},
        {"\"type\":\"Shared\",\"server\":{\"a\":1},\"share\":\"/e\"", "no text or number"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct json *object cleanup(json_freep) = with_spec(rows[i].spec);
        struct filesystem_plan plan = {0};
        struct err err = ERR_NONE;
        assert_int_equal(filesystem_plan_make(object, &plan, &err), -EINVAL);
        if (!strstr(err.msg, rows[i].says))
            fail_msg("%s: '%s' does not say '%s'", rows[i].spec, err.msg, rows[i].says);
    }
}

// ---- against a class that is there -----------------------------------------------------------------------------------

#define SHARED "\"type\":\"Shared\",\"server\":\"a\",\"share\":\"/e\""
#define CLASS(more)                                                                                                    \
    "{\"metadata\":{\"name\":\"fs\",\"ownerReferences\":[{\"uid\":\"u-1\"}]},\"provisioner\":\"csi.stowage.dev\","     \
    "\"parameters\":{\"share\":\"/"                                                                                    \
    "e\",\"server\":\"a\"},\"reclaimPolicy\":\"Delete\",\"volumeBindingMode\":\"Immediate\"" more "}"

static void expect_patch(const char *spec, const char *class_text, bool other, const char *wanted) {
    struct json *object cleanup(json_freep) = with_spec(spec), *class cleanup(json_freep) = parse(class_text);
    struct json *patch cleanup(json_freep) = NULL;
    struct filesystem_plan plan cleanup(filesystem_plan_done) = {0};
    assert_int_equal(filesystem_plan_make(object, &plan, NULL), 0);
    assert_int_equal(filesystem_class_is_other(&plan, class), other);
    assert_int_equal(filesystem_class_patch(&plan, class, &patch, NULL), 0);
    char *text cleanup_free = patch ? json_dump(patch, false) : NULL;
    if (wanted)
        assert_string_equal(text, wanted);
    else if (patch)
        fail_msg("a patch for nothing: %s", text);
}

static void only_what_differs_is_changed(void **state) {
    (void)state;
    expect_patch(SHARED, CLASS(",\"allowVolumeExpansion\":true"), false, NULL);
    expect_patch(SHARED, CLASS(""), false, "{\"allowVolumeExpansion\":true}");
    expect_patch(SHARED, CLASS(",\"allowVolumeExpansion\":true,\"mountOptions\":[\"a\"]"), false,
                 "{\"mountOptions\":null}");
    expect_patch(SHARED ",\"default\":true", CLASS(",\"allowVolumeExpansion\":true"), false,
                 "{\"metadata\":{\"annotations\":{\"storageclass.kubernetes.io/is-default-class\":\"true\"}}}");
    expect_patch(SHARED ",\"nfsVersion\":4", CLASS(",\"allowVolumeExpansion\":true"), true, NULL);
    expect_patch(SHARED ",\"reclaimPolicy\":\"Retain\"", CLASS(",\"allowVolumeExpansion\":true"), true, NULL);
    // A class without parameters may leave them out.
    expect_patch("\"type\":\"Local\"",
                 "{\"provisioner\":\"local.csi.stowage.dev\",\"reclaimPolicy\":\"Delete\",\"volumeBindingMode\":"
                 "\"WaitForFirstConsumer\",\"allowVolumeExpansion\":true}",
                 false, NULL);
}

static void a_class_belongs_to_whom_it_names(void **state) {
    struct json *object cleanup(json_freep) = with_spec(SHARED), *class cleanup(json_freep) = parse(CLASS(""));
    struct json *other cleanup(json_freep) =
        parse("{\"metadata\":{\"name\":\"fs\",\"ownerReferences\":[{\"uid\":\"u-0\"}]}}");
    struct json *none cleanup(json_freep) = parse("{\"metadata\":{\"name\":\"fs\"}}");
    (void)state;
    assert_true(filesystem_owns(object, class));
    assert_false(filesystem_owns(object, other)); // of one that had the name before
    assert_false(filesystem_owns(object, none));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spec_becomes_exactly_the_parameters_of_its_driver),
        cmocka_unit_test(what_the_drivers_would_refuse_is_refused_with_their_words),
        cmocka_unit_test(only_what_differs_is_changed),
        cmocka_unit_test(a_class_belongs_to_whom_it_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
