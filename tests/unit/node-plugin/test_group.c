// SPDX-License-Identifier: Apache-2.0
// Which group a Node object puts its node into.
#include "tests/support/cm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "node-plugin/group.h"

static int group_of(const char *labels, char **ret, struct err *err) {
    struct json *node cleanup(json_freep) = NULL;
    char text[512];
    (void)snprintf(text, sizeof text, "{\"metadata\":{%s}}", labels);
    assert_int_equal(json_parse(text, strlen(text), sizeof text, &node, NULL), 0);
    return node_group_of_object(node, "n", ret, err);
}

static void assert_group(const char *labels, const char *group) {
    char *found cleanup_free = NULL;
    assert_int_equal(group_of(labels, &found, NULL), 0);
    if (group)
        assert_string_equal(found, group);
    else
        assert_null(found);
}

static void the_label_counts(void **state) {
    (void)state;
    assert_group("\"labels\":{\"stowage.dev/node-group\":\"a\"}", "a");
    assert_group("\"labels\":{\"stowage.dev/node-group\":\"a\",\"topology.csi.stowage.dev/node-group\":\"a\"}", "a");
    assert_group("\"labels\":{\"topology.csi.stowage.dev/shared\":\"true\"}", NULL);
    assert_group("\"labels\":{\"stowage.dev/node-group\":\"\"}", NULL);
    assert_group("\"name\":\"n\"", NULL);
}

// kubelet would refuse to register the driver with another value, and no volume of any kind could be mounted then.
static void what_the_cluster_was_told_stays(void **state) {
    (void)state;
    assert_group("\"labels\":{\"stowage.dev/node-group\":\"b\",\"topology.csi.stowage.dev/node-group\":\"a\"}", "a");
    assert_group("\"labels\":{\"topology.csi.stowage.dev/node-group\":\"a\"}", "a");
}

static void no_name_is_refused(void **state) {
    char *found = NULL;
    struct err err = ERR_NONE;
    (void)state;
    assert_int_equal(group_of("\"labels\":{\"stowage.dev/node-group\":\"a b\"}", &found, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "stowage.dev/node-group"));
    assert_null(found);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_label_counts),
        cmocka_unit_test(what_the_cluster_was_told_stays),
        cmocka_unit_test(no_name_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
