// SPDX-License-Identifier: Apache-2.0
// Inline volumes (CSI ephemeral): written into the pod itself, made when it is published, deleted when it is unpublished.
//
//     publish    the volume, unless its record is there already; then staged straight to the pod's target
//     unpublish  unmounted, then deleted like any other; the target last
//     start      those whose pod has gone meanwhile are deleted: nobody is left who would ask for it
//
// Nobody knows such a volume but by the handle that kubelet made of its pod: that is its name here.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "node-plugin/local/local.h"

#define SWEEP_NS (10 * NS_PER_S) // for one volume; what is not done in time waits for the next start

struct attributes {
    int64_t bytes;
    struct string_pair *rest; // those of a StorageClass
    size_t rest_count;
};

static void attributes_done(struct attributes *attributes) {
    free(attributes->rest);
}

static int read_attribute(const struct string_pair *pair, struct attributes *ret, struct err *err) {
    if (str_eq_nocase(pair->key, "onDelete"))
        return err_set(err, -EINVAL,
                       "volume attribute 'onDelete' does not belong to an inline volume: it goes with its "
                       "pod; remove it, or use a claim");
    if (!str_eq_nocase(pair->key, "size")) {
        ret->rest[ret->rest_count++] = *pair;
        return 0;
    }
    return str_to_bytes(pair->value, &ret->bytes) < 0 || ret->bytes <= 0
               ? err_set(err, -EINVAL, "volume attribute 'size' is '%.40s'; give a size such as 10Gi", pair->value)
               : 0;
}

static int read_attributes(const struct string_map *map, struct attributes *ret, struct err *err) {
    ret->rest = mem_array(map->count + 1, sizeof *ret->rest);
    if (!ret->rest)
        return err_set(err, -ENOMEM, "out of memory");
    int r = 0;
    for (size_t i = 0; r == 0 && i < map->count; i++)
        r = read_attribute(&map->items[i], ret, err);
    return r == 0 && ret->bytes == 0
               ? err_set(err, -EINVAL, "volume attribute 'size' is missing; give one such as 10Gi")
               : r;
}

// Who may create a pod may write any size into it, and no quota of a namespace counts it.
static int allow(const struct local *local, const struct local_pool *pool, struct err *err) {
    for (size_t i = 0; local->inline_pools && i < local->inline_pools->count; i++)
        if (str_eq(local->inline_pools->items[i], "*") || str_eq(local->inline_pools->items[i], pool->name))
            return 0;
    return err_set(
        err, -EACCES,
        "inline volumes of pool '%s' are not allowed; use an 'ephemeral' volume with a claim template, or have "
        "the pool allowed by stowage-node --inline-pools (chart value inlineVolumes.allowedPools)",
        pool->name);
}

static int make(struct local *local, const struct call_context *ctx, const struct node_publish_request *request,
                struct local_record *ret, struct err *err) {
    struct attributes attributes cleanup(attributes_done) = {0};
    struct local_parameters parameters cleanup(local_parameters_done) = {0};
    struct local_pool *pool = NULL;
    int r = read_attributes(&request->context, &attributes, err);
    if (r < 0)
        return r;
    const struct volume_create_request create = {.name = request->volume_id,
                                                 .required_bytes = attributes.bytes,
                                                 .capabilities = &request->capability,
                                                 .capability_count = 1,
                                                 .parameters = {attributes.rest, attributes.rest_count}};
    r = local_parameters_parse(&create.parameters, &parameters, err);
    if (r == 0)
        r = local_parameters_pool(local, &parameters, &pool, err);
    if (r == 0)
        r = allow(local, pool, err);
    return r < 0 ? r : local_make(local, ctx, &create, request->target_path, ret, err);
}

static int judge(const struct node_publish_request *request, struct err *err) {
    if (request->capability.block)
        return err_set(err, -EINVAL, "an inline volume is a file system; for volumeMode Block use a claim");
    if (request->read_only)
        return err_set(err, -EINVAL, "an inline volume begins empty and cannot be read-only; leave readOnly out");
    return 0;
}

bool local_find_inline(struct local *local, const char *handle, struct local_record *ret) {
    return !local_pool_of(handle) && local_find_named(local, handle, ret) && ret->inline_target[0];
}

// kubelet forgets a volume of which it was told that it cannot be published: nothing of what this call made may be left then.
static void take_back(struct local *local, const struct call_context *ctx, const char *id) {
    struct local_record record;
    struct err err = ERR_NONE;
    const struct call_context soon = {.deadline_ns = clock_monotonic(&clock_system) + SWEEP_NS,
                                      .request_id = ctx->request_id};
    if (!local_find(local, id, &record))
        return;
    int r = local_volume_ops.destroy(local, &soon, id, &err);
    if (r < 0)
        log_warning("inline volume that could not be published stays until its pod is gone", LOG_S("volume", id),
                    LOG_S("reason", err_text(&err)));
}

int local_publish_inline(void *self, const struct call_context *ctx, const struct node_publish_request *request,
                         struct err *err) {
    struct local *local = self;
    struct local_record record = {0};
    int r = judge(request, err);
    if (r < 0)
        return r;
    bool found = local_find_inline(local, request->volume_id, &record);
    if (found && !str_eq(record.inline_target, request->target_path))
        return err_set(err, -EEXIST, "inline volume '%.70s' is published at %.120s; unpublish it first",
                       request->volume_id, record.inline_target);
    if (!found)
        r = make(local, ctx, request, &record, err);
    if (r < 0)
        return r;
    const struct node_stage_request stage = {
        .volume_id = record.id, .staging_path = request->target_path, .capability = request->capability};
    r = local_stage(self, ctx, &stage, err);
    if (r < 0 && !found)
        take_back(local, ctx, record.id);
    return r;
}

int local_unpublish_inline(struct local *local, const struct call_context *ctx, const struct local_record *record,
                           const char *target_path, struct err *err) {
    int r = local_unstage(local, ctx, record->id, target_path, err);
    if (r == 0)
        r = local_volume_ops.destroy(local, ctx, record->id, err);
    return r < 0 ? r : local_remove_target(target_path, err);
}

// ---- the start ----

// <root>/pods/<uid>/volumes/kubernetes.io~csi/<name>/mount: kubelet removes <uid> when it is done with the pod. Where the
// directory of all pods is not there, nobody can tell.
static bool pod_is_gone(const char *target) {
    static const char below[] = "/volumes/kubernetes.io~csi/";
    const char *end = strstr(target, below);
    char path[LOCAL_TARGET_SIZE];
    struct stat st;
    if (!end || snprintf(path, sizeof path, "%.*s", (int)(end - target), target) < 1 || stat(path, &st) == 0 ||
        errno != ENOENT)
        return false;
    char *slash = strrchr(path, '/');
    if (!slash)
        return false;
    *slash = '\0';
    return str_eq(strrchr(path, '/') ? strrchr(path, '/') : path, "/pods") && stat(path, &st) == 0;
}

void local_inline_sweep(struct local *local) {
    struct local_record *records cleanup_free = NULL;
    size_t count = 0;
    struct err err = ERR_NONE;
    int r = local_list(local, LOCAL_VOLUME, NULL, &records, &count, &err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        const struct call_context ctx = {.deadline_ns = clock_monotonic(&clock_system) + SWEEP_NS,
                                         .request_id = "start"};
        if (!records[i].inline_target[0] || !pod_is_gone(records[i].inline_target))
            continue;
        log_info("inline volume of a pod that is gone is deleted", LOG_S("volume", records[i].id),
                 LOG_S("path", records[i].inline_target));
        if (local_volume_ops.destroy(local, &ctx, records[i].id, &err) < 0)
            log_warning("inline volume stays until the next start", LOG_S("volume", records[i].id),
                        LOG_S("reason", err_text(&err)));
    }
    if (r < 0)
        log_warning("inline volumes were not looked through", LOG_S("reason", err_text(&err)));
}
