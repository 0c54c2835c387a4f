// SPDX-License-Identifier: Apache-2.0
// The rows of commands.c, each defined in the file of its name.
#pragma once

#include "cli/command.h"

extern const struct command command_volume_create, command_volume_list, command_volume_get, command_volume_delete,
    command_volume_stage, command_volume_publish, command_volume_unpublish, command_volume_unstage,
    command_volume_stats, command_volume_expand, command_volume_modify, command_volume_snapshot;
extern const struct command command_snapshot_create, command_snapshot_list, command_snapshot_get,
    command_snapshot_delete;
extern const struct command command_csi;
