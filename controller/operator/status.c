// SPDX-License-Identifier: Apache-2.0
#include "controller/operator/status.h"

#include <errno.h>

#include "lib/kube/object.h"

struct comparing {
    const struct json *have;
    bool differs;
};

static int compare_member(const char *key, const struct json *value, void *arg) {
    struct comparing *comparing = arg;
    struct json *nothing cleanup(json_freep) = json_null_new();
    const struct json *have = comparing->have ? json_get(comparing->have, key) : NULL;
    comparing->differs = json_same(value, nothing) ? have != NULL : !json_same(value, have);
    return comparing->differs;
}

bool status_differs(const struct json *object, const struct json *status) {
    struct comparing comparing = {.have = json_get(object, "status")};
    (void)json_each(status, compare_member, &comparing);
    return comparing.differs;
}

int status_write(const struct operator_context *ctx, const struct json *object, const char *path, struct json *status,
                 struct err *err) {
    struct json *patch cleanup(json_freep) = json_object_new(), *metadata cleanup(json_freep) = json_object_new();
    if (!status_differs(object, status))
        return 0;
    if (json_set_text(metadata, "uid", kube_text(object, "metadata.uid")) < 0 ||
        json_set(patch, "metadata", json_ref(metadata)) < 0 || json_set(patch, "status", json_ref(status)) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    int r = kube_patch_status(ctx->kube, path, patch, NULL, err);
    return r == -ENOENT ? 0 : r;
}
