// SPDX-License-Identifier: Apache-2.0
// The Controller service: what it can do, and whether a volume can be used in a certain way.
#include <errno.h>

#include "csi/messages.h"

typedef Csi__V1__ControllerServiceCapability__RPC__Type rpc_type;
#define CAN(name) CSI__V1__CONTROLLER_SERVICE_CAPABILITY__RPC__TYPE__##name

static const rpc_type of_volumes[] = {
    CAN(CREATE_DELETE_VOLUME),
    CAN(PUBLISH_UNPUBLISH_VOLUME),
    CAN(PUBLISH_READONLY),
    CAN(LIST_VOLUMES),
    CAN(LIST_VOLUMES_PUBLISHED_NODES),
    CAN(GET_CAPACITY),
    CAN(EXPAND_VOLUME),
    CAN(GET_VOLUME),
    CAN(VOLUME_CONDITION),
    CAN(SINGLE_NODE_MULTI_WRITER),
    CAN(MODIFY_VOLUME),
};
static const rpc_type of_snapshots[] = {
    CAN(CREATE_DELETE_SNAPSHOT),
    CAN(LIST_SNAPSHOTS),
    CAN(GET_SNAPSHOT),
    CAN(CLONE_VOLUME),
};

static int add_all(const struct csi_call *call, const rpc_type *types, size_t count, struct message_list *list,
                   struct err *err) {
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        Csi__V1__ControllerServiceCapability *capability =
            message_new(call, &csi__v1__controller_service_capability__descriptor, err);
        Csi__V1__ControllerServiceCapability__RPC *rpc =
            message_new(call, &csi__v1__controller_service_capability__rpc__descriptor, err);
        if (!capability || !rpc)
            return -ENOMEM;
        rpc->type = types[i];
        capability->rpc = rpc;
        capability->type_case = CSI__V1__CONTROLLER_SERVICE_CAPABILITY__TYPE_RPC;
        r = list_add(call, list, capability, err);
    }
    return r;
}

int csi_controller_get_capabilities(const struct csi_call *call,
                                    const Csi__V1__ControllerGetCapabilitiesRequest *request,
                                    Csi__V1__ControllerGetCapabilitiesResponse *response, struct err *err) {
    (void)request;
    struct message_list list = {0};
    int r = call->class->volumes ? add_all(call, of_volumes, ARRAY_SIZE(of_volumes), &list, err) : 0;
    if (r == 0 && call->class->snapshots)
        r = add_all(call, of_snapshots, ARRAY_SIZE(of_snapshots), &list, err);
    response->capabilities = (Csi__V1__ControllerServiceCapability **)list.items;
    response->n_capabilities = list.count;
    return r;
}

// The reply that repeats what was asked: everything of it holds.
static int confirm(const struct csi_call *call, const Csi__V1__ValidateVolumeCapabilitiesRequest *request,
                   const struct string_map *context, const struct string_map *parameters,
                   const struct string_map *changes, Csi__V1__ValidateVolumeCapabilitiesResponse *response,
                   struct err *err) {
    Csi__V1__ValidateVolumeCapabilitiesResponse__Confirmed *confirmed =
        message_new(call, &csi__v1__validate_volume_capabilities_response__confirmed__descriptor, err);
    if (!confirmed)
        return -ENOMEM;
    confirmed->volume_capabilities = request->volume_capabilities;
    confirmed->n_volume_capabilities = request->n_volume_capabilities;
    int r =
        map_write(call, &csi__v1__validate_volume_capabilities_response__confirmed__volume_context_entry__descriptor,
                  context->items, context->count, &confirmed->volume_context, &confirmed->n_volume_context, err);
    if (r == 0)
        r = map_write(call, &csi__v1__validate_volume_capabilities_response__confirmed__parameters_entry__descriptor,
                      parameters->items, parameters->count, &confirmed->parameters, &confirmed->n_parameters, err);
    if (r == 0)
        r = map_write(
            call, &csi__v1__validate_volume_capabilities_response__confirmed__mutable_parameters_entry__descriptor,
            changes->items, changes->count, &confirmed->mutable_parameters, &confirmed->n_mutable_parameters, err);
    response->confirmed = confirmed;
    return r;
}

static int refuse(const struct csi_call *call, const struct err *why,
                  Csi__V1__ValidateVolumeCapabilitiesResponse *response, struct err *err) {
    return text_write(call, err_text(why), &response->message, err);
}

int csi_validate_volume_capabilities(const struct csi_call *call,
                                     const Csi__V1__ValidateVolumeCapabilitiesRequest *request,
                                     Csi__V1__ValidateVolumeCapabilitiesResponse *response, struct err *err) {
    const struct volume_class *class = call->class;
    const struct volume_capability *capabilities = NULL;
    struct string_map context = {0}, parameters = {0}, changes = {0};
    size_t count = request->n_volume_capabilities;
    int r = capabilities_read(call, request->volume_capabilities, count, &capabilities, err);
    if (r == 0)
        r = map_read(call, request->volume_context, request->n_volume_context, &context, err);
    if (r == 0)
        r = map_read(call, request->parameters, request->n_parameters, &parameters, err);
    if (r == 0)
        r = map_read(call, request->mutable_parameters, request->n_mutable_parameters, &changes, err);
    if (r < 0)
        return r;
    struct volume_info info cleanup(volume_info_done) = {0};
    r = volume_find(call, request->volume_id, &info, err);
    if (r < 0)
        return r;
    struct err why = ERR_NONE;
    r = capabilities_check(call, capabilities, count, &parameters, &why);
    if (r == 0)
        r = check_mutable(class, &changes, &why);
    if (r < 0)
        return refuse(call, &why, response, err);
    return confirm(call, request, &context, &parameters, &changes, response, err);
}
