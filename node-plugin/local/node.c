// SPDX-License-Identifier: Apache-2.0
// The node part of the class: who this node is, how full its volumes are, and growing what is mounted.
#include <errno.h>
#include <stdio.h>

#include "lib/base/str.h"
#include "lib/mount/filesystem.h"
#include "lib/mount/mount.h"
#include "node-plugin/local/local.h"
#include "node-plugin/path.h"

static int info(void *self, struct node_info *ret, struct err *err) {
    const struct local *local = self;
    (void)err;
    *ret = (struct node_info){.max_volumes = local->max_volumes, .topology = local->node_id};
    (void)snprintf(ret->id, sizeof ret->id, "%s", local->node_id);
    return 0;
}

struct place { // where a volume is mounted
    struct local_record record;
    struct local_pool *pool;
    struct attachment device;
    bool block;
};

static int find_place(struct local *local, const char *id, const char *path, struct place *ret, struct err *err) {
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    char *resolved cleanup_free = NULL;
    int r = local_get(local, id, LOCAL_VOLUME, &ret->record, err);
    if (r == 0)
        r = local_pool_for(local, id, &ret->pool, err);
    if (r == 0)
        r = ret->pool->allocation->find(ret->pool, id, &ret->device, err);
    if (r == 0)
        r = mount_table_load(NULL, &table, err);
    if (r == 0 && path[0] != '/')
        r = err_set(err, -ENOENT, "volume path '%.100s' is not absolute, so nothing is there", path);
    if (r == 0)
        r = path_resolve(path, table, &resolved, err);
    if (r < 0)
        return r;
    const struct mount_entry *entry = mount_table_find(table, resolved);
    if (!entry || !attachment_is_mount(&ret->device, entry))
        return err_set(err, -ENOENT, "volume '%.60s' is not mounted at %.120s", id, path);
    ret->block = str_eq(entry->fs_type, "devtmpfs");
    return 0;
}

static int stats(void *self, const struct call_context *ctx, const char *id, const char *path, struct node_usage *ret,
                 struct err *err) {
    struct local_record of_pod;
    struct place place = {0};
    struct mount_space space;
    if (local_find_inline(self, id, &of_pod))
        id = of_pod.id;
    int r = find_place(self, id, path, &place, err);
    if (r < 0)
        return r;
    if (place.block) {
        ret->total_bytes = place.record.bytes;
        ret->used_bytes = place.pool->allocation->allocated(place.pool, id);
        ret->available_bytes = ret->total_bytes - ret->used_bytes;
        return 0;
    }
    r = mount_statfs(path, ctx->deadline_ns, &space, err);
    if (r < 0)
        return r;
    ret->total_bytes = space.total_bytes;
    ret->used_bytes = space.total_bytes - space.free_bytes;
    ret->available_bytes = space.available_bytes;
    ret->total_files = space.total_files;
    ret->used_files = space.total_files - space.free_files;
    ret->available_files = space.available_files;
    return 0;
}

// kubelet repeats a call for ever, but for OUT_OF_RANGE: then the claim may be lowered to what there is room for.
static int grow_data(struct local *local, struct place *place, int64_t required_bytes, int64_t limit_bytes,
                     struct err *err) {
    int r = local_grow(local, place->pool, &place->record, required_bytes, limit_bytes, err);
    if (r != -ENOSPC)
        return r;
    err->code = -ERANGE;
    return -ERANGE;
}

// All of the growing, not the file system's part alone: the one call of this kind that Kubernetes sends to the node that
// has the volume is this one. After ControllerExpandVolume the data is large enough already.
static int expand(void *self, const struct call_context *ctx, const char *id, const char *path, int64_t required_bytes,
                  int64_t limit_bytes, int64_t *ret_bytes, struct err *err) {
    struct local *local = self;
    struct place place = {0};
    int r = find_place(local, id, path, &place, err);
    if (r == 0)
        r = grow_data(local, &place, required_bytes, limit_bytes, err);
    if (r == 0 && place.pool->allocation->resized)
        r = place.pool->allocation->resized(&place.device, err);
    struct local_record *record = &place.record;
    *ret_bytes = record->bytes;
    if (r < 0 || place.block || place.device.directory || record->fs_bytes >= record->bytes)
        return r;
    r = filesystem_grow(place.device.path, path, record->formatted, ctx->deadline_ns, err);
    record->fs_bytes = record->bytes;
    return r < 0 ? r : local_save(local, record, err);
}

const struct node_ops local_node_ops = {
    .info = info,
    .stage = local_stage,
    .unstage = local_unstage,
    .publish = local_publish,
    .unpublish = local_unpublish,
    .stats = stats,
    .expand = expand,
    .publish_inline = local_publish_inline,
};
