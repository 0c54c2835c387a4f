// SPDX-License-Identifier: Apache-2.0
#include "controller/operator/filesystem_status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controller/operator/filesystem.h"
#include "controller/operator/hits.h"
#include "controller/operator/reach.h"
#include "controller/operator/sources.h"
#include "controller/operator/status.h"
#include "lib/base/mem.h"
#include "lib/kube/object.h"

#define NAMED_MAX 5         // volumes in a message
#define ASKING_AGAIN_MS 500 // the first answer is on its way
#define LOOK_AGAIN_MS 60000 // how full it is
#define AWAY_AGAIN_MS 15000

void filesystem_volumes_done(struct filesystem_volumes *volumes) {
    str_done(&volumes->names);
}

// ---- volumes ---------------------------------------------------------------------------------------------------------

struct counting {
    const char *provisioner;
    struct hits *hits;
    struct filesystem_volumes *volumes;
};

static int count_volume(void *arg, const struct json *volume) {
    struct counting *counting = arg;
    struct filesystem_volumes *volumes = counting->volumes;
    const char *driver = kube_text(volume, "spec.csi.driver"), *size = kube_text(volume, "spec.capacity.storage");
    const char *claim = kube_text(volume, "spec.claimRef.name"), *ns = kube_text(volume, "spec.claimRef.namespace");
    const char *phase = kube_text(volume, "status.phase");
    int64_t bytes = 0;
    // A class may have had this name before, with another driver's volumes.
    if (driver && counting->provisioner && !str_eq(driver, counting->provisioner))
        return 0;
    if (size && str_to_bytes(size, &bytes) == 0)
        volumes->bytes += bytes;
    const char *handle = counting->hits ? kube_text(volume, "spec.csi.volumeHandle") : NULL;
    if (handle)
        hits_of(counting->hits, handle, &volumes->opens, &volumes->open_hits);
    if (volumes->count++ >= NAMED_MAX)
        return 0;
    (void)str_printf(&volumes->names, "%s%s", volumes->names.len ? ", " : "", kube_name(volume));
    if (str_eq(phase, "Released"))
        (void)str_append(&volumes->names, " (its claim is gone, the volume is kept)");
    else if (claim)
        (void)str_printf(&volumes->names, " (claim %s/%s)", ns ? ns : "", claim);
    return volumes->names.failed ? -ENOMEM : 0;
}

static int ask_node(void *arg, const struct json *pod) {
    const char *address = kube_text(pod, "status.hostIP");
    if (!str_empty(address))
        hits_ask(arg, address);
    return 0;
}

int filesystem_volumes_count(const struct operator_context *ctx, const struct json *object, const char *provisioner,
                             struct filesystem_volumes *ret, struct err *err) {
    bool cached = ctx->hits && kube_text(object, "spec.nodeGroup");
    struct counting counting = {.provisioner = provisioner, .hits = cached ? ctx->hits : NULL, .volumes = ret};
    if (cached && kube_cache_each(ctx->cache(ctx, &node_pods), "Running", ask_node, ctx->hits, err) < 0)
        return -ENOMEM;
    int r = kube_cache_each(ctx->cache(ctx, &persistent_volumes), kube_name(object), count_volume, &counting, err);
    if (r == 0 && ret->count > NAMED_MAX)
        r = str_printf(&ret->names, ", and %zu more", ret->count - NAMED_MAX);
    return r;
}

// ---- how it can be reached -------------------------------------------------------------------------------------------

struct room {
    size_t nodes;
    int64_t bytes;
};

static int add_room(void *arg, const struct json *capacity) {
    struct room *room = arg;
    const char *text = json_get_text(capacity, "capacity");
    int64_t bytes = 0;
    if (text && str_to_bytes(text, &bytes) == 0) {
        room->nodes++;
        room->bytes += bytes;
    }
    return 0;
}

// Nodes tell by CSIStorageCapacity objects what they have left for a class; one that has none of it tells nothing.
static int reach_local(const struct operator_context *ctx, const struct json *object, struct filesystem_report *report,
                       char buf[static 256], struct err *err) {
    struct room room = {0};
    int r = kube_cache_each(ctx->cache(ctx, &storage_capacities), kube_name(object), add_room, &room, err);
    if (r < 0)
        return r;
    report->reachable = room.nodes ? "True" : "Unknown";
    report->reach_reason = room.nodes ? "NodesHaveRoom" : "NoNodeYet";
    report->reach_message =
        "no node has told of room for this class yet; see that localVolumes.pools of the chart names the pool, and "
        "that the nodes have its directory or disks";
    if (room.nodes) {
        (void)snprintf(buf, 256, "%zu nodes offer room for its volumes", room.nodes);
        report->reach_message = buf;
        report->available_bytes = room.bytes;
        report->total_bytes = room.bytes + report->volumes->bytes;
    }
    return 0;
}

static int reach_share(const struct operator_context *ctx, const struct filesystem_plan *plan,
                       struct filesystem_report *report, char buf[static 256], int64_t *ret_again_ms, struct err *err) {
    struct reach_answer answer;
    int r = reach_get(ctx->reach, plan->location, &answer, err);
    if (r < 0)
        return r;
    *ret_again_ms = !answer.known ? ASKING_AGAIN_MS : answer.result < 0 ? AWAY_AGAIN_MS : LOOK_AGAIN_MS;
    report->reachable = !answer.known ? "Unknown" : answer.result < 0 ? "False" : "True";
    report->reach_reason = !answer.known ? "Asking" : answer.result < 0 ? "NoAnswer" : "Answers";
    report->reach_message = answer.known ? "the file system answers" : "the file system is being asked";
    if (answer.known && answer.result < 0) {
        (void)snprintf(buf, 256, "%.255s", answer.message);
        report->reach_message = buf;
    } else if (answer.known) {
        report->total_bytes = answer.total_bytes;
        report->available_bytes = answer.available_bytes;
    }
    return 0;
}

int filesystem_reach(const struct operator_context *ctx, const struct json *object, const struct filesystem_plan *plan,
                     struct filesystem_report *report, char buf[static 256], int64_t *ret_again_ms, struct err *err) {
    *ret_again_ms = LOOK_AGAIN_MS;
    return plan->location ? reach_share(ctx, plan, report, buf, ret_again_ms, err)
                          : reach_local(ctx, object, report, buf, err);
}

// ---- writing ---------------------------------------------------------------------------------------------------------

static int add_condition(struct json *conditions, const struct operator_context *ctx, const struct json *object,
                         const struct kube_condition *condition) {
    const struct json *metadata = json_get(object, "metadata");
    return kube_condition_add(conditions, kube_value(object, "status.conditions"), condition,
                              json_get_int(metadata, "generation", 0), clock_wall(ctx->clock));
}

static struct json *make_conditions(const struct operator_context *ctx, const struct json *object,
                                    const struct filesystem_report *report) {
    struct json *conditions cleanup(json_freep) = json_array_new();
    const struct kube_condition ready = {"Ready", report->ready ? "True" : "False", report->reason, report->message};
    const struct kube_condition reachable = {"Reachable", report->reachable, report->reach_reason,
                                             report->reach_message};
    bool bad = !conditions || add_condition(conditions, ctx, object, &ready) < 0 ||
               (report->reachable && add_condition(conditions, ctx, object, &reachable) < 0);
    return bad ? NULL : take_ptr(conditions);
}

static int set_ratio(struct json *status, const struct filesystem_volumes *volumes) {
    char text[8];
    if (volumes->opens == 0)
        return json_set(status, "cacheHitRatio", json_null_new());
    uint64_t hits = volumes->open_hits < volumes->opens ? volumes->open_hits : volumes->opens;
    (void)snprintf(text, sizeof text, "%u%%", (unsigned)((double)hits * 100 / (double)volumes->opens));
    return json_set_text(status, "cacheHitRatio", text);
}

// Null takes a number away that is not known any more.
static int set_bytes(struct json *status, const char *name, int64_t bytes) {
    char text[24];
    if (bytes < 0)
        return json_set(status, name, json_null_new());
    str_from_bytes(bytes, text);
    return json_set_text(status, name, text);
}

static struct json *make_status(const struct operator_context *ctx, const struct json *object,
                                const struct filesystem_report *report) {
    struct json *status cleanup(json_freep) = json_object_new();
    bool known = report->total_bytes >= 0;
    int64_t used =
        known && report->total_bytes > report->available_bytes ? report->total_bytes - report->available_bytes : 0;
    bool bad =
        !status ||
        json_set_int(status, "observedGeneration", json_get_int(json_get(object, "metadata"), "generation", 0)) < 0 ||
        json_set(status, "storageClassName",
                 report->provisioner ? json_ref(json_get(json_get(object, "metadata"), "name")) : json_null_new()) <
            0 ||
        set_bytes(status, "capacity", report->total_bytes) < 0 ||
        set_bytes(status, "available", report->available_bytes) < 0 ||
        set_bytes(status, "used", known ? used : -1) < 0 ||
        json_set_int(status, "volumes", (int64_t)report->volumes->count) < 0 ||
        set_bytes(status, "provisioned", report->volumes->bytes) < 0 || set_ratio(status, report->volumes) < 0 ||
        json_set(status, "conditions", make_conditions(ctx, object, report)) < 0;
    return bad ? NULL : take_ptr(status);
}

int filesystem_status_write(const struct operator_context *ctx, const struct json *object,
                            const struct filesystem_report *report, struct err *err) {
    struct json *status cleanup(json_freep) = make_status(ctx, object, report);
    char *path cleanup_free = kube_path(STOWAGE_GROUP "/filesystems", kube_name(object));
    if (!status || !path)
        return err_set(err, -ENOMEM, "out of memory");
    return status_write(ctx, object, path, status, err);
}
