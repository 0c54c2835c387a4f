// SPDX-License-Identifier: Apache-2.0
#include "cli/node_call.h"
#include "cli/rows.h"

static int run(struct cli *cli, struct err *err) {
    static const struct node_call row = {
        .method = "NodeUnstageVolume", .staging = true, .done = "is no longer staged at"};
    return node_call(cli, &row, err);
}

const struct command command_volume_unstage = {
    .group = "volume",
    .name = "unstage",
    .arguments = "ID",
    .min = 1,
    .max = 1,
    .summary = "unmount a volume from this node",
    .flags = (const char *const[]){"staging", NULL},
    .run = run,
};
