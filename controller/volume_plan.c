// SPDX-License-Identifier: Apache-2.0
// What CreateVolume asks for, checked in full before anything changes.
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "controller/volume_private.h"
#include "lib/base/mem.h"

const char *const volume_mutable_parameters[] = {"onDelete", "mountPermissions", "uid", "gid", NULL};

void plan_done(struct plan *plan) {
    share_location_done(&plan->location);
    plan->record = record_free(plan->record);
}

static bool is_given(const struct string_map *map, const char *name) {
    for (size_t i = 0; i < map->count; i++)
        if (str_eq_nocase(map->items[i].key, name))
            return true;
    return false;
}

static int check_flags(const struct volume_capability *capability, struct err *err) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=.:,/-+@%[]";
    static const char *const refused[] = {"remount", "bind", "rbind", "move", "addr", "clientaddr"};
    for (size_t i = 0; i < capability->mount_flag_count; i++) {
        const char *flag = capability->mount_flags[i];
        size_t len = strlen(flag);
        if (len == 0 || len > 256 || strspn(flag, allowed) != len)
            return err_set(err, -EINVAL,
                           "mount option '%.60s' is empty, too long, or holds a character that no option has", flag);
        for (size_t n = 0; n < ARRAY_SIZE(refused); n++)
            if (strcspn(flag, "=") == strlen(refused[n]) && str_starts(flag, refused[n]))
                return err_set(err, -EINVAL, "mount option '%.60s' is not for volumes; remove it", flag);
    }
    return 0;
}

int volume_check_capability(const struct volume_capability *capability, struct err *err) {
    if (capability->block)
        return err_set(err, -EINVAL,
                       "block access is not offered: shared volumes are NFS directories; use volumeMode "
                       "Filesystem, or a local volume");
    if (capability->mode == ACCESS_UNKNOWN || capability->mode > ACCESS_SINGLE_NODE_MULTI_WRITER)
        return err_set(err, -EINVAL, "access mode %d is not known", (int)capability->mode);
    if (!str_empty(capability->fs_type) && !str_eq_nocase(capability->fs_type, "nfs"))
        return err_set(err, -EINVAL, "fsType '%.40s' is not offered: leave it empty or give nfs", capability->fs_type);
    return check_flags(capability, err);
}

static int choose_bytes(const struct volume_create_request *request, int64_t *ret, struct err *err) {
    int64_t required = request->required_bytes, limit = request->limit_bytes;
    if (required < 0 || limit < 0)
        return err_set(err, -ERANGE, "a capacity is negative");
    if (limit && limit < required)
        return err_set(err, -ERANGE, "the limit of %" PRId64 " bytes is below the %" PRId64 " required", limit,
                       required);
    if (limit && limit < VOLUME_BYTES_MIN)
        return err_set(err, -ERANGE, "the limit of %" PRId64 " bytes is below the smallest volume, %" PRId64, limit,
                       VOLUME_BYTES_MIN);
    int64_t bytes = required ? required : VOLUME_BYTES_DEFAULT;
    if (bytes < VOLUME_BYTES_MIN)
        bytes = VOLUME_BYTES_MIN;
    *ret = limit && bytes > limit ? limit : bytes;
    return 0;
}

static void take_parameters(struct record *record, const struct shared_parameters *p) {
    record->on_delete = p->on_delete;
    record->mount_permissions = p->mount_permissions;
    record->mount_mode = p->mount_mode;
    record->connections = p->connections;
    record->uid = p->uid;
    record->gid = p->gid;
}

int plan_apply_mutable(struct record *record, const struct string_map *parameters, struct err *err) {
    struct shared_parameters p cleanup(shared_parameters_done) = {
        .on_delete = record->on_delete,
        .mount_permissions = record->mount_permissions,
        .mount_mode = record->mount_mode,
        .connections = record->connections,
        .uid = record->uid,
        .gid = record->gid,
    };
    for (size_t i = 0; i < parameters->count; i++) {
        const char *name = parameters->items[i].key;
        bool known = false;
        for (size_t n = 0; volume_mutable_parameters[n]; n++)
            known |= str_eq_nocase(volume_mutable_parameters[n], name);
        if (!known)
            return err_set(
                err, -EINVAL,
                "parameter '%.60s' of a volume cannot be changed; onDelete, mountPermissions, uid and gid can", name);
        int r = shared_parameters_set(&p, name, parameters->items[i].value, err);
        if (r < 0)
            return r;
    }
    take_parameters(record, &p);
    return 0;
}

// Where the volume can be used is told by its group alone; the request must have room for that (CSI specification,
// CreateVolume, "Unable to provision in `accessible_topology`": RESOURCE_EXHAUSTED).
static int check_place(const struct volume_create_request *request, const struct node_group *group, struct err *err) {
    struct str wanted cleanup_str = {0};
    if (!group->name || request->topology_count == 0)
        return 0;
    for (size_t i = 0; i < request->topology_count; i++) {
        if (str_eq(request->topologies[i], group->name))
            return 0;
        if (i < 4)
            (void)str_printf(&wanted, "%s'%s'", i ? ", " : "", request->topologies[i]);
    }
    return err_set(err, -ENOSPC,
                   "the volume is of node group '%s' (nodeGroup), but wanted on nodes of group %s%s; let the "
                   "allowedTopologies of its class name its group, or the pod ask for a node of it",
                   group->name, str_text(&wanted), request->topology_count > 4 ? ", …" : "");
}

static int set_location(struct plan *plan, struct err *err) {
    char id[CSI_ID_MAX + 1];
    int r = shared_id_format(SHARED_VOLUME, plan->record->key, &plan->location, id, err);
    if (r < 0)
        return r; // it does not fit into an id
    r = record_set_text(&plan->record->location, strchr(id, '@') + 1);
    return r < 0 ? err_set(err, r, "out of memory") : 0;
}

int plan_make(struct volumes *volumes, const struct volume_create_request *request, struct plan *ret, struct err *err) {
    struct plan plan cleanup(plan_done) = {.limit_bytes = request->limit_bytes,
                                           .required_bytes = request->required_bytes};
    struct shared_parameters p cleanup(shared_parameters_done) = {0};
    int r = 0;
    for (size_t i = 0; r == 0 && i < request->capability_count; i++)
        r = volume_check_capability(&request->capabilities[i], err);
    if (r == 0)
        r = shared_parameters_parse(&request->parameters, &p, err);
    if (r == 0)
        r = check_place(request, &p.group, err);
    if (r < 0)
        return r;
    plan.record = record_new(SHARED_VOLUME, request->name);
    if (!plan.record)
        return err_set(err, -ENOMEM, "out of memory");
    if (!is_given(&request->parameters, "onDelete"))
        p.on_delete = volumes->options.default_on_delete;
    if (!is_given(&request->parameters, "mountPermissions"))
        p.mount_permissions = volumes->options.default_permissions;
    take_parameters(plan.record, &p);
    plan.record->created_ns = clock_wall(volumes->options.clock);
    r = plan_apply_mutable(plan.record, &request->mutable_parameters, err);
    if (r == 0)
        r = choose_bytes(request, &plan.record->bytes, err);
    if (r == 0)
        r = shared_sub_dir_resolve(&p, request->name, &plan.record->sub_dir, err);
    if (r == 0)
        r = shared_parameters_location(&p, &plan.location, err);
    if (r == 0)
        r = set_location(&plan, err);
    if (r < 0)
        return r;
    plan.record->group = p.group;
    p.group = (struct node_group){0};
    *ret = plan;
    plan = (struct plan){0};
    return 0;
}

int plan_compare(const struct plan *plan, const struct record *have, struct err *err) {
    const struct record *want = plan->record;
    const char *differs = NULL;
    if (have->bytes < plan->required_bytes || (plan->limit_bytes && have->bytes > plan->limit_bytes))
        return err_set(err, -EEXIST, "volume '%.80s' exists with %" PRId64 " bytes, which do not fit the request",
                       have->name, have->bytes);
    if (!str_eq(have->sub_dir, want->sub_dir))
        differs = "subDir";
    else if (have->on_delete != want->on_delete)
        differs = "onDelete";
    else if (have->mount_permissions != want->mount_permissions)
        differs = "mountPermissions";
    else if (have->uid != want->uid || have->gid != want->gid)
        differs = "uid or gid";
    else if (have->mount_mode != want->mount_mode || have->connections != want->connections)
        differs = "mountMode or connections";
    else if (!node_group_equal(&have->group, &want->group))
        differs = "nodeGroup, cache or origin";
    else if (have->source != want->source || !str_eq(have->source_id, want->source_id))
        differs = "content source";
    if (differs)
        return err_set(err, -EEXIST,
                       "volume '%.80s' exists with another %s; choose another name or the same parameters", have->name,
                       differs);
    return 0;
}
