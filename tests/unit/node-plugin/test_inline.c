// SPDX-License-Identifier: Apache-2.0
// Inline volumes on a fake mounter: one publish mounts them, one unpublish leaves nothing, whatever happened in between.
#include "tests/support/cm.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/hash.h"
#include "node-plugin/node.h"
#include "tests/fakes/fake_mounter.h"

#define ID "csi-0123456789012345678901234567890123456789012345678901234567890123"

struct kit {
    char directory[64], target[96], other[96], inline_dir[96], state_dir[96], key[HASH_ID_LEN + 1];
    struct fake_mounter fake;
    struct field_list shares;
    struct node_options options;
    struct node *node;
};
static struct kit kit;
static char *allowed[] = {"nas:/exports/data"};

static int set_up(void **state) {
    (void)state;
    kit = (struct kit){.directory = "/tmp/stowage-inline-test.XXXXXX", .shares = {allowed, 1}};
    if (!mkdtemp(kit.directory))
        return -1;
    (void)snprintf(kit.target, sizeof kit.target, "%s/target", kit.directory);
    (void)snprintf(kit.other, sizeof kit.other, "%s/other", kit.directory);
    (void)snprintf(kit.inline_dir, sizeof kit.inline_dir, "%s/kubelet/inline", kit.directory);
    (void)snprintf(kit.state_dir, sizeof kit.state_dir, "%s/state", kit.directory);
    hash_id(ID, strlen(ID), kit.key);
    kit.options = (struct node_options){
        .node_id = "node-1",
        .probe = {.kernel = true, .fuse = true},
        .mount_mode = MOUNT_MODE_FUSE,
        .mounter = fake_mounter(&kit.fake),
        .state_dir = kit.state_dir,
        .inline_dir = kit.inline_dir,
        .inline_shares = &kit.shares,
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

static const struct string_pair attributes[] = {{"server", "nas"},
                                                {"share", "/exports/data"},
                                                {"mountFrom", "/sets/x"},
                                                {"csi.storage.k8s.io/ephemeral", "true"},
                                                {"csi.storage.k8s.io/pod.name", "p"}};

static int publish_of(const struct string_pair *pairs, size_t count, const char *target, bool read_only,
                      struct err *err) {
    struct node_publish_request request = {.volume_id = ID,
                                           .staging_path = "",
                                           .target_path = target,
                                           .capability = {.mode = ACCESS_SINGLE_NODE_MULTI_WRITER},
                                           .read_only = read_only,
                                           .context = {pairs, count}};
    return node_ops.publish_inline(kit.node, NULL, &request, err);
}
static int publish(bool read_only) {
    return publish_of(attributes, ARRAY_SIZE(attributes), kit.target, read_only, NULL);
}
static int unpublish(void) {
    return node_ops.unpublish(kit.node, NULL, ID, kit.target, NULL);
}

// What the mounter was told since the last look, with the test's directories cut out.
static void assert_calls(const char *expected) {
    struct str short_calls cleanup_str = {0};
    char staging[160];
    (void)snprintf(staging, sizeof staging, "%s/%s", kit.inline_dir, kit.key);
    for (const char *at = str_text(&kit.fake.calls); *at;) {
        if (str_starts(at, staging)) {
            (void)str_append(&short_calls, "STAGING");
            at += strlen(staging);
        } else if (str_starts(at, kit.directory)) {
            at += strlen(kit.directory);
        } else {
            (void)str_append_bytes(&short_calls, at++, 1);
        }
    }
    assert_string_equal(str_text(&short_calls), expected);
    str_done(&kit.fake.calls);
    kit.fake.calls = (struct str){0};
}

static size_t entries(const char *directory) {
    size_t count = 0;
    DIR *dir = opendir(directory);
    for (const struct dirent *entry = NULL; dir && (entry = readdir(dir));)
        count += entry->d_name[0] != '.' && strcmp(entry->d_name, "lock") != 0;
    if (dir)
        (void)closedir(dir);
    return count;
}

static void assert_nothing_is_left(void) {
    assert_int_equal(kit.fake.count, 0);
    assert_int_equal(entries(kit.inline_dir), 0);
    assert_int_equal(entries(kit.state_dir), 0);
    assert_int_not_equal(access(kit.target, F_OK), 0);
    for (int pid = 1; pid <= kit.fake.daemon_count; pid++)
        assert_false(kit.fake.daemons[pid].alive);
}

static void the_whole_life(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(publish(false), 0);
    assert_calls("mount fuse nas:/exports/data/sets/x STAGING; bind STAGING /target rw; ");
    struct node_usage usage;
    assert_int_equal(node_ops.stats(kit.node, NULL, ID, kit.target, &usage, NULL), 0);
    assert_int_equal(usage.total_bytes, 1000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(unpublish(), 0);
    assert_calls("umount /target; umount STAGING; stop 1; ");
    assert_nothing_is_left();
}

static void read_only_is_so_twice(void **state) {
    (void)state;
    assert_int_equal(publish(true), 0);
    assert_calls("mount fuse nas:/exports/data/sets/x STAGING; bind STAGING /target ro; ");
    const struct staged *staged = node_find(kit.node, ID);
    assert_int_equal(staged->flag_count, 1);
    assert_string_equal(staged->flags[0], "ro");
    assert_int_equal(publish(false), -EEXIST); // what was published stays as it is
    assert_calls("");
    assert_int_equal(unpublish(), 0);
    // And the pod's own options do not undo it.
    struct string_pair with_options[] = {attributes[0], attributes[1], {"mountOptions", "rw,nconnect=2"}};
    assert_int_equal(publish_of(with_options, 3, kit.target, true, NULL), 0);
    staged = node_find(kit.node, ID);
    assert_int_equal(staged->flag_count, 2);
    assert_string_equal(staged->flags[0], "rw,nconnect=2");
    assert_string_equal(staged->flags[1], "ro");
}

static void what_is_not_allowed_changes_nothing(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct string_pair elsewhere[] = {{"server", "nas"}, {"share", "/exports/secret"}};
    assert_int_equal(publish_of(elsewhere, 2, kit.target, true, &err), -EACCES);
    assert_non_null(strstr(err.msg, "nas:/exports/secret"));
    assert_non_null(strstr(err.msg, "--inline-shares"));
    assert_non_null(strstr(err.msg, "inlineVolumes.allowedShares"));
    struct string_pair typo[] = {attributes[0], attributes[1], {"subDir", "x"}};
    assert_int_equal(publish_of(typo, 3, kit.target, true, NULL), -EINVAL);
    assert_int_equal(publish_of(attributes, ARRAY_SIZE(attributes), "/", true, NULL), -EINVAL);
    kit.shares.count = 0;
    assert_int_equal(publish(true), -EACCES);
    assert_calls("");
    assert_nothing_is_left();
    assert_int_not_equal(access(kit.inline_dir, F_OK), 0);
}

static void a_directory_that_is_not_there(void **state) {
    (void)state;
    kit.fake.mount_result = -ENOENT;
    struct err err = ERR_NONE;
    assert_int_equal(publish_of(attributes, ARRAY_SIZE(attributes), kit.target, true, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "must exist"));
    assert_calls("mount fuse nas:/exports/data/sets/x STAGING; ");
    assert_nothing_is_left();
}

static void failures_leave_nothing(void **state) {
    (void)state;
    kit.fake.mount_result = -ETIMEDOUT; // and the mount comes up all the same
    kit.fake.mounts_anyway = true;
    assert_int_equal(publish(false), -ETIMEDOUT);
    assert_nothing_is_left();
    kit.fake.mount_result = 0;
    kit.fake.bind_result = -ETIMEDOUT;
    assert_int_equal(publish(false), -ETIMEDOUT);
    assert_nothing_is_left();
    kit.fake.bind_result = 0;
    assert_int_equal(publish(false), 0);
    assert_int_equal(unpublish(), 0);
    assert_nothing_is_left();
}

static void a_restart_changes_nothing(void **state) {
    (void)state;
    assert_int_equal(publish(true), 0);
    restart();
    assert_int_equal(publish(true), 0);
    assert_calls("mount fuse nas:/exports/data/sets/x STAGING; bind STAGING /target ro; ");
    restart();
    kit.shares.count = 0; // what is no longer allowed is still taken away
    assert_int_equal(publish(true), -EACCES);
    assert_int_equal(unpublish(), 0);
    assert_calls("umount /target; umount STAGING; stop 1; ");
    assert_nothing_is_left();
}

static void what_a_crash_left_is_taken_away(void **state) {
    (void)state;
    // Killed between the two steps: staged, not published.
    assert_int_equal(publish(true), 0);
    kit.fake.count = 1; // the staging mount
    restart();
    (void)rmdir(kit.target);
    assert_nothing_is_left();
    // A reboot: no mount, no daemon, but a record.
    assert_int_equal(publish(true), 0);
    kit.fake.count = 0;
    fake_mounter_kill(&kit.fake, 2);
    restart();
    (void)rmdir(kit.target);
    assert_nothing_is_left();
    // The state directory is lost, kubelet unpublishes.
    assert_int_equal(publish(true), 0);
    kit.node = node_free(kit.node);
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", kit.state_dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(node_new(&kit.options, &kit.node, NULL), 0);
    assert_int_equal(unpublish(), 0);
    assert_nothing_is_left();
}

static void the_pods_directory_may_be_gone(void **state) {
    (void)state;
    char parent[112];
    (void)snprintf(parent, sizeof parent, "%s/pod", kit.directory);
    (void)snprintf(kit.target, sizeof kit.target, "%.60s/pod/target", kit.directory);
    assert_int_equal(mkdir(parent, 0700), 0);
    assert_int_equal(publish(true), 0);
    kit.fake.count = 1; // its mount went with it
    assert_int_equal(rmdir(kit.target), 0);
    assert_int_equal(rmdir(parent), 0);
    assert_int_equal(unpublish(), 0);
    assert_nothing_is_left();
}

static void a_second_target_keeps_the_mount(void **state) {
    (void)state;
    assert_int_equal(publish(false), 0);
    assert_int_equal(publish_of(attributes, ARRAY_SIZE(attributes), kit.other, false, NULL), 0);
    assert_int_equal(unpublish(), 0);
    assert_int_equal(kit.fake.count, 2);
    assert_int_equal(node_ops.unpublish(kit.node, NULL, ID, kit.other, NULL), 0);
    assert_nothing_is_left();
}

// The kernel followed a symbolic link that somebody put into the share.
static void lead_astray(void) {
    if (kit.fake.count == 1)
        (void)snprintf(kit.fake.mounts[0].source, sizeof kit.fake.mounts[0].source, "nas:/exports/secret");
}
static void a_symbolic_link_leads_nowhere(void **state) {
    (void)state;
    kit.options.mount_mode = MOUNT_MODE_KERNEL;
    kit.fake.step = lead_astray;
    struct err err = ERR_NONE;
    assert_int_equal(publish_of(attributes, ARRAY_SIZE(attributes), kit.target, true, &err), -EPERM);
    assert_non_null(strstr(err.msg, "symbolic link"));
    assert_calls("mount nfs nas:/exports/data/sets/x STAGING; umount STAGING; ");
    assert_nothing_is_left();
    kit.fake.step = NULL;
    assert_int_equal(publish(true), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_whole_life),
        TEST(read_only_is_so_twice),
        TEST(what_is_not_allowed_changes_nothing),
        TEST(a_directory_that_is_not_there),
        TEST(failures_leave_nothing),
        TEST(a_restart_changes_nothing),
        TEST(what_a_crash_left_is_taken_away),
        TEST(the_pods_directory_may_be_gone),
        TEST(a_second_target_keeps_the_mount),
        TEST(a_symbolic_link_leads_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
