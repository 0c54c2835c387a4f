// SPDX-License-Identifier: Apache-2.0
// Objects whose contents are in the store, in the workspace that their namespace is: what KeyValue, Queue and Bucket have in common.
//
// Why:     finalizers, deletion policies, a store that is away, and statuses that are written at a bounded pace are the same for all.
// Owns:    nothing beyond a call; a report owns its members.
// Threads: as a reconciler.
// Fails:   as a reconciler. What the store answers is told by the object's condition, and is no failure.
#pragma once

#include "controller/operator/reconciler.h"
#include "controller/operator/survey.h"

#define TENANT_FINALIZER "stowage.dev/store"

struct tenant_report {
    bool waiting;         // nothing is known yet: nothing is written, looked at again in a moment
    const char *reason;   // of Ready=False; NULL: it is ready
    char message[256];    // with a reason
    struct json *members; // of the status; NULL: as they are
    int store_error;      // what the store said to tenant_ask, or of a list
    int64_t again_ms;     // 0: at the usual pace
};
void tenant_report_done(struct tenant_report *report);

struct tenant {
    const char *kind, *plural;
    const char *ready, *ready_message; // reason and message of Ready=True
    const char *refused;               // reason when the store refuses what the object says
    const char *leftover;              // what stays in the store when it cannot be asked: "the keys of namespace"
    // Makes the store as the object says.
    int (*keep)(const struct operator_context *ctx, const struct json *object, struct tenant_report *report,
                struct err *err);
    // Takes from the store what the object stands for. *ret_more: a part of it, go on.
    int (*remove)(const struct operator_context *ctx, const struct json *object, bool *ret_more,
                  struct tenant_report *report, struct err *err);
};

int tenant_reconcile(const struct operator_context *ctx, const struct tenant *tenant, const struct json *object,
                     int64_t *ret_again_ms, struct err *err) must_check;

// ---- for the kinds ---------------------------------------------------------------------------------------------------

const char *tenant_workspace(const struct json *object);
char *tenant_path(const struct tenant *tenant, const struct json *object) must_check; // in the API; NULL: out of memory
extern const char *const tenant_kept[]; // of an object whose spec is small: all that is looked at
// A request of the store, in the object's workspace. `body` may be NULL.
int tenant_ask(const struct operator_context *ctx, const struct json *object, const char *method, const char *path,
               const struct json *body, struct json **ret, struct tenant_report *report, struct err *err) must_check;
// DELETE of `path` (NULL: out of memory). What is not there is deleted.
int tenant_delete(const struct operator_context *ctx, const struct json *object, const char *path,
                  struct tenant_report *report, struct err *err) must_check;
// What is known of it; nothing, when report->waiting is set.
int tenant_find(const struct operator_context *ctx, const struct json *object, enum survey_kind kind,
                struct survey_answer *answer, struct tenant_report *report, struct err *err) must_check;
// Asks for it now.
int tenant_look(const struct operator_context *ctx, const struct json *object, enum survey_kind kind,
                struct survey_row *ret, struct tenant_report *report, struct err *err) must_check;
