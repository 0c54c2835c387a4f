// SPDX-License-Identifier: Apache-2.0
// The node's calls on a fake mounter, below a directory of the test's own. To be included after cm.h.
//
// Threads: one. Fails: what cannot be set up fails the test.
#pragma once

#include "node-plugin/node.h"
#include "tests/fakes/fake_mounter.h"

struct node_kit {
    char directory[64], staging[96], other_staging[96], a[96], b[96], state_dir[96];
    struct fake_mounter fake;
    struct node_options options;
    struct node *node;
};
extern struct node_kit node_kit;

int node_kit_set_up(void **state);
int node_kit_tear_down(void **state);
void node_kit_restart(void); // of the node plugin, with what it wrote down

extern const struct string_pair node_kit_context[3], node_kit_other_context[3]; // of two volumes
extern const struct volume_capability node_kit_many, node_kit_single;           // writers
int node_kit_stage_with(const char *id, const char *path, const struct string_pair *pairs, struct volume_capability cap,
                        struct err *err);
int node_kit_stage(void); // volume "v1", at `staging`
int node_kit_publish_with(const char *id, const char *target, bool read_only, struct volume_capability cap,
                          struct err *err);
int node_kit_publish(const char *target);
int node_kit_unpublish(const char *id, const char *target);
int node_kit_unstage(const char *id);

// What the mounter was told since the last look, with the test's directory cut out.
void node_kit_assert_calls(const char *expected);
bool node_kit_exists(const char *path);
