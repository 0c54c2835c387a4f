// SPDX-License-Identifier: Apache-2.0
// The rows of commands.c, each defined in the file of its name.
#pragma once

#include "cli/command.h"

extern const struct command command_volume_create, command_volume_list, command_volume_get, command_volume_delete,
    command_volume_stage, command_volume_publish, command_volume_unpublish, command_volume_unstage,
    command_volume_stats, command_volume_expand, command_volume_modify, command_volume_snapshot;
extern const struct command command_snapshot_create, command_snapshot_list, command_snapshot_get,
    command_snapshot_delete;
extern const struct command command_kv_namespaces, command_kv_create, command_kv_delete, command_kv_ls, command_kv_get,
    command_kv_put, command_kv_rm, command_kv_watch;
extern const struct command command_queue_ls, command_queue_create, command_queue_delete, command_queue_send,
    command_queue_receive, command_queue_ack, command_queue_nack, command_queue_extend, command_queue_peek,
    command_queue_length, command_queue_purge, command_queue_redrive;
extern const struct command command_object_ls, command_object_put, command_object_get, command_object_rm,
    command_object_url;
extern const struct command command_fs_ls, command_fs_put, command_fs_get, command_fs_rm, command_fs_mkdir,
    command_fs_du, command_fs_sync;
extern const struct command command_store_backup;
extern const struct command command_cache_warm, command_cache_status, command_cache_evict, command_cache_pin,
    command_cache_unpin;
extern const struct command command_csi;
