// SPDX-License-Identifier: Apache-2.0
// NodeGetVolumeStats and NodeExpandVolume.
#include <errno.h>
#include <stdio.h>

#include "lib/base/str.h"
#include "node-plugin/node.h"
#include "node-plugin/path.h"

// Is the volume mounted at this path? -ENOENT covers everything that is not (also a path that cannot be one).
static int find_at(struct node *node, const char *id, const char *path, struct staged **ret, char **ret_path,
                   struct err *err) {
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    char *resolved cleanup_free = NULL;
    struct staged *staged = node_find(node, id);
    if (!staged)
        return err_set(err, -ENOENT, "volume '%.128s' is not staged on this node", id);
    int r = node_table(node, &table, err);
    if (r < 0)
        return r;
    r = path_resolve(path, table, &resolved, err);
    if (r == -ENOMEM)
        return r;
    bool known = r == 0 && (str_eq(staged->staging_path, resolved) || staged_find_target(staged, resolved));
    if (!known || !mount_table_find(table, resolved))
        return err_set(err, -ENOENT, "volume is not mounted at '%.120s'; stage and publish it there", path);
    *ret = staged;
    *ret_path = take_ptr(resolved);
    return 0;
}

// The last known numbers with the reason why they are not newer.
static void tell_abnormal(const struct staged *staged, const char *reason, struct node_usage *ret) {
    if (staged->has_usage)
        *ret = staged->usage;
    ret->abnormal = true;
    (void)snprintf(ret->condition, sizeof ret->condition, "%s", reason);
}

int node_stats(void *self, const struct call_context *ctx, const char *id, const char *path, struct node_usage *ret,
               struct err *err) {
    struct node *node = self;
    struct staged *staged = NULL;
    char *resolved cleanup_free = NULL;
    *ret = (struct node_usage){0};
    int r = find_at(node, id, path, &staged, &resolved, err);
    if (r < 0)
        return r;
    if (atomic_load(&staged->daemon_dead)) {
        tell_abnormal(staged, "the FUSE daemon of this volume died; restart the pods that use it", ret);
        return 0;
    }
    struct mount_space space;
    struct err why = ERR_NONE;
    const struct mounter *mounter = &node->options->mounter;
    if (mounter->ops->space(mounter->self, resolved, node_deadline(ctx), &space, &why) < 0) {
        tell_abnormal(staged, err_text(&why), ret);
        return 0;
    }
    *ret = (struct node_usage){
        .total_bytes = space.total_bytes,
        .used_bytes = space.total_bytes - space.free_bytes,
        .available_bytes = space.available_bytes,
        .total_files = space.total_files,
        .used_files = space.total_files - space.free_files,
        .available_files = space.available_files,
    };
    staged->usage = *ret;
    staged->has_usage = true;
    return 0;
}

// The server's file system is what limits a shared volume, so the node has nothing to grow.
int node_expand(void *self, const struct call_context *ctx, const char *id, const char *path, int64_t required_bytes,
                int64_t limit_bytes, int64_t *ret_bytes, struct err *err) {
    (void)ctx;
    struct staged *staged = NULL;
    char *resolved cleanup_free = NULL;
    int r = find_at(self, id, path, &staged, &resolved, err);
    if (r == 0)
        *ret_bytes = required_bytes > 0 ? required_bytes : limit_bytes;
    return r;
}
