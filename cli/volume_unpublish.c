// SPDX-License-Identifier: Apache-2.0
#include "cli/node_call.h"
#include "cli/rows.h"

static int run(struct cli *cli, struct err *err) {
    static const struct node_call row = {.method = "NodeUnpublishVolume", .target = true, .done = "is no longer at"};
    return node_call(cli, &row, err);
}

const struct command command_volume_unpublish = {
    .group = "volume",
    .name = "unpublish",
    .arguments = "ID",
    .min = 1,
    .max = 1,
    .summary = "take a volume away from a path",
    .flags = (const char *const[]){"target", NULL},
    .run = run,
};
