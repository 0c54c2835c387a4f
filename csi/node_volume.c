// SPDX-License-Identifier: Apache-2.0
// The Node service: volumes on this machine.
#include <errno.h>

#include "csi/messages.h"
#include "lib/base/str.h"

int csi_node_stage_volume(const struct csi_call *call, const Csi__V1__NodeStageVolumeRequest *request,
                          Csi__V1__NodeStageVolumeResponse *response, struct err *err) {
    (void)response;
    const struct volume_class *class = call->class;
    struct node_stage_request stage = {.volume_id = request->volume_id, .staging_path = request->staging_target_path};
    int r = check_path("staging_target_path", stage.staging_path, err);
    if (r == 0)
        r = capability_read(request->volume_capability, "volume_capability", &stage.capability, err);
    if (r == 0)
        r = map_read(call, request->volume_context, request->n_volume_context, &stage.context, err);
    return r < 0 ? r : class->node->stage(class->node_self, &call->context, &stage, err);
}

int csi_node_unstage_volume(const struct csi_call *call, const Csi__V1__NodeUnstageVolumeRequest *request,
                            Csi__V1__NodeUnstageVolumeResponse *response, struct err *err) {
    (void)response;
    const struct volume_class *class = call->class;
    int r = check_path("staging_target_path", request->staging_target_path, err);
    return r < 0 ? r
                 : class->node->unstage(class->node_self, &call->context, request->volume_id,
                                        request->staging_target_path, err);
}

// What kubelet says of a volume that stands in the pod itself; it does so where CSIDriver.spec.podInfoOnMount is true.
static bool is_inline(const struct node_publish_request *request) {
    return str_empty(request->staging_path) &&
           str_eq(string_map_get(&request->context, "csi.storage.k8s.io/ephemeral"), "true");
}

static int publish_inline(const struct csi_call *call, const struct node_publish_request *request, struct err *err) {
    const struct volume_class *class = call->class;
    if (!class->node->publish_inline)
        return err_set(err, -EINVAL, "%s has no inline volumes; use a PersistentVolumeClaim or an 'ephemeral' volume",
                       class->driver_name);
    return class->node->publish_inline(class->node_self, &call->context, request, err);
}

static int check_staging(const char *path, struct err *err) {
    // CSI specification, NodePublishVolume: FAILED_PRECONDITION where the plugin stages and the path is missing.
    if (str_empty(path))
        return err_set(err, -EBUSY, "field 'staging_target_path' is missing; stage the volume first");
    return check_path("staging_target_path", path, err);
}

int csi_node_publish_volume(const struct csi_call *call, const Csi__V1__NodePublishVolumeRequest *request,
                            Csi__V1__NodePublishVolumeResponse *response, struct err *err) {
    (void)response;
    const struct volume_class *class = call->class;
    struct node_publish_request publish = {
        .volume_id = request->volume_id,
        .staging_path = request->staging_target_path,
        .target_path = request->target_path,
        .read_only = request->readonly != 0,
    };
    int r = check_path("target_path", publish.target_path, err);
    if (r == 0)
        r = capability_read(request->volume_capability, "volume_capability", &publish.capability, err);
    if (r == 0)
        r = map_read(call, request->volume_context, request->n_volume_context, &publish.context, err);
    if (r == 0 && is_inline(&publish))
        return publish_inline(call, &publish, err);
    if (r == 0)
        r = check_staging(publish.staging_path, err);
    return r < 0 ? r : class->node->publish(class->node_self, &call->context, &publish, err);
}

int csi_node_unpublish_volume(const struct csi_call *call, const Csi__V1__NodeUnpublishVolumeRequest *request,
                              Csi__V1__NodeUnpublishVolumeResponse *response, struct err *err) {
    (void)response;
    const struct volume_class *class = call->class;
    int r = check_path("target_path", request->target_path, err);
    return r < 0 ? r
                 : class->node->unpublish(class->node_self, &call->context, request->volume_id, request->target_path,
                                          err);
}

static int add_usage(const struct csi_call *call, const Csi__V1__VolumeUsage *usage, struct message_list *list,
                     struct err *err) {
    Csi__V1__VolumeUsage *copy = message_new(call, &csi__v1__volume_usage__descriptor, err);
    if (!copy)
        return -ENOMEM;
    *copy = *usage;
    return list_add(call, list, copy, err);
}

int csi_node_get_volume_stats(const struct csi_call *call, const Csi__V1__NodeGetVolumeStatsRequest *request,
                              Csi__V1__NodeGetVolumeStatsResponse *response, struct err *err) {
    const struct volume_class *class = call->class;
    struct node_usage usage = {0};
    int r = class->node->stats(class->node_self, &call->context, request->volume_id, request->volume_path, &usage, err);
    if (r < 0)
        return r;
    Csi__V1__VolumeUsage bytes = CSI__V1__VOLUME_USAGE__INIT, files = CSI__V1__VOLUME_USAGE__INIT;
    bytes.unit = CSI__V1__VOLUME_USAGE__UNIT__BYTES;
    bytes.total = usage.total_bytes;
    bytes.used = usage.used_bytes;
    bytes.available = usage.available_bytes;
    files.unit = CSI__V1__VOLUME_USAGE__UNIT__INODES;
    files.total = usage.total_files;
    files.used = usage.used_files;
    files.available = usage.available_files;
    struct message_list list = {0};
    r = add_usage(call, &bytes, &list, err);
    if (r == 0)
        r = add_usage(call, &files, &list, err);
    if (r == 0)
        r = condition_write(call, usage.abnormal, usage.condition, &response->volume_condition, err);
    response->usage = (Csi__V1__VolumeUsage **)list.items;
    response->n_usage = list.count;
    return r;
}

int csi_node_expand_volume(const struct csi_call *call, const Csi__V1__NodeExpandVolumeRequest *request,
                           Csi__V1__NodeExpandVolumeResponse *response, struct err *err) {
    const struct volume_class *class = call->class;
    struct byte_range range = {0};
    struct volume_capability capability = {0};
    int r = check_range(request->capacity_range, &range, err);
    if (r == 0 && request->volume_capability)
        r = capability_read(request->volume_capability, "volume_capability", &capability, err);
    return r < 0 ? r
                 : class->node->expand(class->node_self, &call->context, request->volume_id, request->volume_path,
                                       range.required, range.limit, &response->capacity_bytes, err);
}
