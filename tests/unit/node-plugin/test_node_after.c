// SPDX-License-Identifier: Apache-2.0
// The node's calls on a fake mounter: what is found after restarts, reboots, dead daemons and mounts that hang.
#include "tests/support/cm.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "tests/support/node_kit.h"

static void a_restart_changes_nothing(void **state) {
    (void)state;
    assert_int_equal(node_kit_stage(), 0);
    assert_int_equal(node_kit_publish_with("v1", node_kit.a, false, node_kit_single, NULL), 0);
    node_kit_assert_calls("mount fuse s:/e/d /staging; bind /staging /a rw; ");
    node_kit_restart();
    assert_int_equal(node_kit_stage(), 0);
    assert_int_equal(node_kit_publish_with("v1", node_kit.a, false, node_kit_single, NULL), 0);
    assert_int_equal(node_kit_publish_with("v1", node_kit.b, false, node_kit_single, NULL), -EBUSY);
    node_kit_assert_calls("");
    assert_int_equal(node_kit_unpublish("v1", node_kit.a), 0);
    assert_int_equal(node_kit_unstage("v1"), 0);
    node_kit_assert_calls("umount /a; umount /staging; stop 1; ");
}

static void after_a_reboot_staging_mounts_again(void **state) {
    (void)state;
    assert_int_equal(node_kit_stage(), 0);
    assert_int_equal(node_kit_publish(node_kit.a), 0);
    node_kit.fake.count = 0;
    fake_mounter_kill(&node_kit.fake, 1);
    str_done(&node_kit.fake.calls);
    node_kit.fake.calls = (struct str){0};
    node_kit_restart();
    assert_int_equal(node_kit_stage(), 0);
    node_kit_assert_calls("stop 1; mount fuse s:/e/d /staging; "); // and not the targets of pods that are gone
    assert_int_equal(node_kit_publish(node_kit.b), 0);
    assert_int_equal(node_kit.fake.count, 2);
}

static void wait_for_death(void) {
    struct staged *staged = node_find(node_kit.node, "v1");
    while (!atomic_load(&staged->daemon_dead))
        (void)sched_yield();
}

static void a_dead_daemon_is_told_and_replaced(void **state) {
    (void)state;
    struct node_usage usage;
    assert_int_equal(node_kit_stage(), 0);
    assert_int_equal(node_kit_publish(node_kit.a), 0);
    assert_int_equal(node_kit_publish_with("v1", node_kit.b, true, node_kit_many, NULL), 0);
    assert_int_equal(node_ops.stats(node_kit.node, NULL, "v1", node_kit.a, &usage, NULL), 0);
    str_done(&node_kit.fake.calls);
    node_kit.fake.calls = (struct str){0};
    fake_mounter_kill(&node_kit.fake, 1);
    wait_for_death();
    assert_int_equal(node_ops.stats(node_kit.node, NULL, "v1", node_kit.a, &usage, NULL), 0);
    assert_true(usage.abnormal);
    assert_non_null(strstr(usage.condition, "restart the pods"));
    assert_int_equal(usage.total_bytes, 1000); // the last that was known
    assert_int_equal(node_kit_publish(node_kit.a), 0);
    node_kit_assert_calls(
        "umount /a; umount /b; umount /staging; stop 1; mount fuse s:/e/d /staging; bind /staging /b ro; "
        "bind /staging /a rw; ");
    assert_int_equal(node_ops.stats(node_kit.node, NULL, "v1", node_kit.a, &usage, NULL), 0);
    assert_false(usage.abnormal);
}

static void a_repair_that_fails_can_be_tried_again(void **state) {
    (void)state;
    assert_int_equal(node_kit_stage(), 0);
    assert_int_equal(node_kit_publish(node_kit.a), 0);
    fake_mounter_kill(&node_kit.fake, 1);
    wait_for_death();
    node_kit.fake.mount_result = -EHOSTUNREACH;
    assert_int_equal(node_kit_stage(), -EHOSTUNREACH);
    node_kit.fake.mount_result = 0;
    assert_int_equal(node_kit_stage(), 0);
    assert_int_equal(node_kit.fake.count, 2); // the target as well
}

static void statfs_that_does_not_end_gives_the_last_numbers(void **state) {
    (void)state;
    struct node_usage usage;
    assert_int_equal(node_kit_stage(), 0);
    node_kit.fake.space_result = -ETIMEDOUT;
    assert_int_equal(node_ops.stats(node_kit.node, NULL, "v1", node_kit.staging, &usage, NULL), 0);
    assert_true(usage.abnormal);
    assert_int_equal(usage.total_bytes, 0);
    node_kit.fake.space_result = 0;
    assert_int_equal(node_ops.stats(node_kit.node, NULL, "v1", node_kit.staging, &usage, NULL), 0);
    assert_false(usage.abnormal);
    node_kit.fake.space_result = -ETIMEDOUT;
    assert_int_equal(node_ops.stats(node_kit.node, NULL, "v1", node_kit.staging, &usage, NULL), 0);
    assert_true(usage.abnormal);
    assert_int_equal(usage.total_bytes, 1000);
}

static void mounts_without_a_record(void **state) {
    (void)state;
    // A kernel mount is taken over as it is, a FUSE mount is replaced: nobody knows its daemon.
    node_kit.options.mount_mode = MOUNT_MODE_KERNEL;
    fake_mounter_add(&node_kit.fake, "s:/e/d", "nfs4", node_kit.staging);
    assert_int_equal(node_kit_stage(), 0);
    node_kit_assert_calls("");
    assert_int_equal(node_kit_unstage("v1"), 0);
    node_kit_assert_calls("umount /staging; ");
    node_kit.options.mount_mode = MOUNT_MODE_FUSE;
    fake_mounter_add(&node_kit.fake, "s:/e/d", "fuse.stowage", node_kit.staging);
    assert_int_equal(node_kit_stage(), 0);
    node_kit_assert_calls("umount /staging; mount fuse s:/e/d /staging; ");
    // And unpublish cleans up where no record is left.
    fake_mounter_add(&node_kit.fake, "s:/e/x", "fuse.stowage", node_kit.a);
    assert_int_equal(node_kit_unpublish("v9", node_kit.a), 0);
    assert_int_equal(node_kit.fake.count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, node_kit_set_up, node_kit_tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_restart_changes_nothing),
        TEST(after_a_reboot_staging_mounts_again),
        TEST(a_dead_daemon_is_told_and_replaced),
        TEST(a_repair_that_fails_can_be_tried_again),
        TEST(statfs_that_does_not_end_gives_the_last_numbers),
        TEST(mounts_without_a_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
