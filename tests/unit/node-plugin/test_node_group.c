// SPDX-License-Identifier: Apache-2.0
// The node's calls on a fake mounter: volumes of node groups, and origins that are mounted for them.
#include "tests/support/cm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/node_kit.h"

static const struct string_pair of_a_group[] = {{"server", "s"}, {"share", "/e"}, {"nodeGroup", "a"}};
static const struct string_pair immutable[] = {
    {"server", "s"}, {"share", "/e"}, {"nodeGroup", "a"}, {"cacheMode", "immutable"}};

static int stage_group(const struct string_pair *pairs, size_t count, struct err *err) {
    struct node_stage_request request = {"v1", node_kit.staging, node_kit_many, {pairs, count}};
    return node_ops.stage(node_kit.node, NULL, &request, err);
}

static void a_volume_of_a_group_is_for_its_nodes(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct node_info info;
    assert_int_equal(stage_group(of_a_group, 3, &err), -EBUSY);
    assert_true(strstr(err.msg, "'a'") && strstr(err.msg, "none"));
    node_kit.options.node_group = "b";
    assert_int_equal(stage_group(of_a_group, 3, &err), -EBUSY);
    assert_true(strstr(err.msg, "'a'") && strstr(err.msg, "'b'"));
    node_kit.options.node_group = "a";
    assert_int_equal(stage_group(of_a_group, 3, &err), -EBUSY);
    assert_non_null(strstr(err.msg, "--cache-dir"));
    assert_int_equal(node_kit.fake.count, 0);
    node_kit.options.cache_dir = "/var/cache/stowage";
    node_kit.options.mount_mode = MOUNT_MODE_KERNEL; // counts for other volumes
    assert_int_equal(stage_group(of_a_group, 3, &err), 0);
    assert_non_null(strstr(str_text(&node_kit.fake.calls), "mount fuse s:/e"));
    assert_int_equal(node_ops.info(node_kit.node, &info, NULL), 0);
    assert_string_equal(info.topology, "a");
    // The same again is the same, other settings of the cache are another volume.
    assert_int_equal(stage_group(of_a_group, 3, &err), 0);
    assert_int_equal(stage_group(immutable, 4, &err), -EEXIST);
    assert_non_null(strstr(err.msg, "cache"));
    const struct string_pair kernel[] = {of_a_group[0], of_a_group[1], of_a_group[2], {"mountMode", "kernel"}};
    assert_int_equal(stage_group(kernel, 4, &err), -EINVAL);
}

static void a_volume_of_no_group_is_for_every_node(void **state) {
    (void)state;
    node_kit.options.node_group = "b";
    assert_int_equal(node_kit_stage(), 0);
    node_kit.options.node_group = NULL;
    struct node_info info;
    assert_int_equal(node_ops.info(node_kit.node, &info, NULL), 0);
    assert_null(info.topology);
}

#define LUSTRE                                                                                                         \
    {"nodeGroup", "a"}, {"origin", "mount"}, {"originType", "lustre"}, {                                               \
        "originSource", "mgs@tcp:/fs"                                                                                  \
    }

static int stage_origin(const char *id, const char *path, const char *sub_dir, struct err *err) {
    const struct string_pair pairs[] = {LUSTRE, {"subDir", sub_dir}};
    struct node_stage_request request = {id, path, node_kit_many, {pairs, ARRAY_SIZE(pairs)}};
    return node_ops.stage(node_kit.node, NULL, &request, err);
}

static size_t origins_mounted(void) {
    size_t count = 0;
    for (size_t i = 0; i < node_kit.fake.count; i++)
        count += strcmp(node_kit.fake.mounts[i].fs_type, "lustre") == 0;
    return count;
}

static void an_origin_is_mounted_once_while_it_is_used(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    char origins[128];
    (void)snprintf(origins, sizeof origins, "%s/origins", node_kit.directory);
    node_kit.options.node_group = "a";
    node_kit.options.cache_dir = "/nowhere/cache";
    assert_int_equal(stage_origin("v1", node_kit.staging, "one", &err), -EBUSY);
    assert_non_null(strstr(err.msg, "--origin-dir"));
    node_kit.options.origin_dir = origins;
    assert_int_equal(stage_origin("v1", node_kit.staging, "one", &err), 0);
    assert_int_equal(stage_origin("v2", node_kit.other_staging, "two", &err), 0);
    assert_int_equal(origins_mounted(), 1);
    node_kit_restart(); // who uses it is told by the volumes alone
    assert_int_equal(node_ops.unstage(node_kit.node, NULL, "v1", node_kit.staging, &err), 0);
    assert_int_equal(origins_mounted(), 1);
    assert_int_equal(stage_origin("v1", node_kit.staging, "one", &err), 0);
    assert_int_equal(origins_mounted(), 1);
    assert_int_equal(node_ops.unstage(node_kit.node, NULL, "v2", node_kit.other_staging, &err), 0);
    assert_int_equal(origins_mounted(), 1);
    assert_int_equal(node_ops.unstage(node_kit.node, NULL, "v1", node_kit.staging, &err), 0);
    assert_int_equal(origins_mounted(), 0);
    assert_int_equal(rmdir(origins), 0); // nothing is left in it
}

static void an_origin_of_a_volume_that_cannot_be_staged_goes(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    char origins[128];
    (void)snprintf(origins, sizeof origins, "%s/origins", node_kit.directory);
    node_kit.options.node_group = "a";
    node_kit.options.cache_dir = "/nowhere/cache";
    node_kit.options.origin_dir = origins;
    node_kit.fake.mount_result = -EHOSTUNREACH; // of the daemon
    assert_int_equal(stage_origin("v1", node_kit.staging, "one", &err), -EHOSTUNREACH);
    assert_int_equal(origins_mounted(), 0);
    node_kit.fake.mount_result = 0;
    node_kit.fake.origin_result = -ENODEV;
    assert_int_equal(stage_origin("v1", node_kit.staging, "one", &err), -ENODEV);
    assert_non_null(strstr(err.msg, "mgs@tcp:/fs"));
    node_kit.fake.origin_result = 0;
    assert_int_equal(stage_origin("v1", node_kit.staging, "one", &err), 0);
    assert_int_equal(origins_mounted(), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, node_kit_set_up, node_kit_tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_volume_of_a_group_is_for_its_nodes),
        TEST(a_volume_of_no_group_is_for_every_node),
        TEST(an_origin_is_mounted_once_while_it_is_used),
        TEST(an_origin_of_a_volume_that_cannot_be_staged_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
