// SPDX-License-Identifier: Apache-2.0
// Snapshots of local volumes and groups of them: images of their own, in the pool of their volume.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "node-plugin/local/local.h"

static int fill(const struct local_record *record, struct snapshot_info *ret) {
    ret->id = mem_strdup(record->id);
    ret->source_volume_id = mem_strdup(record->source_id);
    ret->group_id = record->group_id[0] ? mem_strdup(record->group_id) : NULL;
    ret->size_bytes = record->bytes;
    ret->created_ns = record->created_ns;
    ret->ready = true;
    return ret->id && ret->source_volume_id && (ret->group_id || !record->group_id[0]) ? 0 : -ENOMEM;
}

static int emit_record(const struct local_record *record, snapshot_emit_fn emit, void *arg) {
    struct snapshot_info info cleanup(snapshot_info_done) = {0};
    return fill(record, &info) < 0 ? -ENOMEM : emit(&info, arg);
}

static int refuse_parameters(const struct string_map *parameters, struct err *err) {
    for (size_t i = 0; i < parameters->count; i++)
        if (!str_starts(parameters->items[i].key, "csi.storage.k8s.io/"))
            return err_set(err, -EINVAL, "snapshots of local volumes have no parameter '%.80s'; remove it",
                           parameters->items[i].key);
    return 0;
}

// A snapshot copy may need all of the volume's blocks where they cannot be shared.
static int make_data(struct local *local, const struct call_context *ctx, const struct local_record *volume,
                     const char *id, struct err *err) {
    struct local_pool *pool = NULL;
    int r = local_pool_for(local, volume->id, &pool, err);
    if (r < 0)
        return r;
    // Shared blocks must be held twice once the volume changes them: what it has now is what is promised here.
    int64_t bytes = pool->allocation->allocated(pool, volume->id);
    r = local_reserve(local, pool, bytes, err);
    if (r < 0)
        return r;
    r = local_copy(local, ctx, volume, &(struct data_request){.id = id, .bytes = volume->bytes}, err);
    local_release(local, pool, bytes);
    return r;
}

// The snapshot of this name, made unless it exists.
static int make(struct local *local, const struct call_context *ctx, const char *name, const char *volume_id,
                const char *group_id, struct local_record *ret, struct err *err) {
    struct local_record volume;
    struct local_record record = {.kind = LOCAL_SNAPSHOT, .source = CONTENT_VOLUME};
    int r = local_get(local, volume_id, LOCAL_VOLUME, &volume, err);
    for (size_t i = 0; i < local->pool_count; i++) // the name is one of the node, whatever pool the other volume is in
        if (local_id(local, LOCAL_SNAPSHOT, name, local->pools[i], record.id, NULL) == 0 &&
            local_find(local, record.id, ret))
            return str_eq(ret->source_id, volume_id)
                       ? 0
                       : err_set(err, -EEXIST, "snapshot '%.60s' is of volume '%.60s' already", name, ret->source_id);
    struct local_pool *pool = NULL;
    if (r == 0)
        r = local_pool_for(local, volume_id, &pool, err);
    if (r == 0)
        r = local_id(local, LOCAL_SNAPSHOT, name, pool, record.id, err);
    if (r == 0 && (LOCAL_SET(record.name, name) < 0 || LOCAL_SET(record.source_id, volume_id) < 0 ||
                   LOCAL_SET(record.group_id, group_id) < 0 || LOCAL_SET(record.formatted, volume.formatted) < 0))
        r = err_set(err, -EINVAL, "a name in the request is too long");
    if (r == 0)
        r = make_data(local, ctx, &volume, record.id, err);
    if (r < 0)
        return r;
    record.bytes = volume.bytes;
    record.raw = volume.raw;
    record.fs_bytes = volume.fs_bytes;
    record.created_ns = clock_wall(&clock_system);
    r = local_save(local, &record, err);
    if (r == 0)
        log_info("snapshot of a local volume made", LOG_S("snapshot", record.id), LOG_S("volume", volume_id));
    *ret = record;
    return r;
}

static int create(void *self, const struct call_context *ctx, const char *name, const char *source_volume_id,
                  const struct string_map *parameters, struct snapshot_info *ret, struct err *err) {
    struct local_record record;
    int r = refuse_parameters(parameters, err);
    if (r == 0)
        r = make(self, ctx, name, source_volume_id, NULL, &record, err);
    if (r == 0 && fill(&record, ret) < 0)
        r = err_set(err, -ENOMEM, "out of memory");
    return r;
}

static int remove_snapshot(struct local *local, const struct call_context *ctx, const char *id, struct err *err) {
    struct local_pool *pool = NULL;
    int r = local_pool_for(local, id, &pool, err);
    return r < 0 ? r : local_discard(local, ctx, pool, id, err);
}

static int destroy(void *self, const struct call_context *ctx, const char *id, struct err *err) {
    struct local *local = self;
    struct local_record record;
    if (!local_find(local, id, &record) || record.kind != LOCAL_SNAPSHOT)
        return 0;
    if (record.group_id[0] && local_find(local, record.group_id, NULL))
        return err_set(err, -EINVAL, "snapshot '%.50s' is of group '%.50s'; delete the group", id, record.group_id);
    return remove_snapshot(local, ctx, id, err);
}

static int get(void *self, const struct call_context *ctx, const char *id, struct snapshot_info *ret, struct err *err) {
    struct local_record record;
    (void)ctx;
    int r = local_get(self, id, LOCAL_SNAPSHOT, &record, err);
    if (r == 0 && fill(&record, ret) < 0)
        r = err_set(err, -ENOMEM, "out of memory");
    return r;
}

static int each(struct local *local, const char *after, const char *source_volume_id, const char *group_id,
                snapshot_emit_fn emit, void *arg, struct err *err) {
    struct local_record *records cleanup_free = NULL;
    size_t count = 0;
    int r = local_list(local, LOCAL_SNAPSHOT, after, &records, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        bool wanted = (!source_volume_id || str_eq(records[i].source_id, source_volume_id)) &&
                      (!group_id || str_eq(records[i].group_id, group_id));
        r = wanted ? emit_record(&records[i], emit, arg) : 0;
    }
    return r;
}

static int list(void *self, const struct call_context *ctx, const char *after, const char *source_volume_id,
                snapshot_emit_fn emit, void *arg, struct err *err) {
    (void)ctx;
    return each(self, after, source_volume_id, NULL, emit, arg, err);
}

// ---- groups ----
// Members first, the group's record last: a group that can be found is whole. Members of one that was never finished are
// taken up by the next call of its name.

static int check_same(struct local *local, const char *group_id, const char *const *volume_ids, size_t count,
                      struct err *err) {
    struct local_record *records cleanup_free = NULL;
    size_t total = 0, members = 0;
    int r = local_list(local, LOCAL_SNAPSHOT, NULL, &records, &total, err);
    for (size_t i = 0; r == 0 && i < total; i++) {
        if (!str_eq(records[i].group_id, group_id))
            continue;
        bool asked = false;
        members++;
        for (size_t k = 0; k < count && !asked; k++)
            asked = str_eq(records[i].source_id, volume_ids[k]);
        if (!asked)
            r = err_set(err, -EEXIST, "the group snapshot exists with volume '%.60s'", records[i].source_id);
    }
    return r == 0 && members != count ? err_set(err, -EEXIST, "the group snapshot exists with other volumes") : r;
}

static int make_members(struct local *local, const struct call_context *ctx, const struct local_record *group,
                        const char *const *volume_ids, size_t count, struct err *err) {
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) // before anything is made
        r = local_get(local, volume_ids[i], LOCAL_VOLUME, &(struct local_record){0}, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct local_record member;
        char name[HASH_ID_LEN + 1];
        char *text cleanup_free = mem_printf("%s/%s", group->id, volume_ids[i]);
        if (!text)
            return err_set(err, -ENOMEM, "out of memory");
        hash_id(text, strlen(text), name);
        r = make(local, ctx, name, volume_ids[i], group->id, &member, err);
    }
    return r;
}

static int group_create(void *self, const struct call_context *ctx, const char *name, const char *const *volume_ids,
                        size_t count, const struct string_map *parameters, char **ret_id, int64_t *ret_created_ns,
                        snapshot_emit_fn emit, void *arg, struct err *err) {
    struct local *local = self;
    struct local_record group = {.kind = LOCAL_GROUP, .created_ns = clock_wall(&clock_system)}, known;
    int r = refuse_parameters(parameters, err);
    if (r == 0 && local->pool_count == 0)
        r = err_set(err, -ENODEV, "node '%.60s' has no pool", local->node_id);
    if (r == 0)
        r = local_id(local, LOCAL_GROUP, name, local->pools[0], group.id, err);
    if (r == 0 && LOCAL_SET(group.name, name) < 0)
        r = err_set(err, -EINVAL, "the name is too long");
    if (r < 0)
        return r;
    if (local_find(local, group.id, &known)) {
        group = known;
        r = check_same(local, group.id, volume_ids, count, err);
    } else {
        r = make_members(local, ctx, &group, volume_ids, count, err);
        if (r == 0)
            r = local_save(local, &group, err);
    }
    if (r < 0)
        return r;
    *ret_created_ns = group.created_ns;
    *ret_id = mem_strdup(group.id);
    return *ret_id ? each(local, NULL, NULL, group.id, emit, arg, err) : err_set(err, -ENOMEM, "out of memory");
}

static int group_get(void *self, const struct call_context *ctx, const char *id, int64_t *ret_created_ns,
                     snapshot_emit_fn emit, void *arg, struct err *err) {
    struct local_record group;
    (void)ctx;
    int r = local_get(self, id, LOCAL_GROUP, &group, err);
    if (r < 0)
        return r;
    *ret_created_ns = group.created_ns;
    return each(self, NULL, NULL, id, emit, arg, err);
}

static int group_destroy(void *self, const struct call_context *ctx, const char *id, struct err *err) {
    struct local *local = self;
    struct local_record group, *records cleanup_free = NULL;
    size_t count = 0;
    if (!local_find(local, id, &group) || group.kind != LOCAL_GROUP)
        return 0;
    int r = local_list(local, LOCAL_SNAPSHOT, NULL, &records, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        if (str_eq(records[i].group_id, id))
            r = remove_snapshot(local, ctx, records[i].id, err);
    return r < 0 ? r : local_forget(local, id, err);
}

const struct snapshot_ops local_snapshot_ops = {
    .create = create,
    .destroy = destroy,
    .get = get,
    .list = list,
    .group_create = group_create,
    .group_get = group_get,
    .group_destroy = group_destroy,
};
