// SPDX-License-Identifier: Apache-2.0
// The node's calls on a fake mounter: what is mounted in which order, what is undone, what is refused.
#include "tests/support/cm.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/metrics.h"
#include "node-plugin/node.h"
#include "tests/fakes/fake_mounter.h"

struct kit {
    char directory[64], staging[96], other_staging[96], a[96], b[96], state_dir[96];
    struct fake_mounter fake;
    struct node_options options;
    struct node *node;
};
static struct kit kit;

static int set_up(void **state) {
    (void)state;
    kit = (struct kit){.directory = "/tmp/stowage-node-test.XXXXXX"};
    if (!mkdtemp(kit.directory))
        return -1;
    (void)snprintf(kit.staging, sizeof kit.staging, "%s/staging", kit.directory);
    (void)snprintf(kit.other_staging, sizeof kit.other_staging, "%s/other", kit.directory);
    (void)snprintf(kit.a, sizeof kit.a, "%s/a", kit.directory);
    (void)snprintf(kit.b, sizeof kit.b, "%s/b", kit.directory);
    (void)snprintf(kit.state_dir, sizeof kit.state_dir, "%s/state", kit.directory);
    kit.options = (struct node_options){
        .node_id = "node-1",
        .max_volumes = 7,
        .probe = {.kernel = true, .fuse = true},
        .mount_mode = MOUNT_MODE_FUSE,
        .mounter = fake_mounter(&kit.fake),
        .state_dir = kit.state_dir,
    };
    return node_new(&kit.options, &kit.node, NULL);
}

static int tear_down(void **state) {
    (void)state;
    kit.node = node_free(kit.node);
    fake_mounter_done(&kit.fake);
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", kit.directory);
    return system(command);
}

static void restart(void) {
    kit.node = node_free(kit.node);
    assert_int_equal(node_new(&kit.options, &kit.node, NULL), 0);
}

static const struct string_pair context[] = {{"server", "s"}, {"share", "/e"}, {"subDir", "d"}};
static const struct string_pair other_context[] = {{"server", "s"}, {"share", "/e"}, {"subDir", "other"}};
static const struct volume_capability many = {.mode = ACCESS_MULTI_NODE_MULTI_WRITER};
static const struct volume_capability single = {.mode = ACCESS_SINGLE_NODE_SINGLE_WRITER};

static int stage_with(const char *id, const char *path, const struct string_pair *pairs, struct volume_capability cap,
                      struct err *err) {
    struct node_stage_request request = {id, path, cap, {pairs, 3}};
    return node_ops.stage(kit.node, NULL, &request, err);
}
static int stage(void) {
    return stage_with("v1", kit.staging, context, many, NULL);
}
static int publish_with(const char *id, const char *target, bool read_only, struct volume_capability cap,
                        struct err *err) {
    struct node_publish_request request = {id, kit.staging, target, cap, read_only, {context, 3}};
    return node_ops.publish(kit.node, NULL, &request, err);
}
static int publish(const char *target) {
    return publish_with("v1", target, false, many, NULL);
}
static int unpublish(const char *id, const char *target) {
    return node_ops.unpublish(kit.node, NULL, id, target, NULL);
}
static int unstage(const char *id) {
    return node_ops.unstage(kit.node, NULL, id, kit.staging, NULL);
}

// What the mounter was told since the last look, with the test's directory cut out.
static void assert_calls(const char *expected) {
    struct str short_calls cleanup_str = {0};
    size_t len = strlen(kit.directory);
    for (const char *at = str_text(&kit.fake.calls); *at;) {
        if (strncmp(at, kit.directory, len) == 0)
            at += len;
        else
            (void)str_append_bytes(&short_calls, at++, 1);
    }
    assert_string_equal(str_text(&short_calls), expected);
    str_done(&kit.fake.calls);
    kit.fake.calls = (struct str){0};
}

static bool exists(const char *path) {
    return access(path, F_OK) == 0;
}

static void the_whole_life_of_a_volume(void **state) {
    (void)state;
    assert_int_equal(stage(), 0);
    assert_calls("mount fuse s:/e/d /staging; ");
    assert_int_equal(publish(kit.a), 0);
    assert_calls("bind /staging /a rw; ");
    assert_true(exists(kit.a));
    assert_int_equal(publish_with("v1", kit.b, true, many, NULL), 0);
    assert_calls("bind /staging /b ro; ");
    struct node_usage usage;
    assert_int_equal(node_ops.stats(kit.node, NULL, "v1", kit.a, &usage, NULL), 0);
    assert_int_equal(usage.total_bytes, 1000);
    assert_int_equal(usage.used_bytes, 600);
    assert_int_equal(usage.available_bytes, 300);
    assert_int_equal(usage.used_files, 30);
    assert_false(usage.abnormal);
    assert_int_equal(unpublish("v1", kit.a), 0);
    assert_int_equal(unpublish("v1", kit.b), 0);
    assert_calls("umount /a; umount /b; ");
    assert_false(exists(kit.a));
    assert_int_equal(unstage("v1"), 0);
    assert_calls("umount /staging; stop 1; ");
    assert_int_equal(kit.fake.count, 0);
    assert_true(exists(kit.staging)); // the orchestrator's
}

static void every_call_may_be_repeated(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(stage(), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(publish(kit.a), 0);
    assert_calls("mount fuse s:/e/d /staging; bind /staging /a rw; ");
    for (int i = 0; i < 3; i++)
        assert_int_equal(unpublish("v1", kit.a), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(unstage("v1"), 0);
    assert_calls("umount /a; umount /staging; stop 1; ");
}

static void calls_about_unknown_volumes(void **state) {
    (void)state;
    struct node_usage usage;
    int64_t bytes = 0;
    assert_int_equal(unpublish("nobody", kit.a), 0);
    assert_int_equal(unstage("nobody"), 0);
    assert_int_equal(publish_with("nobody", kit.a, false, many, NULL), -EBUSY);
    assert_int_equal(node_ops.stats(kit.node, NULL, "nobody", kit.a, &usage, NULL), -ENOENT);
    assert_int_equal(node_ops.expand(kit.node, NULL, "nobody", kit.a, 1, 0, &bytes, NULL), -ENOENT);
    assert_false(exists(kit.a));
    assert_calls("");
}

static void wrong_paths_of_a_known_volume_are_not_found(void **state) {
    (void)state;
    struct node_usage usage;
    int64_t bytes = 0;
    assert_int_equal(stage(), 0);
    assert_int_equal(node_ops.stats(kit.node, NULL, "v1", "some/path", &usage, NULL), -ENOENT);
    assert_int_equal(node_ops.stats(kit.node, NULL, "v1", kit.a, &usage, NULL), -ENOENT);
    assert_int_equal(node_ops.expand(kit.node, NULL, "v1", kit.a, 5, 0, &bytes, NULL), -ENOENT);
    assert_int_equal(node_ops.expand(kit.node, NULL, "v1", kit.staging, 2147483648, 0, &bytes, NULL), 0);
    assert_true(bytes == 2147483648);
}

static void a_mount_that_fails_leaves_nothing(void **state) {
    (void)state;
    kit.fake.mount_result = -ECONNREFUSED;
    assert_int_equal(stage(), -ECONNREFUSED);
    assert_calls("mount fuse s:/e/d /staging; ");
    kit.fake.mount_result = -ETIMEDOUT; // and the mount comes up all the same
    kit.fake.mounts_anyway = true;
    assert_int_equal(stage(), -ETIMEDOUT);
    assert_calls("mount fuse s:/e/d /staging; umount /staging; stop 1; ");
    assert_int_equal(kit.fake.count, 0);
    restart();
    assert_int_equal(publish(kit.a), -EBUSY); // no record says that it is staged
}

static void a_bind_that_fails_leaves_nothing(void **state) {
    (void)state;
    assert_int_equal(stage(), 0);
    kit.fake.bind_result = -ETIMEDOUT;
    kit.fake.mounts_anyway = true;
    assert_int_equal(publish(kit.a), -ETIMEDOUT);
    assert_calls("mount fuse s:/e/d /staging; bind /staging /a rw; umount /a; ");
    assert_false(exists(kit.a));
    kit.fake.bind_result = 0;
    assert_int_equal(publish_with("v1", kit.b, false, single, NULL), 0); // the failed target does not count
}

static void a_busy_mount_is_detached(void **state) {
    (void)state;
    assert_int_equal(stage(), 0);
    assert_int_equal(publish(kit.a), 0);
    kit.fake.plain_result = -EBUSY;
    assert_int_equal(unpublish("v1", kit.a), 0);
    assert_int_equal(unstage("v1"), 0);
    assert_calls("mount fuse s:/e/d /staging; bind /staging /a rw; umount /a; detach /a; umount /staging; "
                 "detach /staging; stop 1; ");
    assert_int_equal(kit.fake.count, 0);
}

static void every_layer_of_a_target_is_unmounted(void **state) {
    (void)state;
    assert_int_equal(stage(), 0);
    assert_int_equal(publish(kit.a), 0);
    fake_mounter_add(&kit.fake, "tmpfs", "tmpfs", kit.a);
    assert_int_equal(unpublish("v1", kit.a), 0);
    assert_int_equal(kit.fake.count, 1); // the staging mount
}

static void one_single_writer(void **state) {
    (void)state;
    assert_int_equal(stage(), 0);
    assert_int_equal(publish_with("v1", kit.a, false, single, NULL), 0);
    assert_int_equal(publish_with("v1", kit.a, false, single, NULL), 0); // the same target again
    struct err err = ERR_NONE;
    assert_int_equal(publish_with("v1", kit.b, false, single, &err), -EBUSY);
    assert_non_null(strstr(err.msg, "SINGLE_NODE_SINGLE_WRITER"));
    assert_int_equal(publish_with("v1", kit.b, false, many, NULL), -EBUSY);
    assert_false(exists(kit.b));
    assert_int_equal(unpublish("v1", kit.a), 0);
    assert_int_equal(publish_with("v1", kit.b, false, single, NULL), 0);
}

static void what_is_incompatible_is_refused(void **state) {
    (void)state;
    const char *flags[] = {"ro"};
    struct volume_capability with_flag = {.mode = many.mode, .mount_flags = flags, .mount_flag_count = 1};
    struct volume_capability block = {.block = true, .mode = many.mode};
    assert_int_equal(stage_with("v1", kit.staging, context, block, NULL), -EINVAL);
    assert_int_equal(stage(), 0);
    assert_int_equal(publish(kit.a), 0);
    (void)mkdir(kit.other_staging, 0700);
    assert_int_equal(stage_with("v1", kit.other_staging, context, many, NULL), -EEXIST);
    assert_int_equal(stage_with("v1", kit.staging, other_context, many, NULL), -EEXIST);
    assert_int_equal(stage_with("v1", kit.staging, context, with_flag, NULL), -EEXIST);
    assert_int_equal(stage_with("v2", kit.staging, other_context, many, NULL), -EEXIST);
    assert_int_equal(stage_with("v2", kit.a, other_context, many, NULL), -EEXIST);
    assert_int_equal(publish_with("v1", kit.a, true, many, NULL), -EEXIST);
    assert_int_equal(unstage("v1"), -EBUSY); // still published
    // Another volume's calls about these paths do not touch them.
    assert_int_equal(unstage("v2"), 0);
    assert_int_equal(unpublish("v2", kit.a), 0);
    assert_int_equal(kit.fake.count, 2);
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
    struct node_publish_request request = {"v2", kit.other_staging, rival.path, many, false, {other_context, 3}};
    rival.stage = stage_with("v2", rival.path, other_context, many, &rival.err);
    rival.unstage = node_ops.unstage(kit.node, NULL, "v2", rival.path, NULL);
    rival.publish = node_ops.publish(kit.node, NULL, &request, NULL);
    rival.unpublish = node_ops.unpublish(kit.node, NULL, "v2", rival.path, NULL);
}
static void let_rival(const char *path) {
    (void)memset(&rival, 0, sizeof rival);
    rival.path = path;
    kit.fake.step = rival_calls;
}
static void assert_rival_lost(void) {
    assert_true(rival.ran);
    kit.fake.step = NULL;
    assert_int_equal(rival.stage, -EAGAIN);
    assert_non_null(strstr(rival.err.msg, "'v1'"));
    assert_non_null(strstr(rival.err.msg, "'v2'"));
    assert_int_equal(rival.unstage, -EAGAIN);
    assert_int_equal(rival.publish, -EAGAIN);
    assert_int_equal(rival.unpublish, -EAGAIN);
}

static void two_volumes_never_get_one_path(void **state) {
    (void)state;
    assert_int_equal(mkdir(kit.other_staging, 0700), 0);
    assert_int_equal(stage_with("v2", kit.other_staging, other_context, many, NULL), 0);
    let_rival(kit.a);
    assert_int_equal(stage(), 0); // a path is claimed, not the node: v2's calls about another path go on
    kit.fake.step = NULL;
    assert_int_equal(rival.stage, -EEXIST); // it is staged elsewhere
    assert_int_equal(rival.publish, 0);
    assert_int_equal(rival.unpublish, 0);
    let_rival(kit.a);
    assert_int_equal(publish(kit.a), 0);
    assert_rival_lost();
    let_rival(kit.a);
    assert_int_equal(unpublish("v1", kit.a), 0);
    assert_rival_lost();
    let_rival(kit.staging);
    assert_int_equal(unstage("v1"), 0);
    assert_rival_lost();
    let_rival(kit.staging);
    assert_int_equal(stage(), 0);
    assert_rival_lost();
    // A call that failed holds nothing.
    assert_int_equal(unstage("v1"), 0);
    kit.fake.mount_result = -ECONNREFUSED;
    assert_int_equal(stage(), -ECONNREFUSED);
    kit.fake.mount_result = 0;
    assert_int_equal(node_ops.unstage(kit.node, NULL, "v2", kit.other_staging, NULL), 0);
    assert_int_equal(stage_with("v2", kit.staging, other_context, many, NULL), 0);
    struct err err = ERR_NONE;
    assert_int_equal(stage_with("v1", kit.staging, context, many, &err), -EEXIST);
    assert_non_null(strstr(err.msg, "'v1'"));
    assert_non_null(strstr(err.msg, "'v2'"));
}

static void staging_otherwise_forgets_nothing_that_is_in_use(void **state) {
    (void)state;
    const char *flags[] = {"ro"};
    struct volume_capability with_flag = {.mode = many.mode, .mount_flags = flags, .mount_flag_count = 1};
    assert_int_equal(stage(), 0);
    assert_int_equal(publish(kit.a), 0);
    // Somebody took the staging mount away by hand; a pod still uses the volume.
    kit.fake.mounts[0] = kit.fake.mounts[1];
    kit.fake.count = 1;
    struct err err = ERR_NONE;
    assert_int_equal(stage_with("v1", kit.staging, other_context, many, &err), -EEXIST);
    assert_non_null(strstr(err.msg, kit.a));
    assert_int_equal(stage_with("v1", kit.staging, context, with_flag, NULL), -EEXIST);
    assert_int_equal(stage_with("v1", kit.other_staging, context, many, NULL), -EEXIST);
    assert_true(kit.fake.daemons[1].alive);
    assert_int_equal(kit.fake.count, 1);
    // Nothing is mounted any more, but the daemon runs: it is ended, not forgotten.
    kit.fake.count = 0;
    str_done(&kit.fake.calls);
    kit.fake.calls = (struct str){0};
    assert_int_equal(stage_with("v1", kit.staging, other_context, many, NULL), 0);
    assert_calls("stop 1; mount fuse s:/e/other /staging; ");
    assert_false(kit.fake.daemons[1].alive);
    assert_true(kit.fake.daemons[2].alive);
    restart(); // and the new record is the only one
    assert_int_equal(stage_with("v1", kit.staging, other_context, many, NULL), 0);
    assert_int_equal(unstage("v1"), 0);
    assert_int_equal(kit.fake.count, 0);
}

static void foreign_mounts_are_left_alone(void **state) {
    (void)state;
    fake_mounter_add(&kit.fake, "tmpfs", "tmpfs", kit.staging);
    assert_int_equal(stage(), -EEXIST);
    assert_int_equal(unstage("v1"), -EBUSY);
    assert_int_equal(stage_with("v1", kit.other_staging, context, many, NULL), 0);
    fake_mounter_add(&kit.fake, "tmpfs", "tmpfs", kit.b);
    assert_int_equal(unpublish("v1", kit.b), -EBUSY);
    assert_int_equal(kit.fake.count, 3);
}

static void read_only_access_modes_publish_read_only(void **state) {
    (void)state;
    struct volume_capability readers = {.mode = ACCESS_MULTI_NODE_READER_ONLY};
    assert_int_equal(stage(), 0);
    assert_int_equal(publish_with("v1", kit.a, false, readers, NULL), 0);
    assert_calls("mount fuse s:/e/d /staging; bind /staging /a ro; ");
}

static void a_restart_changes_nothing(void **state) {
    (void)state;
    assert_int_equal(stage(), 0);
    assert_int_equal(publish_with("v1", kit.a, false, single, NULL), 0);
    assert_calls("mount fuse s:/e/d /staging; bind /staging /a rw; ");
    restart();
    assert_int_equal(stage(), 0);
    assert_int_equal(publish_with("v1", kit.a, false, single, NULL), 0);
    assert_int_equal(publish_with("v1", kit.b, false, single, NULL), -EBUSY);
    assert_calls("");
    assert_int_equal(unpublish("v1", kit.a), 0);
    assert_int_equal(unstage("v1"), 0);
    assert_calls("umount /a; umount /staging; stop 1; ");
}

static void after_a_reboot_staging_mounts_again(void **state) {
    (void)state;
    assert_int_equal(stage(), 0);
    assert_int_equal(publish(kit.a), 0);
    kit.fake.count = 0;
    fake_mounter_kill(&kit.fake, 1);
    str_done(&kit.fake.calls);
    kit.fake.calls = (struct str){0};
    restart();
    assert_int_equal(stage(), 0);
    assert_calls("stop 1; mount fuse s:/e/d /staging; "); // and not the targets of pods that are gone
    assert_int_equal(publish(kit.b), 0);
    assert_int_equal(kit.fake.count, 2);
}

static void wait_for_death(void) {
    struct staged *staged = node_find(kit.node, "v1");
    while (!atomic_load(&staged->daemon_dead))
        (void)sched_yield();
}

static void a_dead_daemon_is_told_and_replaced(void **state) {
    (void)state;
    struct node_usage usage;
    assert_int_equal(stage(), 0);
    assert_int_equal(publish(kit.a), 0);
    assert_int_equal(publish_with("v1", kit.b, true, many, NULL), 0);
    assert_int_equal(node_ops.stats(kit.node, NULL, "v1", kit.a, &usage, NULL), 0);
    str_done(&kit.fake.calls);
    kit.fake.calls = (struct str){0};
    fake_mounter_kill(&kit.fake, 1);
    wait_for_death();
    assert_int_equal(node_ops.stats(kit.node, NULL, "v1", kit.a, &usage, NULL), 0);
    assert_true(usage.abnormal);
    assert_non_null(strstr(usage.condition, "restart the pods"));
    assert_int_equal(usage.total_bytes, 1000); // the last that was known
    assert_int_equal(publish(kit.a), 0);
    assert_calls("umount /a; umount /b; umount /staging; stop 1; mount fuse s:/e/d /staging; bind /staging /b ro; "
                 "bind /staging /a rw; ");
    assert_int_equal(node_ops.stats(kit.node, NULL, "v1", kit.a, &usage, NULL), 0);
    assert_false(usage.abnormal);
}

static void a_repair_that_fails_can_be_tried_again(void **state) {
    (void)state;
    assert_int_equal(stage(), 0);
    assert_int_equal(publish(kit.a), 0);
    fake_mounter_kill(&kit.fake, 1);
    wait_for_death();
    kit.fake.mount_result = -EHOSTUNREACH;
    assert_int_equal(stage(), -EHOSTUNREACH);
    kit.fake.mount_result = 0;
    assert_int_equal(stage(), 0);
    assert_int_equal(kit.fake.count, 2); // the target as well
}

static void statfs_that_does_not_end_gives_the_last_numbers(void **state) {
    (void)state;
    struct node_usage usage;
    assert_int_equal(stage(), 0);
    kit.fake.space_result = -ETIMEDOUT;
    assert_int_equal(node_ops.stats(kit.node, NULL, "v1", kit.staging, &usage, NULL), 0);
    assert_true(usage.abnormal);
    assert_int_equal(usage.total_bytes, 0);
    kit.fake.space_result = 0;
    assert_int_equal(node_ops.stats(kit.node, NULL, "v1", kit.staging, &usage, NULL), 0);
    assert_false(usage.abnormal);
    kit.fake.space_result = -ETIMEDOUT;
    assert_int_equal(node_ops.stats(kit.node, NULL, "v1", kit.staging, &usage, NULL), 0);
    assert_true(usage.abnormal);
    assert_int_equal(usage.total_bytes, 1000);
}

static void mounts_without_a_record(void **state) {
    (void)state;
    // A kernel mount is taken over as it is, a FUSE mount is replaced: nobody knows its daemon.
    kit.options.mount_mode = MOUNT_MODE_KERNEL;
    fake_mounter_add(&kit.fake, "s:/e/d", "nfs4", kit.staging);
    assert_int_equal(stage(), 0);
    assert_calls("");
    assert_int_equal(unstage("v1"), 0);
    assert_calls("umount /staging; ");
    kit.options.mount_mode = MOUNT_MODE_FUSE;
    fake_mounter_add(&kit.fake, "s:/e/d", "fuse.stowage", kit.staging);
    assert_int_equal(stage(), 0);
    assert_calls("umount /staging; mount fuse s:/e/d /staging; ");
    // And unpublish cleans up where no record is left.
    fake_mounter_add(&kit.fake, "s:/e/x", "fuse.stowage", kit.a);
    assert_int_equal(unpublish("v9", kit.a), 0);
    assert_int_equal(kit.fake.count, 1);
}

static void tells_who_it_is(void **state) {
    (void)state;
    struct node_info info;
    assert_int_equal(node_ops.info(kit.node, &info, NULL), 0);
    assert_string_equal(info.id, "node-1");
    assert_int_equal(info.max_volumes, 7);
}

static const struct string_pair of_a_group[] = {{"server", "s"}, {"share", "/e"}, {"nodeGroup", "a"}};
static const struct string_pair immutable[] = {
    {"server", "s"}, {"share", "/e"}, {"nodeGroup", "a"}, {"cacheMode", "immutable"}};

static int stage_group(const struct string_pair *pairs, size_t count, struct err *err) {
    struct node_stage_request request = {"v1", kit.staging, many, {pairs, count}};
    return node_ops.stage(kit.node, NULL, &request, err);
}

static void a_volume_of_a_group_is_for_its_nodes(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct node_info info;
    assert_int_equal(stage_group(of_a_group, 3, &err), -EBUSY);
    assert_true(strstr(err.msg, "'a'") && strstr(err.msg, "none"));
    kit.options.node_group = "b";
    assert_int_equal(stage_group(of_a_group, 3, &err), -EBUSY);
    assert_true(strstr(err.msg, "'a'") && strstr(err.msg, "'b'"));
    kit.options.node_group = "a";
    assert_int_equal(stage_group(of_a_group, 3, &err), -EBUSY);
    assert_non_null(strstr(err.msg, "--cache-dir"));
    assert_int_equal(kit.fake.count, 0);
    kit.options.cache_dir = "/var/cache/stowage";
    kit.options.mount_mode = MOUNT_MODE_KERNEL; // counts for other volumes
    assert_int_equal(stage_group(of_a_group, 3, &err), 0);
    assert_non_null(strstr(str_text(&kit.fake.calls), "mount fuse s:/e"));
    assert_int_equal(node_ops.info(kit.node, &info, NULL), 0);
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
    kit.options.node_group = "b";
    assert_int_equal(stage(), 0);
    kit.options.node_group = NULL;
    struct node_info info;
    assert_int_equal(node_ops.info(kit.node, &info, NULL), 0);
    assert_null(info.topology);
}

#define LUSTRE                                                                                                         \
    {"nodeGroup", "a"}, {"origin", "mount"}, {"originType", "lustre"}, {                                               \
        "originSource", "mgs@tcp:/fs"                                                                                  \
    }

static int stage_origin(const char *id, const char *path, const char *sub_dir, struct err *err) {
    const struct string_pair pairs[] = {LUSTRE, {"subDir", sub_dir}};
    struct node_stage_request request = {id, path, many, {pairs, ARRAY_SIZE(pairs)}};
    return node_ops.stage(kit.node, NULL, &request, err);
}

static size_t origins_mounted(void) {
    size_t count = 0;
    for (size_t i = 0; i < kit.fake.count; i++)
        count += strcmp(kit.fake.mounts[i].fs_type, "lustre") == 0;
    return count;
}

static void an_origin_is_mounted_once_while_it_is_used(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    char origins[128];
    (void)snprintf(origins, sizeof origins, "%s/origins", kit.directory);
    kit.options.node_group = "a";
    kit.options.cache_dir = "/nowhere/cache";
    assert_int_equal(stage_origin("v1", kit.staging, "one", &err), -EBUSY);
    assert_non_null(strstr(err.msg, "--origin-dir"));
    kit.options.origin_dir = origins;
    assert_int_equal(stage_origin("v1", kit.staging, "one", &err), 0);
    assert_int_equal(stage_origin("v2", kit.other_staging, "two", &err), 0);
    assert_int_equal(origins_mounted(), 1);
    restart(); // who uses it is told by the volumes alone
    assert_int_equal(node_ops.unstage(kit.node, NULL, "v1", kit.staging, &err), 0);
    assert_int_equal(origins_mounted(), 1);
    assert_int_equal(stage_origin("v1", kit.staging, "one", &err), 0);
    assert_int_equal(origins_mounted(), 1);
    assert_int_equal(node_ops.unstage(kit.node, NULL, "v2", kit.other_staging, &err), 0);
    assert_int_equal(origins_mounted(), 1);
    assert_int_equal(node_ops.unstage(kit.node, NULL, "v1", kit.staging, &err), 0);
    assert_int_equal(origins_mounted(), 0);
    assert_int_equal(rmdir(origins), 0); // nothing is left in it
}

static void an_origin_of_a_volume_that_cannot_be_staged_goes(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    char origins[128];
    (void)snprintf(origins, sizeof origins, "%s/origins", kit.directory);
    kit.options.node_group = "a";
    kit.options.cache_dir = "/nowhere/cache";
    kit.options.origin_dir = origins;
    kit.fake.mount_result = -EHOSTUNREACH; // of the daemon
    assert_int_equal(stage_origin("v1", kit.staging, "one", &err), -EHOSTUNREACH);
    assert_int_equal(origins_mounted(), 0);
    kit.fake.mount_result = 0;
    kit.fake.origin_result = -ENODEV;
    assert_int_equal(stage_origin("v1", kit.staging, "one", &err), -ENODEV);
    assert_non_null(strstr(err.msg, "mgs@tcp:/fs"));
    kit.fake.origin_result = 0;
    assert_int_equal(stage_origin("v1", kit.staging, "one", &err), 0);
    assert_int_equal(origins_mounted(), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
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
        TEST(what_is_incompatible_is_refused),
        TEST(two_volumes_never_get_one_path),
        TEST(staging_otherwise_forgets_nothing_that_is_in_use),
        TEST(foreign_mounts_are_left_alone),
        TEST(read_only_access_modes_publish_read_only),
        TEST(a_restart_changes_nothing),
        TEST(after_a_reboot_staging_mounts_again),
        TEST(a_dead_daemon_is_told_and_replaced),
        TEST(a_repair_that_fails_can_be_tried_again),
        TEST(statfs_that_does_not_end_gives_the_last_numbers),
        TEST(mounts_without_a_record),
        TEST(tells_who_it_is),
        TEST(a_volume_of_a_group_is_for_its_nodes),
        TEST(a_volume_of_no_group_is_for_every_node),
        TEST(an_origin_is_mounted_once_while_it_is_used),
        TEST(an_origin_of_a_volume_that_cannot_be_staged_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
