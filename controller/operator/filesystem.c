// SPDX-License-Identifier: Apache-2.0
#include "controller/operator/filesystem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controller/operator/filesystem_class.h"
#include "controller/operator/filesystem_status.h"
#include "controller/operator/sources.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/kube/object.h"

#define CLASSES "/apis/storage.k8s.io/v1/storageclasses"

static void tell(const struct operator_context *ctx, const struct json *object, bool warning, const char *reason,
                 const char *message) {
    const struct kube_subject subject = {.api_version = STOWAGE_API_VERSION, .kind = "FileSystem", .object = object};
    kube_event(ctx->events, &subject, warning, reason, message);
}

// Once for each time that it becomes so; a reconcile that finds it so again says nothing. The message may go on in the condition.
static void tell_change(const struct operator_context *ctx, const struct json *object, bool warning, const char *reason,
                        const char *message) {
    const struct json *ready = kube_condition_find(kube_value(object, "status.conditions"), "Ready");
    if (!ready || !str_eq(json_get_text(ready, "reason"), reason))
        tell(ctx, object, warning, reason, message);
}

static int set_finalizer(const struct operator_context *ctx, const struct json *object, bool present, struct err *err) {
    struct json *patch cleanup(json_freep) = kube_finalizer_patch(object, FILESYSTEM_FINALIZER, present);
    char *path cleanup_free = kube_path(STOWAGE_GROUP "/filesystems", kube_name(object));
    if (!patch || !path)
        return err_set(err, -ENOMEM, "out of memory");
    int r = kube_patch(ctx->kube, path, KUBE_PATCH_MERGE, patch, NULL, err);
    return r == -ENOENT ? 0 : r;
}

// ---- the class -------------------------------------------------------------------------------------------------------

static int find_class(const struct operator_context *ctx, const struct json *object, struct json **ret,
                      struct err *err) {
    int r = kube_cache_get(ctx->cache(ctx, &storage_classes), kube_name(object), ret, err);
    return r == -ENOENT ? 0 : r;
}

static int delete_class(const struct operator_context *ctx, const struct json *class, struct err *err) {
    char *path cleanup_free = kube_path(CLASSES, kube_name(class));
    if (!path)
        return err_set(err, -ENOMEM, "out of memory");
    int r = kube_delete(ctx->kube, path, kube_text(class, "metadata.uid"), NULL, err);
    return r == -ENOENT ? 0 : r;
}

// Created, never taken over: another one of this name that was not seen yet is -EEXIST here, and found the next time.
static int create_class(const struct operator_context *ctx, const struct json *object,
                        const struct filesystem_plan *plan, const char *reason, const char *message, struct err *err) {
    int r = kube_create(ctx->kube, CLASSES, plan->class, NULL, err);
    if (r == 0)
        tell(ctx, object, false, reason, message);
    return r == -EEXIST ? err_set(err, -EAGAIN, "the StorageClass was made meanwhile") : r;
}

static int change_class(const struct operator_context *ctx, const struct json *object,
                        const struct filesystem_plan *plan, const struct json *class, struct err *err) {
    struct json *patch cleanup(json_freep) = NULL;
    char *path cleanup_free = kube_path(CLASSES, kube_name(class));
    if (!path)
        return err_set(err, -ENOMEM, "out of memory");
    if (filesystem_class_is_other(plan, class)) {
        int r = delete_class(ctx, class, err);
        return r < 0 ? r
                     : create_class(
                           ctx, object, plan, "StorageClassReplaced",
                           "the StorageClass was made anew; volumes that are there keep what they were made with", err);
    }
    int r = filesystem_class_patch(plan, class, &patch, err);
    if (r == 0 && patch)
        r = kube_patch(ctx->kube, path, KUBE_PATCH_MERGE, patch, NULL, err);
    return r == -ENOENT ? err_set(err, -EAGAIN, "the StorageClass went meanwhile") : r;
}

// *ret_foreign: there is a class of this name that is somebody else's.
static int ensure_class(const struct operator_context *ctx, const struct json *object,
                        const struct filesystem_plan *plan, bool *ret_foreign, struct err *err) {
    struct json *class cleanup(json_freep) = NULL;
    int r = find_class(ctx, object, &class, err);
    *ret_foreign = r == 0 && class && !filesystem_owns(object, class);
    if (r < 0 || *ret_foreign)
        return r;
    if (!class)
        return create_class(ctx, object, plan, "StorageClassCreated",
                            "the StorageClass of its name is there for claims", err);
    return change_class(ctx, object, plan, class, err);
}

// ---- an object that is to go -----------------------------------------------------------------------------------------

static int refuse_deletion(const struct operator_context *ctx, const struct json *object,
                           const struct filesystem_volumes *volumes, struct err *err) {
    char *message cleanup_free =
        mem_printf("%zu %s still there: %s. Delete the claims (of a volume that is kept: the "
                   "PersistentVolume itself); the FileSystem goes when the last one is gone",
                   volumes->count, volumes->count == 1 ? "volume is" : "volumes are", str_text(&volumes->names));
    if (!message)
        return err_set(err, -ENOMEM, "out of memory");
    tell_change(ctx, object, true, "VolumesInUse", message);
    const struct filesystem_report report = {.provisioner = "",
                                             .ready = false,
                                             .reason = "VolumesInUse",
                                             .message = message,
                                             .total_bytes = -1,
                                             .available_bytes = -1,
                                             .volumes = volumes};
    return filesystem_status_write(ctx, object, &report, err);
}

// Nothing but volumes keeps it: neither a server that does not answer nor a class that cannot be deleted (its owner reference
// takes that away later).
static int end_filesystem(const struct operator_context *ctx, const struct json *object, struct err *err) {
    struct filesystem_volumes volumes cleanup(filesystem_volumes_done) = {0};
    struct json *class cleanup(json_freep) = NULL;
    if (!kube_has_finalizer(object, FILESYSTEM_FINALIZER))
        return 0;
    int r =
        filesystem_volumes_count(ctx, object, filesystem_provisioner(kube_text(object, "spec.type")), &volumes, err);
    if (r < 0)
        return r;
    if (volumes.count)
        return refuse_deletion(ctx, object, &volumes, err);
    r = find_class(ctx, object, &class, err);
    if (r == 0 && class && filesystem_owns(object, class)) {
        r = delete_class(ctx, class, err);
        if (r < 0 && r != -EAGAIN && !kube_may_pass(r)) {
            log_warning("the StorageClass of a FileSystem that goes cannot be deleted",
                        LOG_S("object", kube_name(object)), LOG_S("error", err_text(err)));
            r = 0;
        }
    }
    return r < 0 ? r : set_finalizer(ctx, object, false, err);
}

// ---- an object that is to be -----------------------------------------------------------------------------------------

static int report_invalid(const struct operator_context *ctx, const struct json *object, const char *reason,
                          const char *message, struct err *err) {
    struct filesystem_volumes volumes cleanup(filesystem_volumes_done) = {0};
    const struct filesystem_report report = {
        .reason = reason, .message = message, .total_bytes = -1, .available_bytes = -1, .volumes = &volumes};
    int r =
        filesystem_volumes_count(ctx, object, filesystem_provisioner(kube_text(object, "spec.type")), &volumes, err);
    tell_change(ctx, object, true, reason, message);
    return r < 0 ? r : filesystem_status_write(ctx, object, &report, err);
}

static int report_good(const struct operator_context *ctx, const struct json *object,
                       const struct filesystem_plan *plan, int64_t *ret_again_ms, struct err *err) {
    struct filesystem_volumes volumes cleanup(filesystem_volumes_done) = {0};
    char buf[256];
    struct filesystem_report report = {.provisioner = plan->provisioner,
                                       .ready = true,
                                       .reason = "StorageClassReady",
                                       .message = "claims can name the StorageClass of its name",
                                       .total_bytes = -1,
                                       .available_bytes = -1,
                                       .volumes = &volumes};
    int r = filesystem_volumes_count(ctx, object, plan->provisioner, &volumes, err);
    if (r == 0)
        r = filesystem_reach(ctx, object, plan, &report, buf, ret_again_ms, err);
    if (r < 0)
        return r;
    const struct json *before = kube_condition_find(kube_value(object, "status.conditions"), "Reachable");
    if (str_eq(report.reachable, "False") && !(before && str_eq(json_get_text(before, "status"), "False")))
        tell(ctx, object, true, "NotReachable", report.reach_message);
    return filesystem_status_write(ctx, object, &report, err);
}

static int reconcile(const struct operator_context *ctx, const struct json *object, int64_t *ret_again_ms,
                     struct err *err) {
    struct filesystem_plan plan cleanup(filesystem_plan_done) = {0};
    bool foreign = false;
    if (kube_is_ending(object))
        return end_filesystem(ctx, object, err);
    if (!kube_has_finalizer(object, FILESYSTEM_FINALIZER))
        return set_finalizer(ctx, object, true, err); // and again, with what the cluster then says
    int r = filesystem_plan_make(object, &plan, err);
    if (r == -EINVAL)
        return report_invalid(ctx, object, "InvalidSpec", err_text(err), err);
    if (r == 0)
        r = ensure_class(ctx, object, &plan, &foreign, err);
    if (r < 0)
        return r;
    if (foreign)
        return report_invalid(
            ctx, object, "StorageClassExists",
            "a StorageClass of its name is there and belongs to somebody else; delete that class, or give the "
            "FileSystem another name",
            err);
    return report_good(ctx, object, &plan, ret_again_ms, err);
}

static const char *const kept[] = {"metadata.name",
                                   "metadata.uid",
                                   "metadata.resourceVersion",
                                   "metadata.generation",
                                   "metadata.finalizers",
                                   "metadata.deletionTimestamp",
                                   "spec",
                                   "status",
                                   NULL};
static const struct source filesystems = {.group = STOWAGE_GROUP, .plural = "filesystems", .kept = kept};
static const struct source *const related[] = {&persistent_volumes, &storage_classes, &storage_capacities, NULL};

static const struct source *const looked_at[] = {&node_pods, NULL};

const struct reconciler filesystem_reconciler = {
    .kind = "FileSystem", .objects = &filesystems, .related = related, .looked_at = looked_at, .reconcile = reconcile};
