// SPDX-License-Identifier: Apache-2.0
// The volumes of the class at their controller, which is this node.
#include <errno.h>
#include <inttypes.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "node-plugin/local/local.h"

int local_fill(const struct local *local, const struct local_record *record, struct volume_info *ret) {
    ret->id = mem_strdup(record->id);
    ret->capacity_bytes = record->bytes;
    ret->source = record->source;
    ret->source_id = record->source == CONTENT_EMPTY ? NULL : mem_strdup(record->source_id);
    ret->topology = mem_strdup(local->node_id);
    if (!ret->id || !ret->topology || (record->source != CONTENT_EMPTY && !ret->source_id))
        return -ENOMEM;
    if (record->published) {
        ret->published_nodes = mem_array(1, sizeof(char *));
        if (!ret->published_nodes || !(ret->published_nodes[0] = mem_strdup(local->node_id)))
            return -ENOMEM;
        ret->published_count = 1;
    }
    const struct local_pool *pool = local_pool_named(local, local_pool_of(record->id));
    int r = volume_info_add_context(ret, "pool", local_pool_of(record->id));
    return r < 0 || !pool ? r : volume_info_add_context(ret, "allocation", pool->allocation->name);
}

int local_discard(struct local *local, const struct call_context *ctx, const struct local_pool *pool, const char *id,
                  struct err *err) {
    const struct allocation *allocation = pool->allocation;
    int r = allocation->slow_removal ? allocation->remove(pool, id, ctx->deadline_ns, err) : 0;
    if (r == 0)
        r = local_forget(local, id, err);
    if (r == 0 && !allocation->slow_removal)
        r = allocation->remove(pool, id, ctx->deadline_ns, err);
    return r;
}

static int destroy(void *self, const struct call_context *ctx, const char *id, struct err *err) {
    struct local *local = self;
    struct local_record record;
    struct local_pool *pool = NULL;
    struct attachment device = {0};
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    int r = local_get(local, id, LOCAL_VOLUME, &record, err);
    if (r == -ENOENT)
        return 0;
    if (r == 0)
        r = local_pool_for(local, id, &pool, err);
    if (r == 0)
        r = pool->allocation->find(pool, id, &device, err);
    if (r == 0)
        r = mount_table_load(NULL, &table, err);
    if (r == 0)
        r = attachment_refuse_mounted(table, &device, NULL, err);
    if (r == 0 && device.attached)
        r = pool->allocation->detach(&device, err);
    if (r == 0 && record.on_delete == LOCAL_RETAIN)
        r = local_pool_retain(pool, id, err);
    if (r == 0)
        r = local_discard(local, ctx, pool, id, err);
    if (r == 0)
        log_info("local volume deleted", LOG_S("volume", id),
                 LOG_S("data", record.on_delete == LOCAL_RETAIN ? "retained" : "deleted"));
    return r;
}

static void judge(struct local *local, const struct local_record *record, struct volume_info *info) {
    struct local_pool *pool = NULL;
    struct err err = ERR_NONE;
    int r = local_pool_for(local, record->id, &pool, &err);
    if (r == 0 && !pool->allocation->exists(pool, record->id))
        r = err_set(&err, -EIO,
                    "the data of the volume is gone or cannot be read; repair the disk of its pool, or restore it");
    info->abnormal = r < 0;
    info->condition = r < 0 ? mem_strdup(err.msg) : NULL;
}

static int get(void *self, const struct call_context *ctx, const char *id, struct volume_info *ret, struct err *err) {
    struct local *local = self;
    struct local_record record;
    (void)ctx;
    int r = local_get(local, id, LOCAL_VOLUME, &record, err);
    if (r < 0)
        return r;
    judge(local, &record, ret);
    return local_fill(local, &record, ret) < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int list(void *self, const struct call_context *ctx, const char *after, volume_emit_fn emit, void *arg,
                struct err *err) {
    struct local *local = self;
    struct local_record *records cleanup_free = NULL;
    size_t count = 0;
    (void)ctx;
    int r = local_list(local, LOCAL_VOLUME, after, &records, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct volume_info info cleanup(volume_info_done) = {0};
        judge(local, &records[i], &info);
        r = local_fill(local, &records[i], &info) < 0 ? err_set(err, -ENOMEM, "out of memory") : emit(&info, arg);
    }
    return r;
}

static int capacity(void *self, const struct call_context *ctx, const struct string_map *parameters,
                    const char *topology, struct capacity_info *ret, struct err *err) {
    struct local *local = self;
    struct local_parameters parsed cleanup(local_parameters_done) = {0};
    struct local_pool *pool = NULL;
    (void)ctx;
    *ret = (struct capacity_info){0};
    if (topology && !str_eq(topology, local->node_id))
        return 0;
    int r = local_parameters_parse(parameters, &parsed, err);
    if (r == 0)
        r = local_parameters_pool(local, &parsed, &pool, err);
    if (r == -ENODEV || (r == -EINVAL && !str_empty(parsed.pool)))
        return 0; // this node has no such pool, or it is broken: volumes are made elsewhere
    if (r == 0)
        r = local_room(local, pool, &ret->available_bytes, &ret->maximum_volume_bytes, err);
    return r;
}

static int modify(void *self, const struct call_context *ctx, const char *id, const struct string_map *parameters,
                  struct err *err) {
    struct local *local = self;
    struct local_record record;
    (void)ctx;
    int r = local_get(local, id, LOCAL_VOLUME, &record, err);
    int on_delete = r == 0 ? record.on_delete : 0;
    if (r == 0)
        r = local_on_delete_parse(parameters, &on_delete, err);
    if (r < 0 || on_delete == record.on_delete)
        return r;
    record.on_delete = on_delete;
    return local_save(local, &record, err);
}

static size_t count_published(struct local *local) {
    LOCK_SCOPE(&local->lock);
    const struct strmap_slot *slot = NULL;
    size_t count = 0;
    for (size_t i = 0; (slot = strmap_next(&local->records, &i));)
        count += ((const struct local_record *)slot->value)->published;
    return count;
}

static int publish(void *self, const struct call_context *ctx, const struct publish_request *request, struct err *err) {
    struct local *local = self;
    struct local_record record;
    (void)ctx;
    int r = local_get(local, request->volume_id, LOCAL_VOLUME, &record, err);
    if (r < 0)
        return r;
    if (!str_eq(request->node_id, local->node_id))
        return err_set(err, -ENOENT, "node '%.60s' does not have this volume; it is on node '%.60s'", request->node_id,
                       local->node_id);
    bool read_only = request->read_only || access_mode_is_read_only(request->capability.mode);
    if (record.published)
        return record.published_read_only == read_only
                   ? 0
                   : err_set(err, -EEXIST, "volume '%.60s' is published %s already; unpublish it first", record.id,
                             record.published_read_only ? "read-only" : "read-write");
    if (local->max_volumes > 0 && count_published(local) >= (size_t)local->max_volumes)
        return err_set(err, -EMFILE, "node '%.60s' uses %" PRId64 " volumes, which is its limit; see --max-volumes",
                       local->node_id, local->max_volumes);
    record.published = true;
    record.published_read_only = read_only;
    return local_save(local, &record, err);
}

static int unpublish(void *self, const struct call_context *ctx, const char *id, const char *node_id, struct err *err) {
    struct local *local = self;
    struct local_record record;
    (void)ctx;
    bool found = local_find(local, id, &record) && record.kind == LOCAL_VOLUME;
    if (!found || !record.published || (node_id && !str_eq(node_id, local->node_id)))
        return 0;
    record.published = false;
    return local_save(local, &record, err);
}

const struct volume_ops local_volume_ops = {
    .create = local_create,
    .destroy = destroy,
    .get = get,
    .list = list,
    .capacity = capacity,
    .expand = local_expand,
    .modify = modify,
    .publish = publish,
    .unpublish = unpublish,
    .supports = local_supports,
};

static const char *const mutable_parameters[] = {"onDelete", NULL};

struct volume_class local_class(struct local *local) {
    return (struct volume_class){
        .driver_name = LOCAL_DRIVER_NAME,
        .topology_key = LOCAL_TOPOLOGY_KEY,
        .node_expands = true,
        .volumes = &local_volume_ops,
        .volumes_self = local,
        .snapshots = &local_snapshot_ops,
        .snapshots_self = local,
        .node = &local_node_ops,
        .node_self = local,
        .mutable_parameters = mutable_parameters,
    };
}
