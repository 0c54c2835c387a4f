// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/inject.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controller/webhook/environment.h"
#include "controller/webhook/patch.h"

static const struct json *named(const struct json *list, const char *name) {
    for (size_t i = 0; i < json_length(list); i++)
        if (str_eq(json_get_text(json_at(list, i), "name"), name))
            return json_at(list, i);
    return NULL;
}

// ---- what cannot be -------------------------------------------------------------------------------------------------

static int check_ports(const struct json *containers, uint32_t port, struct err *err) {
    for (size_t i = 0; i < json_length(containers); i++) {
        const struct json *container = json_at(containers, i), *ports = json_get(container, "ports");
        for (size_t k = 0; !str_eq(json_get_text(container, "name"), SIDECAR_NAME) && k < json_length(ports); k++)
            if (json_get_int(json_at(ports, k), "containerPort", 0) == port)
                return err_set(err, -EINVAL,
                               "container '%.63s' has port %" PRIu32 ", on which the sidecar listens: choose another "
                               "one for the sidecar by the annotation " INJECT_ANNOTATION "-port",
                               json_get_text(container, "name"), port);
    }
    return 0;
}

static int check_pod(const struct json *spec, const struct inject_options *options, struct err *err) {
    if (str_eq(json_get_text(json_get(spec, "os"), "name"), "windows"))
        return err_set(err, -EINVAL, "there is no sidecar for Windows: remove the annotation " INJECT_ANNOTATION);
    if (json_get_bool(spec, "hostNetwork", false))
        return err_set(err, -EINVAL,
                       "with hostNetwork everything on the node could use the pod's sidecar: remove hostNetwork, or "
                       "the annotation " INJECT_ANNOTATION " and use the store with a token (docs/store.md)");
    if (named(json_get(spec, "containers"), SIDECAR_NAME))
        return err_set(err, -EINVAL,
                       "a container is called '" SIDECAR_NAME "', as the sidecar is: call it otherwise, or remove the "
                       "annotation " INJECT_ANNOTATION);
    int r = check_ports(json_get(spec, "initContainers"), options->port, err);
    return r < 0 ? r : check_ports(json_get(spec, "containers"), options->port, err);
}

// ---- the parts --------------------------------------------------------------------------------------------------------

static void add_volumes(struct patch *patch, const struct inject_settings *settings,
                        const struct inject_options *options, const struct json *spec) {
    const struct json *now = json_get(spec, "volumes");
    struct json *missing = json_array_new();
    int r = 0;
    if (!named(now, SIDECAR_TOKEN_VOLUME))
        r = json_append(missing, sidecar_token_volume(settings, options));
    if (r == 0 && !named(now, SIDECAR_FILES_VOLUME))
        r = json_append(missing, sidecar_files_volume());
    for (size_t i = 0; r == 0 && i < options->files.count; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, INJECT_FILES_VOLUME "%zu", i);
        if (!named(now, name))
            r = json_append(missing, inject_files_volume(&options->files, i));
    }
    patch->failed = patch->failed ? patch->failed : r;
    patch_append(patch, "/spec", "volumes", now, missing);
}

static void add_to_containers(struct patch *patch, const struct environment *environment, const struct json *spec,
                              const char *list) {
    const struct json *containers = json_get(spec, list);
    for (size_t i = 0; i < json_length(containers); i++) {
        char at[64];
        (void)snprintf(at, sizeof at, "/spec/%s/%zu", list, i);
        if (!str_eq(json_get_text(json_at(containers, i), "name"), SIDECAR_NAME))
            environment_add(environment, patch, at, json_at(containers, i));
    }
}

// First of all, so that other init containers can use it as well. Last of the patch: it moves the others.
static void add_sidecar(struct patch *patch, const struct inject_settings *settings,
                        const struct inject_options *options, const struct json *spec) {
    const struct json *now = json_get(spec, "initContainers");
    if (named(now, SIDECAR_NAME))
        return;
    struct json *container = sidecar_container(settings, options);
    if (json_length(now) > 0) {
        patch_add(patch, container, "/spec/initContainers/0");
        return;
    }
    struct json *list = json_array_new();
    int r = json_append(list, container);
    patch->failed = patch->failed ? patch->failed : r;
    patch_add(patch, list, "/spec/initContainers");
}

int inject_pod(const struct inject_settings *settings, const struct json *pod, const char *ns, struct json **ret,
               struct err *err) {
    struct inject_options options cleanup(inject_options_done) = {0};
    struct patch patch cleanup(patch_done) = {0};
    const struct json *spec = json_get(pod, "spec");
    *ret = NULL;
    int r = inject_options_read(pod, &options, err);
    if (r < 0 || !options.inject)
        return r;
    r = check_pod(spec, &options, err);
    if (r < 0)
        return r;
    const struct environment environment = {.workspace = ns, .port = options.port, .files = &options.files};
    add_volumes(&patch, settings, &options, spec);
    add_to_containers(&patch, &environment, spec, "initContainers");
    add_to_containers(&patch, &environment, spec, "containers");
    add_sidecar(&patch, settings, &options, spec);
    return patch_end(&patch, ret) < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
}
