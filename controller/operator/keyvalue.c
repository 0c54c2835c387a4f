// SPDX-License-Identifier: Apache-2.0
// KeyValue: a namespace of keys in the store, with what the object gives it to begin with.
#include <errno.h>

#include "controller/operator/seeds.h"
#include "controller/operator/tenants.h"
#include "lib/base/mem.h"
#include "lib/kube/object.h"

static int set_members(const struct survey_row *row, struct json *seeds, struct tenant_report *report,
                       struct err *err) {
    struct json *members cleanup(json_freep) = json_object_new();
    bool bad = !members || json_set_int(members, "keys", row->count) < 0 ||
               json_set_int(members, "bytes", row->bytes) < 0 || json_set_int(members, "version", row->version) < 0 ||
               (seeds && json_set(members, "seeds", json_ref(seeds)) < 0);
    if (bad)
        return err_set(err, -ENOMEM, "out of memory");
    report->members = take_ptr(members);
    return 0;
}

static int make_namespace(const struct operator_context *ctx, const struct json *object, bool *ret_created,
                          struct tenant_report *report, struct err *err) {
    struct json *answer cleanup(json_freep) = NULL;
    char *path cleanup_free = mem_printf("/kv/namespaces/%s", kube_name(object));
    if (!path)
        return err_set(err, -ENOMEM, "out of memory");
    int r = tenant_ask(ctx, object, "POST", path, NULL, &answer, report, err);
    *ret_created = r == 0 && json_get_bool(answer, "created", false);
    return r;
}

static const struct tenant keyvalue_tenant;

// What was made in this moment can be taken away in the next by somebody else; that is made good the next time.
static int made_again(struct tenant_report *report, int r, struct err *err) {
    if (r != -ENOENT || report->store_error != r)
        return r;
    report->store_error = 0;
    return err_set(err, -EAGAIN, "the namespace was removed meanwhile");
}

static int make(const struct operator_context *ctx, const struct json *object, bool seeded,
                struct tenant_report *report, struct err *err) {
    struct json *seeds cleanup(json_freep) = NULL;
    struct survey_row row = {0};
    bool created = false;
    char *path cleanup_free = tenant_path(&keyvalue_tenant, object);
    int r = path ? make_namespace(ctx, object, &created, report, err) : err_set(err, -ENOMEM, "out of memory");
    if (r == 0 && (created || !seeded)) {
        r = seeds_write(ctx, object, path, created, &seeds, report, err);
        report->waiting = r == 0 && !seeds; // it is gone
    }
    if (r == 0 && !report->waiting)
        r = tenant_look(ctx, object, SURVEY_KEYS, &row, report, err);
    if (r < 0)
        return made_again(report, r, err);
    return report->waiting ? 0 : set_members(&row, seeds, report, err);
}

static int keep(const struct operator_context *ctx, const struct json *object, struct tenant_report *report,
                struct err *err) {
    struct survey_answer answer;
    int64_t generation = json_get_int(json_get(object, "metadata"), "generation", 0);
    const struct json *seeds = kube_value(object, "status.seeds");
    bool seeded = seeds && json_get_int(seeds, "generation", -1) == generation;
    if (!seeded)
        return make(ctx, object, false, report, err);
    int r = tenant_find(ctx, object, SURVEY_KEYS, &answer, report, err);
    if (r < 0 || report->waiting)
        return r;
    return answer.found ? set_members(&answer.row, NULL, report, err) : make(ctx, object, true, report, err);
}

static int remove_namespace(const struct operator_context *ctx, const struct json *object, bool *ret_more,
                            struct tenant_report *report, struct err *err) {
    char *path cleanup_free = mem_printf("/kv/namespaces/%s", kube_name(object));
    (void)ret_more;
    return tenant_delete(ctx, object, path, report, err);
}

static const struct tenant keyvalue_tenant = {.kind = "KeyValue",
                                              .plural = "keyvalues",
                                              .ready = "NamespaceReady",
                                              .ready_message = "its keys can be read and written",
                                              .refused = "SeedsRefused",
                                              .leftover = "the keys of namespace",
                                              .keep = keep,
                                              .remove = remove_namespace};

static int reconcile(const struct operator_context *ctx, const struct json *object, int64_t *ret_again_ms,
                     struct err *err) {
    return tenant_reconcile(ctx, &keyvalue_tenant, object, ret_again_ms, err);
}

// Not its data: seeds.h.
static const char *const kept[] = {"metadata.name",
                                   "metadata.namespace",
                                   "metadata.uid",
                                   "metadata.resourceVersion",
                                   "metadata.generation",
                                   "metadata.finalizers",
                                   "metadata.deletionTimestamp",
                                   "spec.deletionPolicy",
                                   "status.observedGeneration",
                                   "status.keys",
                                   "status.bytes",
                                   "status.version",
                                   "status.seeds.generation",
                                   "status.conditions",
                                   NULL};
static const struct source keyvalues = {.group = STOWAGE_GROUP, .plural = "keyvalues", .kept = kept, .page = 20};
const struct reconciler keyvalue_reconciler = {.kind = "KeyValue", .objects = &keyvalues, .reconcile = reconcile};
