// SPDX-License-Identifier: Apache-2.0
// StorageClass parameters of the class, and which ways to use a volume it serves.
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/mount/filesystem.h"
#include "node-plugin/local/local.h"

static const char *const allocations[] = {"auto", "image", "quota", "device", NULL};
static const char *const provisionings[] = {"thin", "full", NULL};
static const char *const on_deletes[] = {"delete", "retain", NULL};

#define AT(member) offsetof(struct local_parameters, member)
static const struct field rows[] = {
    {"pool", FIELD_TEXT, AT(pool), NULL, "NAME", "pool of the node (default: the only one)",
     .max = LOCAL_POOL_SIZE - 1},
    {"allocation", FIELD_CHOICE, AT(allocation), "auto", "KIND",
     "how space is set apart: an image on a loop device, a directory with a quota, or a whole disk (default: as the "
     "pool does)",
     .choices = allocations},
    {"provisioning", FIELD_CHOICE, AT(provisioning), "thin", "WHEN",
     "thin: blocks are taken when they are written; full: all at once", .choices = provisionings},
    {"onDelete", FIELD_CHOICE, AT(on_delete), "delete", "WHAT",
     "what becomes of the data: delete, or retain in the pool's .stowage/retained", .choices = on_deletes},
};
static const struct fields fields = {.rows = rows, .count = ARRAY_SIZE(rows), .kind = "parameter"};

int local_parameters_parse(const struct string_map *parameters, struct local_parameters *ret, struct err *err) {
    *ret = (struct local_parameters){0};
    int r = fields_defaults(&fields, ret, err);
    for (size_t i = 0; r == 0 && i < parameters->count; i++)
        if (!str_starts(parameters->items[i].key, "csi.storage.k8s.io/")) // what the orchestrator adds
            r = fields_set(&fields, ret, parameters->items[i].key, parameters->items[i].value, err);
    if (r < 0)
        local_parameters_done(ret);
    return r;
}

void local_parameters_done(struct local_parameters *parameters) {
    fields_done(&fields, parameters);
}

int local_on_delete_parse(const struct string_map *parameters, int *ret, struct err *err) {
    for (size_t i = 0; i < parameters->count; i++) {
        struct local_parameters one cleanup(local_parameters_done) = {0};
        int r = fields_set(&fields, &one, parameters->items[i].key, parameters->items[i].value, err);
        if (r < 0)
            return r;
        *ret = one.on_delete; // csi/ lets no other parameter through
    }
    return 0;
}

int local_parameters_pool(struct local *local, const struct local_parameters *parameters, struct local_pool **ret,
                          struct err *err) {
    size_t found = 0;
    const char *kind = parameters->allocation > 0 ? allocations[parameters->allocation] : NULL;
    for (size_t i = 0; i < local->pool_count; i++) {
        struct local_pool *pool = local->pools[i];
        if ((!str_empty(parameters->pool) && !str_eq(pool->name, parameters->pool)) ||
            (kind && !str_eq(pool->allocation->name, kind)))
            continue;
        *ret = pool;
        found++;
    }
    if (found == 1)
        return local_pool_ready(*ret, err);
    if (found > 1)
        return err_set(err, -EINVAL, "node '%.60s' has %zu such pools; name one by the parameter 'pool'",
                       local->node_id, found);
    const struct local_pool *named = local_pool_named(local, parameters->pool ? parameters->pool : "");
    if (named)
        return err_set(err, -EINVAL, "pool '%s' is of kind %s; allocation '%s' is asked for", named->name,
                       named->allocation->name, kind);
    return err_set(err, -EINVAL, "node '%.60s' has no pool '%.60s'%s%s; see its --pool", local->node_id,
                   parameters->pool ? parameters->pool : "", kind ? " of kind " : "", kind ? kind : "");
}

static int judge_directory(const struct local_pool *pool, const struct volume_capability *capability, struct err *err) {
    if (capability->block)
        return err_set(err, -EINVAL, "volumes of pool '%s' are directories; for volumeMode Block use kind 'image'",
                       pool->name);
    if (!str_empty(capability->fs_type) && pool->fs_type && !str_eq(capability->fs_type, pool->fs_type))
        return err_set(err, -EINVAL, "volumes of pool '%s' are directories on %s, %.40s is asked for; leave it out",
                       pool->name, pool->fs_type, capability->fs_type);
    if (capability->mount_flag_count > 0)
        return err_set(err, -EINVAL,
                       "volumes of pool '%s' are directories and take no mount options ('%.40s'); mount the pool with "
                       "them, or use kind 'image'",
                       pool->name, capability->mount_flags[0]);
    return 0;
}

int local_judge(const struct local_pool *pool, const struct volume_capability *capability, struct err *err) {
    if (!access_mode_is_single_node(capability->mode))
        return err_set(
            err, -EINVAL,
            "a local volume is on one node and cannot be used by several; use ReadWriteOnce, or a shared volume");
    if (!capability->block && !str_empty(capability->fs_type) && !filesystem_is_known(capability->fs_type))
        return err_set(err, -EINVAL, "file system '%.40s' is not served; use ext4 or xfs", capability->fs_type);
    return pool && pool->allocation->directory ? judge_directory(pool, capability, err) : 0;
}

int local_supports(void *self, const struct volume_capability *capability, const struct string_map *parameters,
                   struct err *err) {
    struct local_parameters parsed cleanup(local_parameters_done) = {0};
    struct local_pool *pool = NULL;
    int r = local_parameters_parse(parameters, &parsed, err);
    if (r == 0 && local_parameters_pool(self, &parsed, &pool, NULL) < 0)
        pool = NULL; // which one it will be is told when the volume is made
    return r < 0 ? r : local_judge(pool, capability, err);
}
