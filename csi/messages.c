// SPDX-License-Identifier: Apache-2.0
#include "csi/messages.h"

#include <errno.h>
#include <string.h>

#include "lib/base/clock.h"

static int no_memory(struct err *err) {
    return err_set(err, -ENOMEM, "no memory for the call; try again");
}

// ---- maps ----

// Key and value of a map entry by its descriptor: fields 1 and 2, both text.
static char **entry_text(const ProtobufCMessage *entry, unsigned number) {
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(entry->descriptor, number);
    return (char **)((uintptr_t)entry + field->offset);
}

static void put_pair(struct string_pair *pairs, size_t *count, const char *key, const char *value) {
    for (size_t i = 0; i < *count; i++)
        if (strcmp(pairs[i].key, key) == 0) {
            pairs[i].value = value;
            return;
        }
    pairs[(*count)++] = (struct string_pair){key, value};
}

#define MAP_MAX 256 // keys; the CSI specification allows 4 KiB for a whole map

int map_read(const struct csi_call *call, const void *entries, size_t count, struct string_map *ret, struct err *err) {
    const ProtobufCMessage *const *list = entries;
    *ret = (struct string_map){0};
    if (count > MAP_MAX)
        return err_set(err, -EINVAL, "a map of the request has %zu keys; at most %d are taken", count, MAP_MAX);
    struct string_pair *pairs = arena_array(call->arena, count, sizeof *pairs);
    if (!pairs)
        return no_memory(err);
    for (size_t i = 0; i < count; i++)
        put_pair(pairs, &ret->count, *entry_text(list[i], 1), *entry_text(list[i], 2));
    ret->items = pairs;
    return 0;
}

int map_write(const struct csi_call *call, const ProtobufCMessageDescriptor *entry, const struct string_pair *pairs,
              size_t count, void *ret_entries, size_t *ret_count, struct err *err) {
    ProtobufCMessage **entries = arena_array(call->arena, count, sizeof(void *));
    if (!entries)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        entries[i] = message_new(call, entry, err);
        if (!entries[i])
            return -ENOMEM;
        int r = text_write(call, pairs[i].key, entry_text(entries[i], 1), err);
        if (r == 0)
            r = text_write(call, pairs[i].value, entry_text(entries[i], 2), err);
        if (r < 0)
            return r;
    }
    memcpy(ret_entries, &entries, sizeof(void *));
    *ret_count = count;
    return 0;
}

// ---- parts ----

void *message_new(const struct csi_call *call, const ProtobufCMessageDescriptor *type, struct err *err) {
    void *message = arena_alloc(call->arena, type->sizeof_message);
    if (message)
        protobuf_c_message_init(type, message);
    else
        (void)no_memory(err);
    return message;
}

int text_write(const struct csi_call *call, const char *text, char **ret, struct err *err) {
    if (!text || !*text)
        return 0;
    *ret = arena_strdup(call->arena, text);
    return *ret ? 0 : no_memory(err);
}

int time_write(const struct csi_call *call, int64_t wall_ns, Google__Protobuf__Timestamp **ret, struct err *err) {
    *ret = message_new(call, &google__protobuf__timestamp__descriptor, err);
    if (!*ret)
        return -ENOMEM;
    (*ret)->seconds = wall_ns / NS_PER_S;
    (*ret)->nanos = (int32_t)(wall_ns % NS_PER_S);
    return 0;
}

int list_add(const struct csi_call *call, struct message_list *list, void *message, struct err *err) {
    if (list->count == list->space) {
        size_t space = list->space ? 2 * list->space : 16;
        void **grown = arena_array(call->arena, space, sizeof(void *));
        if (!grown)
            return no_memory(err);
        if (list->count > 0)
            memcpy(grown, list->items, list->count * sizeof(void *));
        list->items = grown;
        list->space = space;
    }
    list->items[list->count++] = message;
    return 0;
}

// ---- volumes and snapshots ----

static int source_write(const struct csi_call *call, const struct volume_info *info, Csi__V1__VolumeContentSource **ret,
                        struct err *err) {
    if (info->source == CONTENT_EMPTY)
        return 0;
    Csi__V1__VolumeContentSource *source = message_new(call, &csi__v1__volume_content_source__descriptor, err);
    if (!source)
        return -ENOMEM;
    *ret = source;
    if (info->source == CONTENT_SNAPSHOT) {
        source->snapshot = message_new(call, &csi__v1__volume_content_source__snapshot_source__descriptor, err);
        source->type_case = CSI__V1__VOLUME_CONTENT_SOURCE__TYPE_SNAPSHOT;
        return source->snapshot ? text_write(call, info->source_id, &source->snapshot->snapshot_id, err) : -ENOMEM;
    }
    source->volume = message_new(call, &csi__v1__volume_content_source__volume_source__descriptor, err);
    source->type_case = CSI__V1__VOLUME_CONTENT_SOURCE__TYPE_VOLUME;
    return source->volume ? text_write(call, info->source_id, &source->volume->volume_id, err) : -ENOMEM;
}

static int volume_topology_write(const struct csi_call *call, const char *value, Csi__V1__Volume *volume,
                                 struct err *err) {
    volume->accessible_topology = arena_array(call->arena, 1, sizeof *volume->accessible_topology);
    if (!volume->accessible_topology)
        return no_memory(err);
    volume->n_accessible_topology = 1;
    return topology_write(call, value, &volume->accessible_topology[0], err);
}

int volume_write(const struct csi_call *call, const struct volume_info *info, Csi__V1__Volume **ret, struct err *err) {
    Csi__V1__Volume *volume = message_new(call, &csi__v1__volume__descriptor, err);
    if (!volume)
        return -ENOMEM;
    volume->capacity_bytes = info->capacity_bytes;
    int r = text_write(call, info->id, &volume->volume_id, err);
    if (r == 0)
        r = map_write(call, &csi__v1__volume__volume_context_entry__descriptor, info->context, info->context_count,
                      &volume->volume_context, &volume->n_volume_context, err);
    if (r == 0)
        r = source_write(call, info, &volume->content_source, err);
    *ret = volume;
    return r < 0 || !info->topology ? r : volume_topology_write(call, info->topology, volume, err);
}

int snapshot_write(const struct csi_call *call, const struct snapshot_info *info, Csi__V1__Snapshot **ret,
                   struct err *err) {
    Csi__V1__Snapshot *snapshot = message_new(call, &csi__v1__snapshot__descriptor, err);
    if (!snapshot)
        return -ENOMEM;
    snapshot->size_bytes = info->size_bytes;
    snapshot->ready_to_use = info->ready;
    int r = text_write(call, info->id, &snapshot->snapshot_id, err);
    if (r == 0)
        r = text_write(call, info->source_volume_id, &snapshot->source_volume_id, err);
    if (r == 0)
        r = text_write(call, info->group_id, &snapshot->group_snapshot_id, err);
    if (r == 0)
        r = time_write(call, info->created_ns, &snapshot->creation_time, err);
    *ret = snapshot;
    return r;
}

int nodes_write(const struct csi_call *call, const struct volume_info *info, char ***ret, size_t *ret_count,
                struct err *err) {
    char **nodes = arena_array(call->arena, info->published_count, sizeof *nodes);
    if (!nodes)
        return no_memory(err);
    for (size_t i = 0; i < info->published_count; i++) {
        nodes[i] = arena_strdup(call->arena, info->published_nodes[i]);
        if (!nodes[i])
            return no_memory(err);
    }
    *ret = nodes;
    *ret_count = info->published_count;
    return 0;
}

int condition_write(const struct csi_call *call, bool abnormal, const char *text, Csi__V1__VolumeCondition **ret,
                    struct err *err) {
    *ret = message_new(call, &csi__v1__volume_condition__descriptor, err);
    if (!*ret)
        return -ENOMEM;
    (*ret)->abnormal = abnormal;
    return text_write(call, text && *text ? text : "ok", &(*ret)->message, err);
}
