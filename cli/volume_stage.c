// SPDX-License-Identifier: Apache-2.0
#include "cli/node_call.h"
#include "cli/rows.h"

static int run(struct cli *cli, struct err *err) {
    static const struct node_call row = {
        .method = "NodeStageVolume", .staging = true, .mounts = true, .done = "is staged at"};
    return node_call(cli, &row, err);
}

const struct command command_volume_stage = {
    .group = "volume",
    .name = "stage",
    .arguments = "ID",
    .min = 1,
    .max = 1,
    .summary = "mount a volume on this node, once for all its users",
    .flags = (const char *const[]){"staging", "access", "mount-option", "context", NULL},
    .run = run,
};
