// SPDX-License-Identifier: Apache-2.0
#include <limits.h>

#include "cli/objects.h"
#include "cli/rows.h"

static int run(struct cli *cli, struct err *err) {
    return objects_delete(cli, "DeleteSnapshot", "snapshot_id", err);
}

const struct command command_snapshot_delete = {
    .group = "snapshot",
    .name = "delete",
    .arguments = "ID...",
    .min = 1,
    .max = INT_MAX,
    .summary = "delete snapshots; one that is gone already is fine",
    .run = run,
};
