// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/object.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/kube/kube.h"

const struct json *kube_value(const struct json *object, const char *path) {
    char part[64];
    for (;;) {
        size_t len = strcspn(path, ".");
        if (!object || len >= sizeof part)
            return NULL;
        (void)memcpy(part, path, len);
        part[len] = '\0';
        object = json_get(object, part);
        if (!path[len])
            return object;
        path += len + 1;
    }
}

const char *kube_text(const struct json *object, const char *path) {
    const struct json *value = kube_value(object, path);
    return value ? json_text(value) : NULL;
}

const char *kube_name(const struct json *object) {
    const char *name = kube_text(object, "metadata.name");
    return name ? name : "";
}

const char *kube_label(const struct json *object, const char *name) {
    const struct json *labels = kube_value(object, "metadata.labels");
    return labels ? json_get_text(labels, name) : NULL;
}

char *kube_key(const struct json *object) {
    const char *ns = kube_text(object, "metadata.namespace");
    return str_empty(ns) ? mem_strdup(kube_name(object)) : mem_printf("%s/%s", ns, kube_name(object));
}

// The parts of one path, made in `to` as they are in `from`.
static int keep_path(const struct json *from, struct json *to, const char *path) {
    char part[64];
    const char *dot = strchr(path, '.');
    size_t len = dot ? (size_t)(dot - path) : strlen(path);
    if (len >= sizeof part)
        return -EINVAL;
    (void)memcpy(part, path, len);
    part[len] = '\0';
    const struct json *value = json_get(from, part);
    if (!value)
        return 0;
    if (!dot)
        return json_set(to, part, json_ref(value));
    if (!json_is_an_object(value))
        return 0;
    struct json *below = (struct json *)(uintptr_t)json_get(to, part);
    if (!below) {
        below = json_object_new();
        int r = below ? json_set(to, part, below) : -ENOMEM;
        if (r < 0)
            return r;
    }
    return keep_path(value, below, dot + 1);
}

struct json *kube_keep(const struct json *object, const char *const *paths) {
    struct json *kept cleanup(json_freep) = json_object_new();
    for (; kept && *paths; paths++)
        if (keep_path(object, kept, *paths) < 0)
            return NULL;
    return take_ptr(kept);
}

bool kube_is_ending(const struct json *object) {
    return kube_text(object, "metadata.deletionTimestamp") != NULL;
}

bool kube_has_finalizer(const struct json *object, const char *name) {
    const struct json *list = kube_value(object, "metadata.finalizers");
    for (size_t i = 0; list && i < json_length(list); i++)
        if (str_eq(json_text(json_at(list, i)), name))
            return true;
    return false;
}

struct json *kube_finalizer_patch(const struct json *object, const char *name, bool present) {
    struct json *patch cleanup(json_freep) = json_object_new();
    struct json *metadata cleanup(json_freep) = json_object_new(), *list cleanup(json_freep) = json_array_new();
    const struct json *now = kube_value(object, "metadata.finalizers");
    if (!patch || !metadata || !list)
        return NULL;
    int r = json_set_text(metadata, "resourceVersion", kube_text(object, "metadata.resourceVersion"));
    for (size_t i = 0; r == 0 && now && i < json_length(now); i++)
        if (!str_eq(json_text(json_at(now, i)), name))
            r = json_append_text(list, json_text(json_at(now, i)));
    if (r == 0 && present)
        r = json_append_text(list, name);
    if (r == 0)
        r = json_set(metadata, "finalizers", take_ptr(list));
    if (r == 0)
        r = json_set(patch, "metadata", take_ptr(metadata));
    return r == 0 ? take_ptr(patch) : NULL;
}

static size_t time_text(int64_t wall_ns, char ret[static KUBE_TIME_SIZE]) {
    time_t seconds = (time_t)(wall_ns / NS_PER_S);
    struct tm utc;
    (void)gmtime_r(&seconds, &utc);
    return strftime(ret, KUBE_TIME_SIZE - 10, "%Y-%m-%dT%H:%M:%S", &utc);
}

void kube_time(int64_t wall_ns, char ret[static KUBE_TIME_SIZE]) {
    size_t len = time_text(wall_ns, ret);
    (void)snprintf(ret + len, KUBE_TIME_SIZE - len, "Z");
}

void kube_time_micro(int64_t wall_ns, char ret[static KUBE_TIME_SIZE]) {
    size_t len = time_text(wall_ns, ret);
    (void)snprintf(ret + len, KUBE_TIME_SIZE - len, ".%06dZ", (int)(wall_ns % NS_PER_S / 1000));
}

const struct json *kube_condition_find(const struct json *conditions, const char *type) {
    for (size_t i = 0; conditions && i < json_length(conditions); i++)
        if (str_eq(json_get_text(json_at(conditions, i), "type"), type))
            return json_at(conditions, i);
    return NULL;
}

int kube_condition_add(struct json *conditions, const struct json *before, const struct kube_condition *condition,
                       int64_t generation, int64_t wall_ns) {
    char now[KUBE_TIME_SIZE];
    struct json *one cleanup(json_freep) = json_object_new();
    const struct json *old = kube_condition_find(before, condition->type);
    const char *since = old && str_eq(json_get_text(old, "status"), condition->status)
                            ? json_get_text(old, "lastTransitionTime")
                            : NULL;
    kube_time(wall_ns, now);
    int r = one ? json_set_text(one, "type", condition->type) : -ENOMEM;
    if (r == 0)
        r = json_set_text(one, "status", condition->status);
    if (r == 0)
        r = json_set_text(one, "reason", condition->reason);
    if (r == 0)
        r = json_set_text(one, "message", condition->message ? condition->message : "");
    if (r == 0)
        r = json_set_int(one, "observedGeneration", generation);
    if (r == 0)
        r = json_set_text(one, "lastTransitionTime", since ? since : now);
    return r == 0 ? json_append(conditions, take_ptr(one)) : r;
}
