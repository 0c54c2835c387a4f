// SPDX-License-Identifier: Apache-2.0
#include "controller/operator/tenant.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "controller/operator/status.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/kube/object.h"

#define LOOK_AGAIN_MS 30000
#define NEWER_MS 1000    // newer numbers are
#define SOON_MS 500      // the first list is on its way
#define AWAY_MS 6000     // the store may be back
#define CROWDED_MS 10000 // other numbers, but too many statuses were written this second
#define MORE_MS 10

void tenant_report_done(struct tenant_report *report) {
    report->members = json_free(report->members);
}

// ---- the API ---------------------------------------------------------------------------------------------------------

const char *tenant_workspace(const struct json *object) {
    const char *ns = kube_text(object, "metadata.namespace");
    return ns ? ns : "";
}

char *tenant_path(const struct tenant *tenant, const struct json *object) {
    char *collection cleanup_free = kube_collection(STOWAGE_GROUP, tenant_workspace(object), tenant->plural);
    return collection ? kube_path(collection, kube_name(object)) : NULL;
}

static void tell(const struct operator_context *ctx, const struct tenant *tenant, const struct json *object,
                 bool warning, const char *reason, const char *message) {
    const struct kube_subject subject = {.api_version = STOWAGE_API_VERSION, .kind = tenant->kind, .object = object};
    kube_event(ctx->events, &subject, warning, reason, message);
}

static int set_finalizer(const struct operator_context *ctx, const struct tenant *tenant, const struct json *object,
                         bool present, struct err *err) {
    struct json *patch cleanup(json_freep) = kube_finalizer_patch(object, TENANT_FINALIZER, present);
    char *path cleanup_free = tenant_path(tenant, object);
    if (!patch || !path)
        return err_set(err, -ENOMEM, "out of memory");
    int r = kube_patch(ctx->kube, path, KUBE_PATCH_MERGE, patch, NULL, err);
    return r == -ENOENT ? 0 : r;
}

// ---- the store -------------------------------------------------------------------------------------------------------

int tenant_ask(const struct operator_context *ctx, const struct json *object, const char *method, const char *path,
               const struct json *body, struct json **ret, struct tenant_report *report, struct err *err) {
    const struct data_store_request request = {
        .method = method, .workspace = tenant_workspace(object), .path = path, .body = body};
    report->store_error = data_store_send(ctx->store, &request, ret, err);
    return report->store_error;
}

int tenant_delete(const struct operator_context *ctx, const struct json *object, const char *path,
                  struct tenant_report *report, struct err *err) {
    if (!path)
        return err_set(err, -ENOMEM, "out of memory");
    int r = tenant_ask(ctx, object, "DELETE", path, NULL, NULL, report, err);
    return r == -ENOENT ? 0 : r;
}

const char *const tenant_kept[] = {"metadata.name",
                                   "metadata.namespace",
                                   "metadata.uid",
                                   "metadata.resourceVersion",
                                   "metadata.generation",
                                   "metadata.finalizers",
                                   "metadata.deletionTimestamp",
                                   "spec",
                                   "status",
                                   NULL};

int tenant_find(const struct operator_context *ctx, const struct json *object, enum survey_kind kind,
                struct survey_answer *answer, struct tenant_report *report, struct err *err) {
    int r = survey_get(ctx->survey, kind, tenant_workspace(object), kube_name(object), answer, err);
    if (r < 0)
        return r;
    report->waiting = !answer->known && !answer->found;
    report->again_ms = answer->asking && answer->known ? NEWER_MS : 0;
    report->store_error = answer->known ? answer->result : 0;
    return report->store_error < 0 ? err_set(err, report->store_error, "%s", answer->message) : 0;
}

int tenant_look(const struct operator_context *ctx, const struct json *object, enum survey_kind kind,
                struct survey_row *ret, struct tenant_report *report, struct err *err) {
    report->store_error = survey_look(ctx->survey, kind, tenant_workspace(object), kube_name(object), ret, err);
    return report->store_error;
}

static void explain(const struct tenant *tenant, struct tenant_report *report, const struct err *err) {
    char text[256];
    (void)snprintf(text, sizeof text, "%s", err_text(err));
    switch (report->store_error) {
    case -EPERM:
    case -EACCES:
        report->reason = "StoreRefuses";
        (void)snprintf(report->message, sizeof report->message,
                       "the store does not take the operator's token (%.90s): let its account in by --service-account "
                       "NAMESPACE/NAME=all, as the chart does; it goes on by itself",
                       text);
        break;
    case -ENOSPC:
        report->reason = "StoreFull";
        (void)snprintf(report->message, sizeof report->message, "%.150s: raise the quota or the store's volume", text);
        break;
    case -EHOSTUNREACH:
    case -ETIMEDOUT:
    case -EIO:
        report->reason = "StoreUnreachable";
        text[strcspn(text, ";")] = '\0'; // what follows is for who runs the client
        (void)snprintf(report->message, sizeof report->message,
                       "%.140s: see that the store's pod runs and that its NetworkPolicy lets the controller in; it "
                       "goes on by itself",
                       text);
        break;
    default:
        report->reason = tenant->refused;
        (void)snprintf(report->message, sizeof report->message, "%.255s", text);
    }
    bool passes = data_store_is_away(report->store_error) || report->store_error == -EIO;
    report->again_ms = passes ? AWAY_MS : LOOK_AGAIN_MS;
}

// ---- the status ------------------------------------------------------------------------------------------------------

static int64_t generation_of(const struct json *object) {
    return json_get_int(json_get(object, "metadata"), "generation", 0);
}

static struct json *make_status(const struct operator_context *ctx, const struct tenant *tenant,
                                const struct json *object, const struct tenant_report *report) {
    struct json *status cleanup(json_freep) = report->members ? json_ref(report->members) : json_object_new();
    struct json *conditions cleanup(json_freep) = json_array_new();
    bool ready = !report->reason;
    const struct kube_condition condition = {"Ready", ready ? "True" : "False", ready ? tenant->ready : report->reason,
                                             ready ? tenant->ready_message : report->message};
    bool bad = !status || !conditions ||
               kube_condition_add(conditions, kube_value(object, "status.conditions"), &condition,
                                  generation_of(object), clock_wall(ctx->clock)) < 0 ||
               json_set_int(status, "observedGeneration", generation_of(object)) < 0 ||
               json_set(status, "conditions", json_ref(conditions)) < 0;
    return bad ? NULL : take_ptr(status);
}

// Other numbers alone are worth a write only at a bounded pace.
static bool may_write(const struct operator_context *ctx, const struct json *object, const struct json *status) {
    bool numbers = json_same(json_get(status, "conditions"), kube_value(object, "status.conditions")) &&
                   !json_get(status, "seeds");
    return !numbers || !status_differs(object, status) || data_store_may_count(ctx->store);
}

static int report_status(const struct operator_context *ctx, const struct tenant *tenant, const struct json *object,
                         const struct tenant_report *report, int64_t *ret_again_ms, struct err *err) {
    struct json *status cleanup(json_freep) = make_status(ctx, tenant, object, report);
    char *path cleanup_free = tenant_path(tenant, object);
    const struct json *before = kube_condition_find(kube_value(object, "status.conditions"), "Ready");
    if (!status || !path)
        return err_set(err, -ENOMEM, "out of memory");
    if (report->reason && (!before || !str_eq(json_get_text(before, "reason"), report->reason)))
        tell(ctx, tenant, object, true, report->reason, report->message);
    if (may_write(ctx, object, status))
        return status_write(ctx, object, path, status, err);
    *ret_again_ms = CROWDED_MS;
    return 0;
}

// ---- an object that is to go -----------------------------------------------------------------------------------------

// "2026-11-28T10:00:00Z"
static int64_t age_ns(const struct operator_context *ctx, const char *text) {
    struct tm tm = {0};
    if (!text || sscanf(text, "%d-%d-%dT%d:%d:%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
                        &tm.tm_sec) != 6)
        return INT64_MAX;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return clock_wall(ctx->clock) - (int64_t)timegm(&tm) * NS_PER_S;
}

// A store that is gone for good must not keep the object, nor one that does not do what it is asked.
static bool is_given_up(const struct operator_context *ctx, const struct json *object, int error) {
    bool old =
        age_ns(ctx, kube_text(object, "metadata.deletionTimestamp")) >= data_store_patience_s(ctx->store) * NS_PER_S;
    return !data_store_exists(ctx->store) ||
           (old && (!data_store_is_away(error) || data_store_is_given_up(ctx->store)));
}

static int give_up(const struct operator_context *ctx, const struct tenant *tenant, const struct json *object,
                   const char *why, struct err *err) {
    char message[512];
    (void)snprintf(message, sizeof message,
                   "%s '%.100s' stay in the store, in workspace '%.63s', and are found again by an object of the same "
                   "name: %.*s",
                   tenant->leftover, kube_name(object), tenant_workspace(object), (int)strcspn(why, ";"), why);
    log_warning("deleted without the store", LOG_S("kind", tenant->kind), LOG_S("workspace", tenant_workspace(object)),
                LOG_S("object", kube_name(object)), LOG_S("error", why));
    tell(ctx, tenant, object, true, "LeftInStore", message);
    return set_finalizer(ctx, tenant, object, false, err);
}

static int end_tenant(const struct operator_context *ctx, const struct tenant *tenant, const struct json *object,
                      int64_t *ret_again_ms, struct err *err) {
    struct tenant_report report cleanup(tenant_report_done) = {0};
    struct err why = ERR_NONE;
    bool more = false;
    if (!kube_has_finalizer(object, TENANT_FINALIZER))
        return 0;
    if (str_eq(kube_text(object, "spec.deletionPolicy"), "Retain"))
        return set_finalizer(ctx, tenant, object, false, err);
    int r = data_store_exists(ctx->store) ? tenant->remove(ctx, object, &more, &report, &why)
                                          : err_set(&why, -EHOSTUNREACH, "the operator knows no store any more");
    if (r == 0 && more)
        *ret_again_ms = MORE_MS;
    if (r == 0)
        return more ? 0 : set_finalizer(ctx, tenant, object, false, err);
    if (is_given_up(ctx, object, r))
        return give_up(ctx, tenant, object, err_text(&why), err);
    if (report.store_error == 0)
        return err_set(err, r, "%s", err_text(&why));
    explain(tenant, &report, &why);
    *ret_again_ms = AWAY_MS;
    return report_status(ctx, tenant, object, &report, ret_again_ms, err);
}

// ---- an object that is to be -----------------------------------------------------------------------------------------

static int report_no_store(const struct operator_context *ctx, const struct tenant *tenant, const struct json *object,
                           struct err *err) {
    const struct tenant_report report = {
        .reason = "NoStore",
        .message = "the operator knows no store: install the chart with store.enabled=true, or give stowage-controller "
                   "--store-url"};
    int64_t again_ms = 0;
    return report_status(ctx, tenant, object, &report, &again_ms, err);
}

int tenant_reconcile(const struct operator_context *ctx, const struct tenant *tenant, const struct json *object,
                     int64_t *ret_again_ms, struct err *err) {
    struct tenant_report report cleanup(tenant_report_done) = {0};
    bool removes = !str_eq(kube_text(object, "spec.deletionPolicy"), "Retain");
    if (kube_is_ending(object))
        return end_tenant(ctx, tenant, object, ret_again_ms, err);
    if (!data_store_exists(ctx->store))
        return report_no_store(ctx, tenant, object, err);
    if (kube_has_finalizer(object, TENANT_FINALIZER) != removes)
        return set_finalizer(ctx, tenant, object, removes, err); // and again, with what the cluster then says
    int r = tenant->keep(ctx, object, &report, err);
    if (r < 0 && report.store_error == 0)
        return r;
    if (r < 0)
        explain(tenant, &report, err);
    *ret_again_ms = report.waiting ? SOON_MS : report.again_ms ? report.again_ms : LOOK_AGAIN_MS;
    return report.waiting ? 0 : report_status(ctx, tenant, object, &report, ret_again_ms, err);
}
