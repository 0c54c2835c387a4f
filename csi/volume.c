// SPDX-License-Identifier: Apache-2.0
#include "csi/volume.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"

const char *string_map_get(const struct string_map *map, const char *key) {
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->items[i].key, key) == 0)
            return map->items[i].value;
    return NULL;
}

bool access_mode_is_single_node(enum access_mode mode) {
    return mode == ACCESS_SINGLE_NODE_WRITER || mode == ACCESS_SINGLE_NODE_READER_ONLY ||
           mode == ACCESS_SINGLE_NODE_SINGLE_WRITER || mode == ACCESS_SINGLE_NODE_MULTI_WRITER;
}

bool access_mode_is_read_only(enum access_mode mode) {
    return mode == ACCESS_SINGLE_NODE_READER_ONLY || mode == ACCESS_MULTI_NODE_READER_ONLY;
}

static void pair_done(const struct string_pair *pair) {
    free((void *)(uintptr_t)pair->key);
    free((void *)(uintptr_t)pair->value);
}

void volume_info_done(struct volume_info *info) {
    for (size_t i = 0; i < info->context_count; i++)
        pair_done(&info->context[i]);
    for (size_t i = 0; i < info->published_count; i++)
        free(info->published_nodes[i]);
    free(info->context);
    free(info->published_nodes);
    free(info->id);
    free(info->source_id);
    free(info->topology);
    free(info->condition);
    *info = (struct volume_info){0};
}

int volume_info_add_context(struct volume_info *info, const char *key, const char *value) {
    struct string_pair *grown = mem_realloc(info->context, info->context_count + 1, sizeof *grown);
    if (!grown)
        return -ENOMEM;
    info->context = grown;
    struct string_pair pair = {.key = mem_strdup(key), .value = mem_strdup(value)};
    if (!pair.key || !pair.value) {
        pair_done(&pair);
        return -ENOMEM;
    }
    info->context[info->context_count++] = pair;
    return 0;
}

void snapshot_info_done(struct snapshot_info *info) {
    free(info->id);
    free(info->source_volume_id);
    free(info->group_id);
    *info = (struct snapshot_info){0};
}
