// SPDX-License-Identifier: Apache-2.0
// The node's calls on a fake mounter: what is mounted in which order, what is undone.
#include "tests/support/cm.h"

#include <errno.h>
#include <string.h>

#include "tests/support/node_kit.h"

static void the_whole_life_of_a_volume(void **state) {
    (void)state;
    assert_int_equal(node_kit_stage(), 0);
    node_kit_assert_calls("mount fuse s:/e/d /staging; ");
    assert_int_equal(node_kit_publish(node_kit.a), 0);
    node_kit_assert_calls("bind /staging /a rw; ");
    assert_true(node_kit_exists(node_kit.a));
    assert_int_equal(node_kit_publish_with("v1", node_kit.b, true, node_kit_many, NULL), 0);
    node_kit_assert_calls("bind /staging /b ro; ");
    struct node_usage usage;
    assert_int_equal(node_ops.stats(node_kit.node, NULL, "v1", node_kit.a, &usage, NULL), 0);
    assert_int_equal(usage.total_bytes, 1000);
    assert_int_equal(usage.used_bytes, 600);
    assert_int_equal(usage.available_bytes, 300);
    assert_int_equal(usage.used_files, 30);
    assert_false(usage.abnormal);
    assert_int_equal(node_kit_unpublish("v1", node_kit.a), 0);
    assert_int_equal(node_kit_unpublish("v1", node_kit.b), 0);
    node_kit_assert_calls("umount /a; umount /b; ");
    assert_false(node_kit_exists(node_kit.a));
    assert_int_equal(node_kit_unstage("v1"), 0);
    node_kit_assert_calls("umount /staging; stop 1; ");
    assert_int_equal(node_kit.fake.count, 0);
    assert_true(node_kit_exists(node_kit.staging)); // the orchestrator's
}

static void every_call_may_be_repeated(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(node_kit_stage(), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(node_kit_publish(node_kit.a), 0);
    node_kit_assert_calls("mount fuse s:/e/d /staging; bind /staging /a rw; ");
    for (int i = 0; i < 3; i++)
        assert_int_equal(node_kit_unpublish("v1", node_kit.a), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(node_kit_unstage("v1"), 0);
    node_kit_assert_calls("umount /a; umount /staging; stop 1; ");
}

static void calls_about_unknown_volumes(void **state) {
    (void)state;
    struct node_usage usage;
    int64_t bytes = 0;
    assert_int_equal(node_kit_unpublish("nobody", node_kit.a), 0);
    assert_int_equal(node_kit_unstage("nobody"), 0);
    assert_int_equal(node_kit_publish_with("nobody", node_kit.a, false, node_kit_many, NULL), -EBUSY);
    assert_int_equal(node_ops.stats(node_kit.node, NULL, "nobody", node_kit.a, &usage, NULL), -ENOENT);
    assert_int_equal(node_ops.expand(node_kit.node, NULL, "nobody", node_kit.a, 1, 0, &bytes, NULL), -ENOENT);
    assert_false(node_kit_exists(node_kit.a));
    node_kit_assert_calls("");
}

static void wrong_paths_of_a_known_volume_are_not_found(void **state) {
    (void)state;
    struct node_usage usage;
    int64_t bytes = 0;
    assert_int_equal(node_kit_stage(), 0);
    assert_int_equal(node_ops.stats(node_kit.node, NULL, "v1", "some/path", &usage, NULL), -ENOENT);
    assert_int_equal(node_ops.stats(node_kit.node, NULL, "v1", node_kit.a, &usage, NULL), -ENOENT);
    assert_int_equal(node_ops.expand(node_kit.node, NULL, "v1", node_kit.a, 5, 0, &bytes, NULL), -ENOENT);
    assert_int_equal(node_ops.expand(node_kit.node, NULL, "v1", node_kit.staging, 2147483648, 0, &bytes, NULL), 0);
    assert_true(bytes == 2147483648);
}

static void a_mount_that_fails_leaves_nothing(void **state) {
    (void)state;
    node_kit.fake.mount_result = -ECONNREFUSED;
    assert_int_equal(node_kit_stage(), -ECONNREFUSED);
    node_kit_assert_calls("mount fuse s:/e/d /staging; ");
    node_kit.fake.mount_result = -ETIMEDOUT; // and the mount comes up all the same
    node_kit.fake.mounts_anyway = true;
    assert_int_equal(node_kit_stage(), -ETIMEDOUT);
    node_kit_assert_calls("mount fuse s:/e/d /staging; umount /staging; stop 1; ");
    assert_int_equal(node_kit.fake.count, 0);
    node_kit_restart();
    assert_int_equal(node_kit_publish(node_kit.a), -EBUSY); // no record says that it is staged
}

static void a_bind_that_fails_leaves_nothing(void **state) {
    (void)state;
    assert_int_equal(node_kit_stage(), 0);
    node_kit.fake.bind_result = -ETIMEDOUT;
    node_kit.fake.mounts_anyway = true;
    assert_int_equal(node_kit_publish(node_kit.a), -ETIMEDOUT);
    node_kit_assert_calls("mount fuse s:/e/d /staging; bind /staging /a rw; umount /a; ");
    assert_false(node_kit_exists(node_kit.a));
    node_kit.fake.bind_result = 0;
    assert_int_equal(node_kit_publish_with("v1", node_kit.b, false, node_kit_single, NULL),
                     0); // the failed target does not count
}

static void a_busy_mount_is_detached(void **state) {
    (void)state;
    assert_int_equal(node_kit_stage(), 0);
    assert_int_equal(node_kit_publish(node_kit.a), 0);
    node_kit.fake.plain_result = -EBUSY;
    assert_int_equal(node_kit_unpublish("v1", node_kit.a), 0);
    assert_int_equal(node_kit_unstage("v1"), 0);
    node_kit_assert_calls("mount fuse s:/e/d /staging; bind /staging /a rw; umount /a; detach /a; umount /staging; "
                          "detach /staging; stop 1; ");
    assert_int_equal(node_kit.fake.count, 0);
}

static void every_layer_of_a_target_is_unmounted(void **state) {
    (void)state;
    assert_int_equal(node_kit_stage(), 0);
    assert_int_equal(node_kit_publish(node_kit.a), 0);
    fake_mounter_add(&node_kit.fake, "tmpfs", "tmpfs", node_kit.a);
    assert_int_equal(node_kit_unpublish("v1", node_kit.a), 0);
    assert_int_equal(node_kit.fake.count, 1); // the staging mount
}

static void one_single_writer(void **state) {
    (void)state;
    assert_int_equal(node_kit_stage(), 0);
    assert_int_equal(node_kit_publish_with("v1", node_kit.a, false, node_kit_single, NULL), 0);
    assert_int_equal(node_kit_publish_with("v1", node_kit.a, false, node_kit_single, NULL), 0); // the same target again
    struct err err = ERR_NONE;
    assert_int_equal(node_kit_publish_with("v1", node_kit.b, false, node_kit_single, &err), -EBUSY);
    assert_non_null(strstr(err.msg, "SINGLE_NODE_SINGLE_WRITER"));
    assert_int_equal(node_kit_publish_with("v1", node_kit.b, false, node_kit_many, NULL), -EBUSY);
    assert_false(node_kit_exists(node_kit.b));
    assert_int_equal(node_kit_unpublish("v1", node_kit.a), 0);
    assert_int_equal(node_kit_publish_with("v1", node_kit.b, false, node_kit_single, NULL), 0);
}

static void tells_who_it_is(void **state) {
    (void)state;
    struct node_info info;
    assert_int_equal(node_ops.info(node_kit.node, &info, NULL), 0);
    assert_string_equal(info.id, "node-1");
    assert_int_equal(info.max_volumes, 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, node_kit_set_up, node_kit_tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_whole_life_of_a_volume),
        TEST(every_call_may_be_repeated),
        TEST(calls_about_unknown_volumes),
        TEST(wrong_paths_of_a_known_volume_are_not_found),
        TEST(a_mount_that_fails_leaves_nothing),
        TEST(a_bind_that_fails_leaves_nothing),
        TEST(a_busy_mount_is_detached),
        TEST(every_layer_of_a_target_is_unmounted),
        TEST(one_single_writer),
        TEST(tells_who_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
