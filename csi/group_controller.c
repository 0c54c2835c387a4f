// SPDX-License-Identifier: Apache-2.0
// The GroupController service: snapshots of several volumes at one moment.
#include <errno.h>

#include "csi/messages.h"
#include "lib/base/str.h"

int csi_group_controller_get_capabilities(const struct csi_call *call,
                                          const Csi__V1__GroupControllerGetCapabilitiesRequest *request,
                                          Csi__V1__GroupControllerGetCapabilitiesResponse *response, struct err *err) {
    (void)request;
    struct message_list list = {0};
    Csi__V1__GroupControllerServiceCapability *capability =
        message_new(call, &csi__v1__group_controller_service_capability__descriptor, err);
    Csi__V1__GroupControllerServiceCapability__RPC *rpc =
        message_new(call, &csi__v1__group_controller_service_capability__rpc__descriptor, err);
    if (!capability || !rpc)
        return -ENOMEM;
    rpc->type = CSI__V1__GROUP_CONTROLLER_SERVICE_CAPABILITY__RPC__TYPE__CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT;
    capability->rpc = rpc;
    capability->type_case = CSI__V1__GROUP_CONTROLLER_SERVICE_CAPABILITY__TYPE_RPC;
    int r = list_add(call, &list, capability, err);
    response->capabilities = (Csi__V1__GroupControllerServiceCapability **)list.items;
    response->n_capabilities = list.count;
    return r;
}

struct members { // of a group, as they are emitted
    const struct csi_call *call;
    struct err *err;
    struct message_list list;
    bool ready;
    int failed;
};

static int emit_member(const struct snapshot_info *info, void *arg) {
    struct members *members = arg;
    Csi__V1__Snapshot *snapshot = NULL;
    int r = snapshot_write(members->call, info, &snapshot, members->err);
    if (r == 0)
        r = list_add(members->call, &members->list, snapshot, members->err);
    members->ready = members->ready && info->ready;
    members->failed = r;
    return r;
}

static int group_write(const struct members *members, const char *id, int64_t created_ns,
                       Csi__V1__VolumeGroupSnapshot **ret, struct err *err) {
    if (members->failed)
        return members->failed;
    Csi__V1__VolumeGroupSnapshot *group = message_new(members->call, &csi__v1__volume_group_snapshot__descriptor, err);
    if (!group)
        return -ENOMEM;
    *ret = group;
    group->snapshots = (Csi__V1__Snapshot **)members->list.items;
    group->n_snapshots = members->list.count;
    group->ready_to_use = members->ready;
    int r = text_write(members->call, id, &group->group_snapshot_id, err);
    return r < 0 ? r : time_write(members->call, created_ns, &group->creation_time, err);
}

int csi_create_volume_group_snapshot(const struct csi_call *call,
                                     const Csi__V1__CreateVolumeGroupSnapshotRequest *request,
                                     Csi__V1__CreateVolumeGroupSnapshotResponse *response, struct err *err) {
    const struct volume_class *class = call->class;
    struct string_map parameters = {0};
    int r = check_name(request->name, err);
    if (r == 0)
        r = map_read(call, request->parameters, request->n_parameters, &parameters, err);
    for (size_t i = 0; i < request->n_source_volume_ids && r == 0; i++)
        if (str_empty(request->source_volume_ids[i]))
            r = err_set(err, -EINVAL, "field 'source_volume_ids' holds an empty id at place %zu", i);
    if (r < 0)
        return r;
    struct members members = {.call = call, .err = err, .ready = true};
    cleanup_free char *id = NULL;
    int64_t created_ns = 0;
    r = class->snapshots->group_create(class->snapshots_self, &call->context, request->name,
                                       (const char *const *)request->source_volume_ids, request->n_source_volume_ids,
                                       &parameters, &id, &created_ns, emit_member, &members, err);
    return r < 0 ? r : group_write(&members, id, created_ns, &response->group_snapshot, err);
}

static int get_members(const struct csi_call *call, const char *id, struct members *members, int64_t *ret_created_ns,
                       struct err *err) {
    const struct volume_class *class = call->class;
    *members = (struct members){.call = call, .err = err, .ready = true};
    int r = class->snapshots->group_get(class->snapshots_self, &call->context, id, ret_created_ns, emit_member, members,
                                        err);
    return r == -EINVAL ? -ENOENT : r; // an id that cannot be ours names nothing
}

// Ids that the caller believes to be the members must be just these.
static int check_members(const struct members *members, char *const *ids, size_t count, const char *group,
                         struct err *err) {
    bool same = count == 0 || count == members->list.count;
    for (size_t i = 0; i < count && same; i++) {
        bool found = false;
        for (size_t k = 0; k < members->list.count && !found; k++)
            found = str_eq(ids[i], ((const Csi__V1__Snapshot *)members->list.items[k])->snapshot_id);
        same = found;
    }
    if (!same)
        return err_set(err, -EINVAL, "snapshot_ids are not the members of group snapshot '%s'", group);
    return 0;
}

int csi_delete_volume_group_snapshot(const struct csi_call *call,
                                     const Csi__V1__DeleteVolumeGroupSnapshotRequest *request,
                                     Csi__V1__DeleteVolumeGroupSnapshotResponse *response, struct err *err) {
    (void)response;
    const struct volume_class *class = call->class;
    const char *id = request->group_snapshot_id;
    struct members members = {0};
    int64_t created_ns = 0;
    int r = request->n_snapshot_ids > 0 ? get_members(call, id, &members, &created_ns, err) : -ENOENT;
    if (r == 0)
        r = check_members(&members, request->snapshot_ids, request->n_snapshot_ids, id, err);
    if (r < 0 && r != -ENOENT)
        return r;
    return class->snapshots->group_destroy(class->snapshots_self, &call->context, id, err);
}

int csi_get_volume_group_snapshot(const struct csi_call *call, const Csi__V1__GetVolumeGroupSnapshotRequest *request,
                                  Csi__V1__GetVolumeGroupSnapshotResponse *response, struct err *err) {
    const char *id = request->group_snapshot_id;
    struct members members = {0};
    int64_t created_ns = 0;
    int r = get_members(call, id, &members, &created_ns, err);
    if (r == 0)
        r = check_members(&members, request->snapshot_ids, request->n_snapshot_ids, id, err);
    return r < 0 ? r : group_write(&members, id, created_ns, &response->group_snapshot, err);
}
