// SPDX-License-Identifier: Apache-2.0
// The Identity service.
#include <errno.h>

#include "csi/messages.h"

int csi_get_plugin_info(const struct csi_call *call, const Csi__V1__GetPluginInfoRequest *request,
                        Csi__V1__GetPluginInfoResponse *response, struct err *err) {
    (void)request;
    int r = text_write(call, call->class->driver_name, &response->name, err);
    return r < 0 ? r : text_write(call, STOWAGE_VERSION, &response->vendor_version, err);
}

static int add_service(const struct csi_call *call, Csi__V1__PluginCapability__Service__Type type,
                       struct message_list *list, struct err *err) {
    Csi__V1__PluginCapability *capability = message_new(call, &csi__v1__plugin_capability__descriptor, err);
    Csi__V1__PluginCapability__Service *service =
        message_new(call, &csi__v1__plugin_capability__service__descriptor, err);
    if (!capability || !service)
        return -ENOMEM;
    service->type = type;
    capability->service = service;
    capability->type_case = CSI__V1__PLUGIN_CAPABILITY__TYPE_SERVICE;
    return list_add(call, list, capability, err);
}

static int add_expansion(const struct csi_call *call, struct message_list *list, struct err *err) {
    Csi__V1__PluginCapability *capability = message_new(call, &csi__v1__plugin_capability__descriptor, err);
    Csi__V1__PluginCapability__VolumeExpansion *expansion =
        message_new(call, &csi__v1__plugin_capability__volume_expansion__descriptor, err);
    if (!capability || !expansion)
        return -ENOMEM;
    expansion->type = CSI__V1__PLUGIN_CAPABILITY__VOLUME_EXPANSION__TYPE__ONLINE;
    capability->volume_expansion = expansion;
    capability->type_case = CSI__V1__PLUGIN_CAPABILITY__TYPE_VOLUME_EXPANSION;
    return list_add(call, list, capability, err);
}

// The capabilities are those of the plugin as a whole: a process with the node part alone belongs to a plugin whose
// controller runs elsewhere, and answers the same.
int csi_get_plugin_capabilities(const struct csi_call *call, const Csi__V1__GetPluginCapabilitiesRequest *request,
                                Csi__V1__GetPluginCapabilitiesResponse *response, struct err *err) {
    (void)request;
    const struct volume_class *class = call->class;
    struct message_list list = {0};
    int r = add_service(call, CSI__V1__PLUGIN_CAPABILITY__SERVICE__TYPE__CONTROLLER_SERVICE, &list, err);
    bool groups = !class->volumes || (class->snapshots && class->snapshots->group_create);
    if (r == 0 && groups)
        r = add_service(call, CSI__V1__PLUGIN_CAPABILITY__SERVICE__TYPE__GROUP_CONTROLLER_SERVICE, &list, err);
    if (r == 0 && class->topology_key)
        r = add_service(call, CSI__V1__PLUGIN_CAPABILITY__SERVICE__TYPE__VOLUME_ACCESSIBILITY_CONSTRAINTS, &list, err);
    if (r == 0)
        r = add_expansion(call, &list, err);
    response->capabilities = (Csi__V1__PluginCapability **)list.items;
    response->n_capabilities = list.count;
    return r;
}

int csi_probe(const struct csi_call *call, const Csi__V1__ProbeRequest *request, Csi__V1__ProbeResponse *response,
              struct err *err) {
    (void)request;
    const struct volume_class *class = call->class;
    // "If the plugin is unhealthy": FAILED_PRECONDITION, whatever the reason (CSI specification, Probe).
    if (class->probe && class->probe(class->probe_self, err) < 0)
        return -EBUSY;
    response->ready = message_new(call, &google__protobuf__bool_value__descriptor, err);
    if (!response->ready)
        return -ENOMEM;
    response->ready->value = true;
    return 0;
}
