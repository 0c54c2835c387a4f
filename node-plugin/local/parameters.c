// SPDX-License-Identifier: Apache-2.0
// The pool that a StorageClass means, and which ways to use a volume it serves.
#include <errno.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/mount/filesystem.h"
#include "node-plugin/local/local.h"

int local_parameters_pool(struct local *local, const struct local_parameters *parameters, struct local_pool **ret,
                          struct err *err) {
    size_t found = 0;
    const char *kind = local_allocation_name(parameters);
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
    if (!str_empty(parameters->pool))
        return err_set(err, -EINVAL, "node '%.60s' has no pool '%.60s'; see its --pool", local->node_id,
                       parameters->pool);
    return err_set(err, -EINVAL, "node '%.60s' has no pool%s%s; see its --pool", local->node_id,
                   kind ? " of kind " : "", kind ? kind : "");
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
