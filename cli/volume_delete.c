// SPDX-License-Identifier: Apache-2.0
#include <limits.h>

#include "cli/objects.h"
#include "cli/rows.h"

static int run(struct cli *cli, struct err *err) {
    return objects_delete(cli, "DeleteVolume", "volume_id", err);
}

const struct command command_volume_delete = {
    .group = "volume",
    .name = "delete",
    .arguments = "ID...",
    .min = 1,
    .max = INT_MAX,
    .summary = "delete volumes; one that is gone already is fine",
    .run = run,
};
