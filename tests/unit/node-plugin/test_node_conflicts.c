// SPDX-License-Identifier: Apache-2.0
// The node's calls on a fake mounter: what contradicts what is there is refused, and takes nothing away.
#include "tests/support/cm.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/node_kit.h"

static void what_is_incompatible_is_refused(void **state) {
    (void)state;
    const char *flags[] = {"ro"};
    struct volume_capability with_flag = {.mode = node_kit_many.mode, .mount_flags = flags, .mount_flag_count = 1};
    struct volume_capability block = {.block = true, .mode = node_kit_many.mode};
    assert_int_equal(node_kit_stage_with("v1", node_kit.staging, node_kit_context, block, NULL), -EINVAL);
    assert_int_equal(node_kit_stage(), 0);
    assert_int_equal(node_kit_publish(node_kit.a), 0);
    (void)mkdir(node_kit.other_staging, 0700);
    assert_int_equal(node_kit_stage_with("v1", node_kit.other_staging, node_kit_context, node_kit_many, NULL), -EEXIST);
    assert_int_equal(node_kit_stage_with("v1", node_kit.staging, node_kit_other_context, node_kit_many, NULL), -EEXIST);
    assert_int_equal(node_kit_stage_with("v1", node_kit.staging, node_kit_context, with_flag, NULL), -EEXIST);
    assert_int_equal(node_kit_stage_with("v2", node_kit.staging, node_kit_other_context, node_kit_many, NULL), -EEXIST);
    assert_int_equal(node_kit_stage_with("v2", node_kit.a, node_kit_other_context, node_kit_many, NULL), -EEXIST);
    assert_int_equal(node_kit_publish_with("v1", node_kit.a, true, node_kit_many, NULL), -EEXIST);
    assert_int_equal(node_kit_unstage("v1"), -EBUSY); // still published
    // Another volume's calls about these paths do not touch them.
    assert_int_equal(node_kit_unstage("v2"), 0);
    assert_int_equal(node_kit_unpublish("v2", node_kit.a), 0);
    assert_int_equal(node_kit.fake.count, 2);
}

// What another volume's calls got for the same path while v1's call was at work in the mounter.
static struct {
    const char *path;
    int stage, unstage, publish, unpublish;
    struct err err;
    bool ran;
} rival;
static void rival_calls(void) {
    if (rival.ran)
        return;
    rival.ran = true;
    struct node_publish_request request = {"v2",  node_kit.other_staging,     rival.path, node_kit_many,
                                           false, {node_kit_other_context, 3}};
    rival.stage = node_kit_stage_with("v2", rival.path, node_kit_other_context, node_kit_many, &rival.err);
    rival.unstage = node_ops.unstage(node_kit.node, NULL, "v2", rival.path, NULL);
    rival.publish = node_ops.publish(node_kit.node, NULL, &request, NULL);
    rival.unpublish = node_ops.unpublish(node_kit.node, NULL, "v2", rival.path, NULL);
}
static void let_rival(const char *path) {
    (void)memset(&rival, 0, sizeof rival);
    rival.path = path;
    node_kit.fake.step = rival_calls;
}
static void assert_rival_lost(void) {
    assert_true(rival.ran);
    node_kit.fake.step = NULL;
    assert_int_equal(rival.stage, -EAGAIN);
    assert_non_null(strstr(rival.err.msg, "'v1'"));
    assert_non_null(strstr(rival.err.msg, "'v2'"));
    assert_int_equal(rival.unstage, -EAGAIN);
    assert_int_equal(rival.publish, -EAGAIN);
    assert_int_equal(rival.unpublish, -EAGAIN);
}

static void two_volumes_never_get_one_path(void **state) {
    (void)state;
    assert_int_equal(mkdir(node_kit.other_staging, 0700), 0);
    assert_int_equal(node_kit_stage_with("v2", node_kit.other_staging, node_kit_other_context, node_kit_many, NULL), 0);
    let_rival(node_kit.a);
    assert_int_equal(node_kit_stage(), 0); // a path is claimed, not the node: v2's calls about another path go on
    node_kit.fake.step = NULL;
    assert_int_equal(rival.stage, -EEXIST); // it is staged elsewhere
    assert_int_equal(rival.publish, 0);
    assert_int_equal(rival.unpublish, 0);
    let_rival(node_kit.a);
    assert_int_equal(node_kit_publish(node_kit.a), 0);
    assert_rival_lost();
    let_rival(node_kit.a);
    assert_int_equal(node_kit_unpublish("v1", node_kit.a), 0);
    assert_rival_lost();
    let_rival(node_kit.staging);
    assert_int_equal(node_kit_unstage("v1"), 0);
    assert_rival_lost();
    let_rival(node_kit.staging);
    assert_int_equal(node_kit_stage(), 0);
    assert_rival_lost();
    // A call that failed holds nothing.
    assert_int_equal(node_kit_unstage("v1"), 0);
    node_kit.fake.mount_result = -ECONNREFUSED;
    assert_int_equal(node_kit_stage(), -ECONNREFUSED);
    node_kit.fake.mount_result = 0;
    assert_int_equal(node_ops.unstage(node_kit.node, NULL, "v2", node_kit.other_staging, NULL), 0);
    assert_int_equal(node_kit_stage_with("v2", node_kit.staging, node_kit_other_context, node_kit_many, NULL), 0);
    struct err err = ERR_NONE;
    assert_int_equal(node_kit_stage_with("v1", node_kit.staging, node_kit_context, node_kit_many, &err), -EEXIST);
    assert_non_null(strstr(err.msg, "'v1'"));
    assert_non_null(strstr(err.msg, "'v2'"));
}

static void staging_otherwise_forgets_nothing_that_is_in_use(void **state) {
    (void)state;
    const char *flags[] = {"ro"};
    struct volume_capability with_flag = {.mode = node_kit_many.mode, .mount_flags = flags, .mount_flag_count = 1};
    assert_int_equal(node_kit_stage(), 0);
    assert_int_equal(node_kit_publish(node_kit.a), 0);
    // Somebody took the staging mount away by hand; a pod still uses the volume.
    node_kit.fake.mounts[0] = node_kit.fake.mounts[1];
    node_kit.fake.count = 1;
    struct err err = ERR_NONE;
    assert_int_equal(node_kit_stage_with("v1", node_kit.staging, node_kit_other_context, node_kit_many, &err), -EEXIST);
    assert_non_null(strstr(err.msg, node_kit.a));
    assert_int_equal(node_kit_stage_with("v1", node_kit.staging, node_kit_context, with_flag, NULL), -EEXIST);
    assert_int_equal(node_kit_stage_with("v1", node_kit.other_staging, node_kit_context, node_kit_many, NULL), -EEXIST);
    assert_true(node_kit.fake.daemons[1].alive);
    assert_int_equal(node_kit.fake.count, 1);
    // Nothing is mounted any more, but the daemon runs: it is ended, not forgotten.
    node_kit.fake.count = 0;
    str_done(&node_kit.fake.calls);
    node_kit.fake.calls = (struct str){0};
    assert_int_equal(node_kit_stage_with("v1", node_kit.staging, node_kit_other_context, node_kit_many, NULL), 0);
    node_kit_assert_calls("stop 1; mount fuse s:/e/other /staging; ");
    assert_false(node_kit.fake.daemons[1].alive);
    assert_true(node_kit.fake.daemons[2].alive);
    node_kit_restart(); // and the new record is the only one
    assert_int_equal(node_kit_stage_with("v1", node_kit.staging, node_kit_other_context, node_kit_many, NULL), 0);
    assert_int_equal(node_kit_unstage("v1"), 0);
    assert_int_equal(node_kit.fake.count, 0);
}

static void foreign_mounts_are_left_alone(void **state) {
    (void)state;
    fake_mounter_add(&node_kit.fake, "tmpfs", "tmpfs", node_kit.staging);
    assert_int_equal(node_kit_stage(), -EEXIST);
    assert_int_equal(node_kit_unstage("v1"), -EBUSY);
    assert_int_equal(node_kit_stage_with("v1", node_kit.other_staging, node_kit_context, node_kit_many, NULL), 0);
    fake_mounter_add(&node_kit.fake, "tmpfs", "tmpfs", node_kit.b);
    assert_int_equal(node_kit_unpublish("v1", node_kit.b), -EBUSY);
    assert_int_equal(node_kit.fake.count, 3);
}

static void read_only_access_modes_publish_read_only(void **state) {
    (void)state;
    struct volume_capability readers = {.mode = ACCESS_MULTI_NODE_READER_ONLY};
    assert_int_equal(node_kit_stage(), 0);
    assert_int_equal(node_kit_publish_with("v1", node_kit.a, false, readers, NULL), 0);
    node_kit_assert_calls("mount fuse s:/e/d /staging; bind /staging /a ro; ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, node_kit_set_up, node_kit_tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_is_incompatible_is_refused),
        TEST(two_volumes_never_get_one_path),
        TEST(staging_otherwise_forgets_nothing_that_is_in_use),
        TEST(foreign_mounts_are_left_alone),
        TEST(read_only_access_modes_publish_read_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
