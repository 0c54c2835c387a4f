// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/environment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controller/webhook/sidecar.h"
#include "lib/base/mem.h"

#define LOCAL_TOKEN "stowage-local" // the SDK fails without one; it opens nothing, the sidecar sends the pod's
#define LOCAL_HOSTS "127.0.0.1,localhost"

static const struct json *variable(const struct json *env, const char *name, size_t *ret_index) {
    for (size_t i = 0; i < json_length(env); i++)
        if (str_eq(json_get_text(json_at(env, i), "name"), name)) {
            *ret_index = i;
            return json_at(env, i);
        }
    return NULL;
}

static const struct json *mount_at(const struct json *mounts, const char *path) {
    for (size_t i = 0; i < json_length(mounts); i++) {
        const char *at = json_get_text(json_at(mounts, i), "mountPath");
        size_t len = at ? strlen(at) : 0;
        while (len > 1 && at[len - 1] == '/')
            len--;
        if (len == strlen(path) && strncmp(at, path, len) == 0)
            return json_at(mounts, i);
    }
    return NULL;
}

static void add_missing(struct patch *patch, const struct json *env, struct json *missing, const char *name,
                        const char *value) {
    size_t index;
    if (variable(env, name, &index))
        return;
    struct json *item = json_object_new();
    int r = json_set_text(item, "name", name);
    if (r == 0)
        r = json_set_text(item, "value", value);
    if (r == 0)
        r = json_append(missing, item);
    else
        (void)json_free(item);
    patch->failed = patch->failed ? patch->failed : r;
}

static bool covers(const char *hosts) {
    return str_eq(hosts, "*") || strstr(hosts, "127.0.0.1");
}

// Python prefers no_proxy to NO_PROXY: adding the one that is missing would put the other out of force. So both, or what is there.
static void add_no_proxy(struct patch *patch, const char *at, const struct json *env, struct json *missing) {
    static const char *const names[] = {"NO_PROXY", "no_proxy"};
    size_t index[2];
    const struct json *is[2] = {variable(env, names[0], &index[0]), variable(env, names[1], &index[1])};
    if (!is[0] && !is[1]) {
        add_missing(patch, env, missing, names[0], LOCAL_HOSTS);
        add_missing(patch, env, missing, names[1], LOCAL_HOSTS);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *hosts = json_get_text(is[i], "value");
        if (!is[i] || json_get(is[i], "valueFrom") || (hosts && covers(hosts)))
            continue;
        struct json *item = json_object_new();
        char *text cleanup_free = str_empty(hosts) ? mem_strdup(LOCAL_HOSTS) : mem_printf("%s," LOCAL_HOSTS, hosts);
        int r = json_set_text(item, "name", names[i]);
        if (r == 0)
            r = text ? json_set_text(item, "value", text) : -ENOMEM;
        patch->failed = patch->failed ? patch->failed : r;
        patch_replace(patch, item, "%s/env/%zu", at, index[i]);
    }
}

void environment_add(const struct environment *environment, struct patch *patch, const char *at,
                     const struct json *container) {
    const struct json *env = json_get(container, "env"), *mounts = json_get(container, "volumeMounts");
    const struct json *set, *mounted = mount_at(mounts, SIDECAR_FILES);
    size_t index;
    char url[64];
    struct json *missing = json_array_new(), *new_mounts = json_array_new();
    int r = 0;
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%" PRIu32 "/api/v1", environment->port);
    add_missing(patch, env, missing, "LEPTON_WORKSPACE_ID", environment->workspace);
    add_missing(patch, env, missing, "LEPTON_WORKSPACE_TOKEN", LOCAL_TOKEN);
    add_missing(patch, env, missing, "LEPTON_WORKSPACE_URL", url);
    // A container with a place of its own for these files, or something else where ours are, goes without them.
    set = variable(env, "LEPTON_CACHE_DIR", &index);
    bool ours = mounted ? str_eq(json_get_text(mounted, "name"), SIDECAR_FILES_VOLUME) : !set;
    if (ours)
        add_missing(patch, env, missing, "LEPTON_CACHE_DIR", SIDECAR_FILES);
    if (ours && !mounted)
        r = json_append(new_mounts, sidecar_files_mount());
    for (size_t i = 0; r == 0 && i < environment->files->count; i++)
        if (!mount_at(mounts, environment->files->items[i].path))
            r = json_append(new_mounts, inject_files_mount(environment->files, i));
    patch->failed = patch->failed ? patch->failed : r;
    patch_append(patch, at, "volumeMounts", mounts, new_mounts);
    add_no_proxy(patch, at, env, missing);
    patch_append(patch, at, "env", env, missing);
}
