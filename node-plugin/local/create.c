// SPDX-License-Identifier: Apache-2.0
// CreateVolume: room is reserved, the image made or copied, the record written. Each step can be done again.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "node-plugin/local/local.h"

#define XFS_BYTES_MIN (INT64_C(300) << 20) // mkfs.xfs(8) makes none smaller

static int refuse_place(const struct local *local, const struct volume_create_request *request, struct err *err) {
    if (request->topology_count == 0)
        return 0;
    for (size_t i = 0; i < request->topology_count; i++)
        if (str_eq(request->topologies[i], local->node_id))
            return 0;
    return err_set(err, -ENOSPC, "the volume is wanted on node '%.60s', this is node '%.60s'", request->topologies[0],
                   local->node_id);
}

static const char *type_of(const struct volume_create_request *request, const struct local_pool *pool) {
    const char *type = NULL;
    if (pool->allocation->directory)
        return pool->fs_type;
    for (size_t i = 0; i < request->capability_count; i++)
        if (!request->capabilities[i].block)
            type = str_empty(request->capabilities[i].fs_type) ? "ext4" : request->capabilities[i].fs_type;
    return type ? type : "";
}

static int choose_bytes(const struct volume_create_request *request, const struct local_pool *pool, const char *type,
                        int64_t source_bytes, int64_t *ret, struct err *err) {
    int64_t unit = pool->allocation->whole_disks ? 1 : LOCAL_BYTES_UNIT;
    int64_t bytes = request->required_bytes;
    if (bytes == 0)
        bytes = source_bytes > 0 ? source_bytes : LOCAL_BYTES_DEFAULT;
    if (request->required_bytes == 0 && request->limit_bytes > 0 && request->limit_bytes < bytes)
        bytes = request->limit_bytes;
    if (bytes > INT64_MAX - LOCAL_BYTES_UNIT)
        return err_set(err, -ENOSPC, "%" PRId64 " bytes are more than any disk has", bytes);
    if (bytes < source_bytes)
        bytes = source_bytes;
    if (!pool->allocation->directory && str_eq(type, "xfs") && bytes < XFS_BYTES_MIN)
        bytes = XFS_BYTES_MIN;
    bytes = (bytes + unit - 1) / unit * unit;
    if (request->limit_bytes > 0 && bytes > request->limit_bytes)
        return err_set(err, -ERANGE, "the volume would have %" PRId64 " bytes, above the limit of %" PRId64, bytes,
                       request->limit_bytes);
    *ret = bytes;
    return 0;
}

// Another volume of this name stands in the way, unless it is what is asked for.
static int judge_existing(const struct local_record *record, const struct volume_create_request *request,
                          const struct local_pool *pool, bool full, bool of_pod, struct err *err) {
    const char *source = request->source_id ? request->source_id : "";
    const char *other = NULL;
    if ((record->inline_target[0] != '\0') != of_pod)
        other = "user";
    else if (record->bytes < request->required_bytes ||
             (request->limit_bytes > 0 && record->bytes > request->limit_bytes))
        other = "size";
    else if (record->source != request->source || !str_eq(record->source_id, source))
        other = "source";
    else if (!str_eq(local_pool_of(record->id), pool->name))
        other = "pool";
    else if (record->full != full)
        other = "provisioning";
    return other ? err_set(err, -EEXIST, "volume '%.60s' exists with another %s", record->name, other) : 0;
}

bool local_find_named(struct local *local, const char *name, struct local_record *ret) {
    char id[CSI_ID_MAX + 1];
    for (size_t i = 0; i < local->pool_count; i++)
        if (local_id(local, LOCAL_VOLUME, name, local->pools[i], id, NULL) == 0 && local_find(local, id, ret))
            return true;
    return false;
}

static int find_source(struct local *local, const struct volume_create_request *request, const struct local_pool *pool,
                       struct local_record *ret, struct err *err) {
    if (request->source == CONTENT_EMPTY)
        return 0;
    enum local_kind kind = request->source == CONTENT_VOLUME ? LOCAL_VOLUME : LOCAL_SNAPSHOT;
    int r = local_get(local, request->source_id, kind, ret, err);
    if (r == 0 && !str_eq(local_pool_of(ret->id), pool->name))
        r = err_set(err, -EINVAL,
                    "the source '%.60s' is in another pool than '%s'; data is copied within one pool only", ret->id,
                    pool->name);
    return r;
}

static int make_data(struct local *local, const struct call_context *ctx, const struct local_pool *pool,
                     const struct local_record *source, int64_t limit_bytes, struct local_record *record,
                     struct err *err) {
    const struct data_request request = {.id = record->id,
                                         .bytes = record->bytes,
                                         .limit_bytes = limit_bytes,
                                         .full = record->full,
                                         .deadline_ns = ctx->deadline_ns};
    int r =
        source->id[0] ? local_copy(local, ctx, source, &request, err) : pool->allocation->create(pool, &request, err);
    if (r == 0 && pool->allocation->size)
        record->bytes = pool->allocation->size(pool, record->id);
    return r;
}

static int make(struct local *local, const struct call_context *ctx, const struct local_pool *pool,
                const struct local_record *source, int64_t limit_bytes, struct local_record *record, struct err *err) {
    int r = local_id(local, LOCAL_VOLUME, record->name, pool, record->id, err);
    int64_t reserved = record->bytes;
    if (r == 0)
        r = local_reserve(local, pool, reserved, err);
    if (r < 0)
        return r;
    r = make_data(local, ctx, pool, source, limit_bytes, record, err);
    if (r == 0)
        r = local_save(local, record, err);
    local_release(local, pool, reserved);
    if (r == 0)
        log_info("local volume made", LOG_S("volume", record->id), LOG_S("name", record->name),
                 LOG_I("bytes", record->bytes));
    return r;
}

static int begin(const struct volume_create_request *request, const char *inline_target,
                 const struct local_parameters *parameters, const struct local_pool *pool,
                 const struct local_record *source, struct local_record *ret, struct err *err) {
    *ret = (struct local_record){.kind = LOCAL_VOLUME,
                                 .created_ns = clock_wall(&clock_system),
                                 .source = request->source,
                                 .full = parameters->provisioning == 1,
                                 .on_delete = parameters->on_delete,
                                 .fs_bytes = source->fs_bytes};
    if (LOCAL_SET(ret->name, request->name) < 0 || LOCAL_SET(ret->source_id, request->source_id) < 0 ||
        LOCAL_SET(ret->inline_target, inline_target) < 0 || LOCAL_SET(ret->fs_type, type_of(request, pool)) < 0 ||
        LOCAL_SET(ret->formatted, source->formatted) < 0)
        return err_set(err, -EINVAL, "a name in the request is too long");
    for (size_t i = 0; i < request->capability_count; i++) {
        int r = local_judge(pool, &request->capabilities[i], err);
        if (r < 0)
            return r;
    }
    if (ret->full && !pool->allocation->can_be_full)
        return err_set(err, -EINVAL, "pool '%s' of kind %s sets nothing apart beforehand; leave provisioning out",
                       pool->name, pool->allocation->name);
    ret->raw = !ret->fs_type[0] || source->raw;
    if (source->formatted[0] && ret->fs_type[0] && !str_eq(source->formatted, ret->fs_type))
        return err_set(err, -EINVAL, "the source holds %s, %s is asked for; ask for %s", source->formatted,
                       ret->fs_type, source->formatted);
    return choose_bytes(request, pool, ret->fs_type, source->bytes, &ret->bytes, err);
}

int local_make(struct local *local, const struct call_context *ctx, const struct volume_create_request *request,
               const char *inline_target, struct local_record *ret, struct err *err) {
    struct local_parameters parameters cleanup(local_parameters_done) = {0};
    struct local_pool *pool = NULL;
    struct local_record source = {0};
    int r = local_parameters_parse(&request->parameters, &parameters, err);
    if (r == 0)
        r = local_on_delete_parse(&request->mutable_parameters, &parameters.on_delete, err);
    if (r == 0)
        r = refuse_place(local, request, err);
    if (r == 0)
        r = local_parameters_pool(local, &parameters, &pool, err);
    if (r < 0)
        return r;
    if (local_find_named(local, request->name, ret))
        return judge_existing(ret, request, pool, parameters.provisioning == 1, inline_target != NULL, err);
    r = find_source(local, request, pool, &source, err);
    if (r == 0)
        r = begin(request, inline_target, &parameters, pool, &source, ret, err);
    return r < 0 ? r : make(local, ctx, pool, &source, request->limit_bytes, ret, err);
}

int local_create(void *self, const struct call_context *ctx, const struct volume_create_request *request,
                 struct volume_info *ret, struct err *err) {
    struct local_record record = {0};
    int r = local_make(self, ctx, request, NULL, &record, err);
    return r == 0 && local_fill(self, &record, ret) < 0 ? err_set(err, -ENOMEM, "out of memory") : r;
}
