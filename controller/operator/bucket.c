// SPDX-License-Identifier: Apache-2.0
// Bucket: the objects of a workspace whose keys begin with its name and a slash. There is nothing to be made for it: objects of
// nobody's Bucket are there as well, and clients of the two buckets that every workspace has find them by their keys.
#include <errno.h>
#include <string.h>

#include "controller/operator/tenant.h"
#include "controller/operator/tenants.h"
#include "lib/base/mem.h"
#include "lib/http/client.h"
#include "lib/kube/object.h"

#define REMOVE_MAX "100" // objects at a time: other objects wait for the same threads

static const char *bucket_of(const struct json *object) {
    return str_eq(kube_text(object, "spec.access"), "Public") ? "public" : "private";
}

static int keep(const struct operator_context *ctx, const struct json *object, struct tenant_report *report,
                struct err *err) {
    bool public = str_eq(kube_text(object, "spec.access"), "Public");
    struct survey_answer answer;
    int r = tenant_find(ctx, object, public ? SURVEY_PUBLIC : SURVEY_PRIVATE, &answer, report, err);
    if (r < 0 || report->waiting)
        return r;
    struct json *members cleanup(json_freep) = json_object_new();
    char *url cleanup_free = mem_printf("%s/api/v2/workspaces/%s/objects/%s/%s/", data_store_public_url(ctx->store),
                                        tenant_workspace(object), bucket_of(object), kube_name(object));
    if (!members || !url || json_set_int(members, "objects", answer.row.count) < 0 ||
        json_set_int(members, "bytes", answer.row.bytes) < 0 || json_set_text(members, "url", url) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    report->members = take_ptr(members);
    return 0;
}

static int remove_object(const struct operator_context *ctx, const struct json *object, const char *key,
                         struct tenant_report *report, struct err *err) {
    struct str path cleanup_str = {0};
    (void)str_printf(&path, "/objects/%s/", bucket_of(object));
    if (http_append_encoded(&path, key, strlen(key), true) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    return tenant_delete(ctx, object, path.data, report, err);
}

static int remove_objects(const struct operator_context *ctx, const struct json *object, bool *ret_more,
                          struct tenant_report *report, struct err *err) {
    struct json *page cleanup(json_freep) = NULL;
    char *path cleanup_free =
        mem_printf("/objects/%s?limit=" REMOVE_MAX "&prefix=%s%%2F", bucket_of(object), kube_name(object));
    if (!path)
        return err_set(err, -ENOMEM, "out of memory");
    int r = tenant_ask(ctx, object, "GET", path, NULL, &page, report, err);
    const struct json *items = json_get(page, "items");
    for (size_t i = 0; r == 0 && i < json_length(items); i++) {
        const char *key = json_get_text(json_at(items, i), "key");
        if (key)
            r = remove_object(ctx, object, key, report, err);
    }
    *ret_more = r == 0 && !str_empty(json_get_text(page, "nextContinuationToken"));
    return r;
}

static const struct tenant bucket_tenant = {.kind = "Bucket",
                                            .plural = "buckets",
                                            .ready = "BucketReady",
                                            .ready_message = "objects can be stored below its URL",
                                            .refused = "StoreRefusesIt",
                                            .leftover = "the objects of bucket",
                                            .keep = keep,
                                            .remove = remove_objects};

static int reconcile(const struct operator_context *ctx, const struct json *object, int64_t *ret_again_ms,
                     struct err *err) {
    return tenant_reconcile(ctx, &bucket_tenant, object, ret_again_ms, err);
}

static const struct source buckets = {.group = STOWAGE_GROUP, .plural = "buckets", .kept = tenant_kept};
const struct reconciler bucket_reconciler = {.kind = "Bucket", .objects = &buckets, .reconcile = reconcile};
