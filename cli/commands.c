// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>

#include "cli/rows.h"

const struct command *const commands[] = {
    &command_volume_create,
    &command_volume_list,
    &command_volume_get,
    &command_volume_delete,
    &command_volume_stage,
    &command_volume_publish,
    &command_volume_unpublish,
    &command_volume_unstage,
    &command_volume_stats,
    &command_volume_expand,
    &command_volume_modify,
    &command_volume_snapshot,
    &command_snapshot_create,
    &command_snapshot_list,
    &command_snapshot_get,
    &command_snapshot_delete,
    &command_csi,
    NULL,
};
