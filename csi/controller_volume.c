// SPDX-License-Identifier: Apache-2.0
// The Controller service: making, removing, changing and publishing volumes.
#include <errno.h>

#include "csi/messages.h"
#include "lib/base/str.h"

static int read_source(const Csi__V1__VolumeContentSource *message, struct volume_create_request *ret,
                       struct err *err) {
    if (!message)
        return 0;
    switch (message->type_case) {
    case CSI__V1__VOLUME_CONTENT_SOURCE__TYPE_SNAPSHOT:
        ret->source = CONTENT_SNAPSHOT;
        ret->source_id = message->snapshot->snapshot_id;
        break;
    case CSI__V1__VOLUME_CONTENT_SOURCE__TYPE_VOLUME:
        ret->source = CONTENT_VOLUME;
        ret->source_id = message->volume->volume_id;
        break;
    default:
        return err_set(err, -EINVAL, "field 'volume_content_source' says neither 'snapshot' nor 'volume'");
    }
    if (str_empty(ret->source_id))
        return err_set(err, -EINVAL, "field 'volume_content_source' holds an empty id");
    return 0;
}

static int read_create(const struct csi_call *call, const Csi__V1__CreateVolumeRequest *request,
                       struct volume_create_request *ret, struct err *err) {
    struct byte_range range = {0};
    ret->name = request->name;
    ret->capability_count = request->n_volume_capabilities;
    int r = check_name(request->name, err);
    if (r == 0)
        r = capabilities_read(call, request->volume_capabilities, request->n_volume_capabilities, &ret->capabilities,
                              err);
    if (r == 0)
        r = check_range(request->capacity_range, &range, err);
    if (r == 0)
        r = read_source(request->volume_content_source, ret, err);
    if (r == 0)
        r = topologies_read(call, request->accessibility_requirements, ret, err);
    if (r == 0)
        r = map_read(call, request->parameters, request->n_parameters, &ret->parameters, err);
    if (r == 0)
        r = map_read(call, request->mutable_parameters, request->n_mutable_parameters, &ret->mutable_parameters, err);
    if (r == 0)
        r = check_mutable(call->class, &ret->mutable_parameters, err);
    if (r == 0)
        r = capabilities_check(call, ret->capabilities, ret->capability_count, &ret->parameters, err);
    ret->required_bytes = range.required;
    ret->limit_bytes = range.limit;
    return r;
}

int csi_create_volume(const struct csi_call *call, const Csi__V1__CreateVolumeRequest *request,
                      Csi__V1__CreateVolumeResponse *response, struct err *err) {
    const struct volume_class *class = call->class;
    struct volume_create_request create = {0};
    int r = read_create(call, request, &create, err);
    if (r < 0)
        return r;
    struct volume_info info cleanup(volume_info_done) = {0};
    r = class->volumes->create(class->volumes_self, &call->context, &create, &info, err);
    return r < 0 ? r : volume_write(call, &info, &response->volume, err);
}

int csi_delete_volume(const struct csi_call *call, const Csi__V1__DeleteVolumeRequest *request,
                      Csi__V1__DeleteVolumeResponse *response, struct err *err) {
    (void)response;
    const struct volume_class *class = call->class;
    return class->volumes->destroy(class->volumes_self, &call->context, request->volume_id, err);
}

int csi_controller_publish_volume(const struct csi_call *call, const Csi__V1__ControllerPublishVolumeRequest *request,
                                  Csi__V1__ControllerPublishVolumeResponse *response, struct err *err) {
    (void)response;
    const struct volume_class *class = call->class;
    struct publish_request publish = {
        .volume_id = request->volume_id, .node_id = request->node_id, .read_only = request->readonly != 0};
    int r = capability_read(request->volume_capability, "volume_capability", &publish.capability, err);
    if (r == 0)
        r = capabilities_check(call, &publish.capability, 1, &(struct string_map){0}, err);
    return r < 0 ? r : class->volumes->publish(class->volumes_self, &call->context, &publish, err);
}

int csi_controller_unpublish_volume(const struct csi_call *call,
                                    const Csi__V1__ControllerUnpublishVolumeRequest *request,
                                    Csi__V1__ControllerUnpublishVolumeResponse *response, struct err *err) {
    (void)response;
    const struct volume_class *class = call->class;
    const char *node = str_empty(request->node_id) ? NULL : request->node_id;
    return class->volumes->unpublish(class->volumes_self, &call->context, request->volume_id, node, err);
}

int csi_controller_expand_volume(const struct csi_call *call, const Csi__V1__ControllerExpandVolumeRequest *request,
                                 Csi__V1__ControllerExpandVolumeResponse *response, struct err *err) {
    const struct volume_class *class = call->class;
    struct byte_range range = {0};
    struct volume_capability capability = {0};
    int r = check_range(request->capacity_range, &range, err);
    if (r == 0 && range.required == 0 && range.limit == 0)
        r = err_set(err, -EINVAL, "field 'capacity_range' is empty; give required_bytes");
    if (r == 0 && request->volume_capability)
        r = capability_read(request->volume_capability, "volume_capability", &capability, err);
    if (r == 0 && request->volume_capability)
        r = capabilities_check(call, &capability, 1, &(struct string_map){0}, err);
    if (r < 0)
        return r;
    response->node_expansion_required = class->node_expands;
    return class->volumes->expand(class->volumes_self, &call->context, request->volume_id, range.required, range.limit,
                                  &response->capacity_bytes, err);
}

int csi_controller_modify_volume(const struct csi_call *call, const Csi__V1__ControllerModifyVolumeRequest *request,
                                 Csi__V1__ControllerModifyVolumeResponse *response, struct err *err) {
    (void)response;
    const struct volume_class *class = call->class;
    struct string_map parameters = {0};
    int r = map_read(call, request->mutable_parameters, request->n_mutable_parameters, &parameters, err);
    if (r == 0)
        r = check_mutable(class, &parameters, err);
    return r < 0 ? r
                 : class->volumes->modify(class->volumes_self, &call->context, request->volume_id, &parameters, err);
}
