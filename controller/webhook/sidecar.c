// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/sidecar.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/projection/limits.h"

#define TEXT_MAX (64U << 10)
#define STORE_PATIENCE 60 // probes, one a second
#define FILES_PATIENCE 86400
#define SECRETS "/var/run/secrets/stowage.dev" // where the sidecar looks for its token

// The objects are written as texts, the way one reads them; only what is not ours is quoted.
static struct json *parsed(struct str *text) {
    struct json *ret = NULL;
    return !text->failed && json_parse(str_text(text), text->len, TEXT_MAX, &ret, NULL) == 0 ? ret : NULL;
}

static void quoted(struct str *out, const char *before, const char *text) {
    (void)str_append(out, before);
    (void)json_append_quoted(out, text);
}

static const char *store_ca(const struct inject_settings *settings, const struct inject_options *options) {
    return options->store_ca ? options->store_ca : settings->store_ca;
}

static void add_environment(struct str *out, const struct inject_settings *settings,
                            const struct inject_options *options) {
    quoted(out, ",\"env\":[{\"name\":\"STOWAGE_STORE_URL\",\"value\":", settings->store_url);
    (void)str_append(out, "},{\"name\":\"STOWAGE_WRITE_SDK_FILES\",\"value\":\"" SIDECAR_FILES "\"}");
    if (!str_empty(store_ca(settings, options)))
        (void)str_append(out, ",{\"name\":\"STOWAGE_STORE_CA\",\"value\":\"" SECRETS "/ca.crt\"}");
    if (options->cache)
        (void)str_printf(out, ",{\"name\":\"STOWAGE_CACHE\",\"value\":\"%" PRId64 "\"}", options->cache);
    if (options->local_links)
        (void)str_append(out, ",{\"name\":\"STOWAGE_LOCAL_LINKS\",\"value\":\"true\"}");
    if (options->files.count) {
        struct str projects cleanup_str = {0};
        inject_files_append_projects(&options->files, &projects);
        quoted(out, ",{\"name\":\"STOWAGE_PROJECT\",\"value\":", str_text(&projects));
        out->failed = out->failed || projects.failed;
        (void)str_printf(out, "},{\"name\":\"STOWAGE_PROJECT_MAX_BYTES\",\"value\":\"%" PRId64 "\"}",
                         options->files_max_bytes);
    }
    if (options->files_notify) {
        quoted(out, ",{\"name\":\"STOWAGE_PROJECT_NOTIFY\",\"value\":", options->files_notify);
        (void)str_append(out, "}");
    }
    (void)str_printf(out, ",{\"name\":\"STOWAGE_LOG_LEVEL\",\"value\":\"%s\"}]", inject_log_levels[options->log_level]);
}

// What is cached, and files, which are memory of who wrote them, come on top of what the sidecar takes by itself.
static void add_resources(struct str *out, const struct inject_settings *settings,
                          const struct inject_options *options) {
    int64_t files = (int64_t)options->files.count, bytes = options->files_max_bytes;
    quoted(out, ",\"resources\":{\"requests\":{\"cpu\":", settings->cpu_request);
    (void)str_printf(out, ",\"memory\":\"%" PRId64 "\"}", settings->memory_request + options->cache + files * bytes);
    if (settings->memory_limit)
        (void)str_printf(out, ",\"limits\":{\"memory\":\"%" PRId64 "\"}",
                         settings->memory_limit + options->cache + files * projection_memory_bytes(bytes));
    (void)str_append(out, "}");
}

struct json *sidecar_container(const struct inject_settings *settings, const struct inject_options *options) {
    struct str out cleanup_str = {0};
    quoted(&out, "{\"name\":\"" SIDECAR_NAME "\",\"image\":", settings->image);
    quoted(&out, ",\"imagePullPolicy\":", settings->pull_policy);
    (void)str_printf(&out,
                     ",\"restartPolicy\":\"Always\",\"command\":[\"stowage-sidecar\",\"--engine\",\"remote\"]"
                     ",\"args\":[\"--listen=127.0.0.1:%" PRIu32 "\"]",
                     options->port);
    add_environment(&out, settings, options);
    // Nothing of the pod starts before the store was reached and files are there; after that the sidecar answers for both. A
    // namespace that is missing is waited for, as a ConfigMap is: restarts would only make the waiting longer.
    (void)str_printf(
        &out,
        ",\"startupProbe\":{\"exec\":{\"command\":[\"stowage-sidecar\",\"--engine\",\"remote\",\"--probe\","
        "\"--listen=127.0.0.1:%" PRIu32 "\"]},\"periodSeconds\":1,\"timeoutSeconds\":5,"
        "\"failureThreshold\":%d}",
        options->port, inject_files_wait(&options->files) ? FILES_PATIENCE : STORE_PATIENCE);
    add_resources(&out, settings, options);
    // The pod's own securityContext may say something else, such as root; this fits the level "restricted" in any pod.
    (void)str_append(&out,
                     ",\"securityContext\":{\"runAsNonRoot\":true,\"runAsUser\":65532,\"runAsGroup\":65532,"
                     "\"readOnlyRootFilesystem\":true,\"allowPrivilegeEscalation\":false,\"privileged\":false,"
                     "\"capabilities\":{\"drop\":[\"ALL\"]},\"seccompProfile\":{\"type\":\"RuntimeDefault\"}}"
                     ",\"volumeMounts\":[{\"name\":\"" SIDECAR_TOKEN_VOLUME "\",\"mountPath\":\"" SECRETS "\","
                     "\"readOnly\":true},{\"name\":\"" SIDECAR_FILES_VOLUME "\",\"mountPath\":\"" SIDECAR_FILES "\"}");
    inject_files_append_mounts(&options->files, &out);
    (void)str_append(&out, "]}");
    return parsed(&out);
}

struct json *sidecar_token_volume(const struct inject_settings *settings, const struct inject_options *options) {
    struct str out cleanup_str = {0};
    quoted(&out,
           "{\"name\":\"" SIDECAR_TOKEN_VOLUME "\",\"projected\":{\"sources\":[{\"serviceAccountToken\":"
           "{\"path\":\"token\",\"expirationSeconds\":3600,\"audience\":",
           settings->audience);
    (void)str_append(&out, "}}");
    if (!str_empty(store_ca(settings, options))) {
        quoted(&out, ",{\"configMap\":{\"name\":", store_ca(settings, options));
        (void)str_append(&out, ",\"items\":[{\"key\":\"ca.crt\",\"path\":\"ca.crt\"}]}}");
    }
    (void)str_append(&out, "]}}");
    return parsed(&out);
}

static struct json *constant(const char *text) {
    struct str out cleanup_str = {0};
    (void)str_append(&out, text);
    return parsed(&out);
}
struct json *sidecar_files_volume(void) {
    return constant("{\"name\":\"" SIDECAR_FILES_VOLUME
                    "\",\"emptyDir\":{\"medium\":\"Memory\",\"sizeLimit\":\"1Mi\"}}");
}
// Readable, and no more: `lep login` in one container would change what the others use.
struct json *sidecar_files_mount(void) {
    return constant("{\"name\":\"" SIDECAR_FILES_VOLUME "\",\"mountPath\":\"" SIDECAR_FILES "\",\"readOnly\":true}");
}
