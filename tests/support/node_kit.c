// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cm.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/node_kit.h"

struct node_kit node_kit;

int node_kit_set_up(void **state) {
    (void)state;
    node_kit = (struct node_kit){.directory = "/tmp/stowage-node-test.XXXXXX"};
    if (!mkdtemp(node_kit.directory))
        return -1;
    (void)snprintf(node_kit.staging, sizeof node_kit.staging, "%s/staging", node_kit.directory);
    (void)snprintf(node_kit.other_staging, sizeof node_kit.other_staging, "%s/other", node_kit.directory);
    (void)snprintf(node_kit.a, sizeof node_kit.a, "%s/a", node_kit.directory);
    (void)snprintf(node_kit.b, sizeof node_kit.b, "%s/b", node_kit.directory);
    (void)snprintf(node_kit.state_dir, sizeof node_kit.state_dir, "%s/state", node_kit.directory);
    node_kit.options = (struct node_options){
        .node_id = "node-1",
        .max_volumes = 7,
        .probe = {.kernel = true, .fuse = true},
        .mount_mode = MOUNT_MODE_FUSE,
        .mounter = fake_mounter(&node_kit.fake),
        .state_dir = node_kit.state_dir,
    };
    return node_new(&node_kit.options, &node_kit.node, NULL);
}

int node_kit_tear_down(void **state) {
    (void)state;
    node_kit.node = node_free(node_kit.node);
    fake_mounter_done(&node_kit.fake);
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", node_kit.directory);
    return system(command);
}

void node_kit_restart(void) {
    node_kit.node = node_free(node_kit.node);
    assert_int_equal(node_new(&node_kit.options, &node_kit.node, NULL), 0);
}

const struct string_pair node_kit_context[3] = {{"server", "s"}, {"share", "/e"}, {"subDir", "d"}};
const struct string_pair node_kit_other_context[3] = {{"server", "s"}, {"share", "/e"}, {"subDir", "other"}};
const struct volume_capability node_kit_many = {.mode = ACCESS_MULTI_NODE_MULTI_WRITER};
const struct volume_capability node_kit_single = {.mode = ACCESS_SINGLE_NODE_SINGLE_WRITER};

int node_kit_stage_with(const char *id, const char *path, const struct string_pair *pairs, struct volume_capability cap,
                        struct err *err) {
    struct node_stage_request request = {id, path, cap, {pairs, 3}};
    return node_ops.stage(node_kit.node, NULL, &request, err);
}
int node_kit_stage(void) {
    return node_kit_stage_with("v1", node_kit.staging, node_kit_context, node_kit_many, NULL);
}
int node_kit_publish_with(const char *id, const char *target, bool read_only, struct volume_capability cap,
                          struct err *err) {
    struct node_publish_request request = {id, node_kit.staging, target, cap, read_only, {node_kit_context, 3}};
    return node_ops.publish(node_kit.node, NULL, &request, err);
}
int node_kit_publish(const char *target) {
    return node_kit_publish_with("v1", target, false, node_kit_many, NULL);
}
int node_kit_unpublish(const char *id, const char *target) {
    return node_ops.unpublish(node_kit.node, NULL, id, target, NULL);
}
int node_kit_unstage(const char *id) {
    return node_ops.unstage(node_kit.node, NULL, id, node_kit.staging, NULL);
}

void node_kit_assert_calls(const char *expected) {
    struct str short_calls cleanup_str = {0};
    size_t len = strlen(node_kit.directory);
    for (const char *at = str_text(&node_kit.fake.calls); *at;) {
        if (strncmp(at, node_kit.directory, len) == 0)
            at += len;
        else
            (void)str_append_bytes(&short_calls, at++, 1);
    }
    assert_string_equal(str_text(&short_calls), expected);
    str_done(&node_kit.fake.calls);
    node_kit.fake.calls = (struct str){0};
}

bool node_kit_exists(const char *path) {
    return access(path, F_OK) == 0;
}
