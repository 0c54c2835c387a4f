// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/patch.h"

#include <errno.h>
#include <stdarg.h>

static void put(struct patch *patch, const char *op, struct json *value, const char *fmt, va_list ap) {
    struct str path cleanup_str = {0};
    struct json *item = json_object_new();
    (void)str_vprintf(&path, fmt, ap);
    if (!patch->ops)
        patch->ops = json_array_new();
    int r = path.failed ? -ENOMEM : json_set_text(item, "op", op);
    if (r == 0)
        r = json_set_text(item, "path", str_text(&path));
    int set = json_set(item, "value", value);
    if (r == 0 && set == 0)
        r = json_append(patch->ops, item);
    else
        (void)json_free(item);
    if (patch->failed == 0)
        patch->failed = r < 0 ? r : set;
}

void patch_add(struct patch *patch, struct json *value, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    put(patch, "add", value, fmt, ap);
    va_end(ap);
}

void patch_replace(struct patch *patch, struct json *value, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    put(patch, "replace", value, fmt, ap);
    va_end(ap);
}

void patch_append(struct patch *patch, const char *at, const char *list, const struct json *now, struct json *items) {
    if (json_length(now) == 0 && json_length(items) > 0) {
        patch_add(patch, items, "%s/%s", at, list);
        return;
    }
    for (size_t i = 0; i < json_length(items); i++)
        patch_add(patch, json_ref(json_at(items, i)), "%s/%s/-", at, list);
    if (!items && patch->failed == 0)
        patch->failed = -ENOMEM;
    (void)json_free(items);
}

int patch_end(struct patch *patch, struct json **ret) {
    if (patch->failed < 0)
        return patch->failed;
    *ret = take_ptr(patch->ops);
    return 0;
}

void patch_done(struct patch *patch) {
    patch->ops = json_free(patch->ops);
}
