// SPDX-License-Identifier: Apache-2.0
// Queue: a queue in the store, with the settings of the object.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "controller/operator/tenant.h"
#include "controller/operator/tenants.h"
#include "lib/base/mem.h"
#include "lib/kube/object.h"

#define MISSING_AGAIN_MS 5000

static int64_t number_of(const struct json *spec, const char *name, int64_t fallback) {
    return json_get_int(spec, name, fallback);
}

// What is not said is what the schema says by default, for objects that are older than it.
static struct json *make_settings(const struct json *object, bool dead_letters) {
    const struct json *spec = json_get(object, "spec"), *dead = dead_letters ? json_get(spec, "deadLetter") : NULL;
    struct json *body cleanup(json_freep) = json_object_new();
    const char *queue = dead ? json_get_text(dead, "queue") : NULL;
    bool bad = !body || json_set_int(body, "dedup_ms", number_of(spec, "dedupWindowSeconds", 300) * 1000) < 0 ||
               json_set_int(body, "visibility_ms", number_of(spec, "visibilitySeconds", 30) * 1000) < 0 ||
               json_set_int(body, "delay_ms", number_of(spec, "delaySeconds", 0) * 1000) < 0 ||
               json_set_int(body, "retention_ms", number_of(spec, "retentionSeconds", 0) * 1000) < 0 ||
               json_set_int(body, "max_receives", dead ? number_of(dead, "maxReceives", 0) : 0) < 0 ||
               json_set_text(body, "dead_letter", queue ? queue : "") < 0;
    return bad ? NULL : take_ptr(body);
}

// Coarser the older it is, so that a status is not written every minute for a message of yesterday.
static void age_text(int64_t ms, char ret[static 24]) {
    int64_t minutes = ms / 60000;
    if (minutes < 1)
        (void)snprintf(ret, 24, "<1m");
    else if (minutes < 60)
        (void)snprintf(ret, 24, "%" PRId64 "m", minutes < 10 ? minutes : minutes / 10 * 10);
    else if (minutes < INT64_C(48) * 60)
        (void)snprintf(ret, 24, "%" PRId64 "h", minutes / 60);
    else
        (void)snprintf(ret, 24, "%" PRId64 "d", minutes / (INT64_C(24) * 60));
}

static int set_members(const struct survey_row *row, struct tenant_report *report, struct err *err) {
    struct json *members cleanup(json_freep) = json_object_new();
    char age[24];
    age_text(row->oldest_ms, age);
    bool bad =
        !members || json_set_int(members, "length", row->count) < 0 ||
        (row->count ? json_set_text(members, "oldestAge", age) : json_set(members, "oldestAge", json_null_new())) < 0;
    if (bad)
        return err_set(err, -ENOMEM, "out of memory");
    report->members = take_ptr(members);
    return 0;
}

static char *path_of(const struct json *object) {
    return mem_printf("/queue/%s", kube_name(object));
}

// The queue is made without its dead letters when their queue is not there yet: two that name each other could not be made otherwise.
static int configure(const struct operator_context *ctx, const struct json *object, const struct json *settings,
                     struct tenant_report *report, struct err *err) {
    struct json *without cleanup(json_freep) = make_settings(object, false);
    char *path cleanup_free = path_of(object);
    if (!path || !without)
        return err_set(err, -ENOMEM, "out of memory");
    int r = tenant_ask(ctx, object, "PUT", path, settings, NULL, report, err);
    if (r != -ENOENT)
        return r;
    r = tenant_ask(ctx, object, "PUT", path, without, NULL, report, err);
    report->reason = "DeadLetterMissing";
    report->again_ms = MISSING_AGAIN_MS;
    const char *dead = kube_text(object, "spec.deadLetter.queue");
    (void)snprintf(
        report->message, sizeof report->message,
        "there is no queue '%.63s' in this namespace for its dead letters: apply a Queue of that name; until "
        "then messages are tried for ever",
        dead ? dead : "");
    return r;
}

static int keep(const struct operator_context *ctx, const struct json *object, struct tenant_report *report,
                struct err *err) {
    struct json *settings cleanup(json_freep) = make_settings(object, true);
    struct survey_answer answer;
    struct survey_row row;
    if (!settings)
        return err_set(err, -ENOMEM, "out of memory");
    bool is_new = !kube_value(object, "status.conditions"); // then no list is waited for
    int r = tenant_find(ctx, object, SURVEY_QUEUES, &answer, report, err);
    if (r < 0 || (report->waiting && !is_new))
        return r;
    report->waiting = false;
    row = answer.row;
    if (!answer.found || row.settings != survey_settings(settings)) {
        r = configure(ctx, object, settings, report, err);
        if (r == 0)
            r = tenant_look(ctx, object, SURVEY_QUEUES, &row, report, err);
        if (r < 0)
            report->reason = NULL;
    }
    return r < 0 ? r : set_members(&row, report, err);
}

static int remove_queue(const struct operator_context *ctx, const struct json *object, bool *ret_more,
                        struct tenant_report *report, struct err *err) {
    char *path cleanup_free = path_of(object);
    (void)ret_more;
    return tenant_delete(ctx, object, path, report, err);
}

static const struct tenant queue_tenant = {.kind = "Queue",
                                           .plural = "queues",
                                           .ready = "QueueReady",
                                           .ready_message = "messages can be sent and received",
                                           .refused = "SettingsRefused",
                                           .leftover = "the messages of queue",
                                           .keep = keep,
                                           .remove = remove_queue};

static int reconcile(const struct operator_context *ctx, const struct json *object, int64_t *ret_again_ms,
                     struct err *err) {
    return tenant_reconcile(ctx, &queue_tenant, object, ret_again_ms, err);
}

static const struct source queues = {.group = STOWAGE_GROUP, .plural = "queues", .kept = tenant_kept};
const struct reconciler queue_reconciler = {.kind = "Queue", .objects = &queues, .reconcile = reconcile};
