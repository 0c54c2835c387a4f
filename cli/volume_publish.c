// SPDX-License-Identifier: Apache-2.0
#include "cli/node_call.h"
#include "cli/rows.h"

static int run(struct cli *cli, struct err *err) {
    static const struct node_call row = {.method = "NodePublishVolume",
                                         .staging = true,
                                         .target = true,
                                         .mounts = true,
                                         .read_only = true,
                                         .done = "is published at"};
    return node_call(cli, &row, err);
}

const struct command command_volume_publish = {
    .group = "volume",
    .name = "publish",
    .arguments = "ID",
    .min = 1,
    .max = 1,
    .summary = "show a staged volume at a path",
    .flags = (const char *const[]){"staging", "target", "read-only", "access", "mount-option", "context", NULL},
    .run = run,
};
