// SPDX-License-Identifier: Apache-2.0
// The Controller service: looking at volumes and at the space for them.
#include <errno.h>
#include <inttypes.h>

#include "csi/messages.h"
#include "csi/page.h"

int volume_find(const struct csi_call *call, const char *id, struct volume_info *ret, struct err *err) {
    const struct volume_class *class = call->class;
    int r = class->volumes->get(class->volumes_self, &call->context, id, ret, err);
    return r == -EINVAL ? -ENOENT : r; // an id that cannot be ours names nothing
}

static int write_entry(const struct csi_call *call, const struct volume_info *info,
                       Csi__V1__ListVolumesResponse__Entry **ret, struct err *err) {
    Csi__V1__ListVolumesResponse__Entry *entry =
        message_new(call, &csi__v1__list_volumes_response__entry__descriptor, err);
    Csi__V1__ListVolumesResponse__VolumeStatus *status =
        message_new(call, &csi__v1__list_volumes_response__volume_status__descriptor, err);
    if (!entry || !status)
        return -ENOMEM;
    entry->status = status;
    *ret = entry;
    int r = volume_write(call, info, &entry->volume, err);
    if (r == 0)
        r = nodes_write(call, info, &status->published_node_ids, &status->n_published_node_ids, err);
    if (r == 0)
        r = condition_write(call, info->abnormal, info->condition, &status->volume_condition, err);
    return r;
}

static int emit_volume(const struct volume_info *info, void *arg) {
    struct page *page = arg;
    if (page_is_full(page))
        return PAGE_STOP;
    Csi__V1__ListVolumesResponse__Entry *entry = NULL;
    int r = write_entry(page->call, info, &entry, page->err);
    return page_add(page, r, &entry->base, r < 0 ? NULL : entry->volume->volume_id);
}

int csi_list_volumes(const struct csi_call *call, const Csi__V1__ListVolumesRequest *request,
                     Csi__V1__ListVolumesResponse *response, struct err *err) {
    const struct volume_class *class = call->class;
    struct page page = {.call = call, .err = err, .space = "volumes"};
    int r = page_begin(&page, request->max_entries, request->starting_token);
    if (r == 0)
        r = class->volumes->list(class->volumes_self, &call->context, page.after, emit_volume, &page, err);
    r = page_end(&page, r, &response->next_token);
    response->entries = (Csi__V1__ListVolumesResponse__Entry **)page.list.items;
    response->n_entries = page.list.count;
    return r;
}

int csi_controller_get_volume(const struct csi_call *call, const Csi__V1__ControllerGetVolumeRequest *request,
                              Csi__V1__ControllerGetVolumeResponse *response, struct err *err) {
    struct volume_info info cleanup(volume_info_done) = {0};
    int r = volume_find(call, request->volume_id, &info, err);
    if (r < 0)
        return r;
    Csi__V1__ControllerGetVolumeResponse__VolumeStatus *status =
        message_new(call, &csi__v1__controller_get_volume_response__volume_status__descriptor, err);
    if (!status)
        return -ENOMEM;
    response->status = status;
    r = volume_write(call, &info, &response->volume, err);
    if (r == 0)
        r = nodes_write(call, &info, &status->published_node_ids, &status->n_published_node_ids, err);
    if (r == 0)
        r = condition_write(call, info.abnormal, info.condition, &status->volume_condition, err);
    return r;
}

int csi_get_capacity(const struct csi_call *call, const Csi__V1__GetCapacityRequest *request,
                     Csi__V1__GetCapacityResponse *response, struct err *err) {
    const struct volume_class *class = call->class;
    const struct volume_capability *capabilities = NULL;
    struct string_map parameters = {0};
    size_t count = request->n_volume_capabilities;
    int r = capabilities_read(call, request->volume_capabilities, count, &capabilities, err);
    if (r == 0)
        r = map_read(call, request->parameters, request->n_parameters, &parameters, err);
    if (r < 0)
        return r;
    if (capabilities_check(call, capabilities, count, &parameters, NULL) < 0)
        return 0; // for volumes that nobody can make here there is no space
    struct capacity_info info = {0};
    r = class->volumes->capacity(class->volumes_self, &call->context, &parameters,
                                 topology_read(call, request->accessible_topology), &info, err);
    if (r < 0)
        return r;
    response->available_capacity = info.available_bytes;
    if (info.maximum_volume_bytes == 0)
        return 0;
    response->maximum_volume_size = message_new(call, &google__protobuf__int64_value__descriptor, err);
    if (!response->maximum_volume_size)
        return -ENOMEM;
    response->maximum_volume_size->value = info.maximum_volume_bytes;
    return 0;
}
