// SPDX-License-Identifier: Apache-2.0
// The workspace itself: what clients ask for at login.
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "sidecar/job.h"
#include "sidecar/tokens.h"

static void handle_root(void *arg, struct http_request *request) {
    (void)arg;
    struct json *object cleanup(json_freep) = json_object_new();
    const char *workspace = request_workspace(request);
    if (json_set_text(object, "id", workspace) < 0 || json_set_text(object, "display_name", workspace) < 0 ||
        json_set_text(object, "server", "stowage-sidecar " STOWAGE_VERSION) < 0)
        object = json_free(object);
    reply_json(request, 200, take_ptr(object));
}

static void handle_tokens(void *arg, struct http_request *request) {
    struct service *service = arg;
    reply_json(request, 200, tokens_masked(service->tokens, request_workspace(request)));
}

// ---- /workspace: the shape that the SDK requires (its class WorkspaceInfo) ----

struct number {
    const char *name;
    int64_t value;
};

static struct json *numbers_json(const struct number *numbers, size_t count) {
    struct json *object cleanup(json_freep) = json_object_new();
    for (size_t i = 0; i < count; i++)
        if (json_set_int(object, numbers[i].name, numbers[i].value) < 0)
            return NULL;
    return take_ptr(object);
}

static struct json *pair_json(const char *first, struct json *first_value, const char *second,
                              struct json *second_value) {
    struct json *object cleanup(json_freep) = json_object_new();
    int r = json_set(object, first, first_value) | json_set(object, second, second_value);
    return r == 0 ? take_ptr(object) : NULL;
}

static struct json *info_json(const char *workspace, const struct workspace_usage *usage) {
    static const struct number workloads[] = {{"num_deployments", 0}, {"num_photons", 0},
                                              {"num_jobs", 0},        {"num_pods", 0},
                                              {"num_secrets", 0},     {"num_image_pull_secrets", 0}};
    static const struct number resources[] = {{"cpu", 0}, {"memory", 0}, {"accelerator_num", 0}};
    const struct number used[] = {{"kv_store_num", usage->namespaces}, {"queue_num", usage->queues}};
    static const struct number unlimited[] = {{"kv_store_num", 0}, {"queue_num", 0}};
    const struct number store[] = {{"kv_bytes", usage->kv_bytes},
                                   {"queue_bytes", usage->queue_bytes},
                                   {"object_bytes", usage->object_bytes},
                                   {"objects", usage->objects}};
    const char *const texts[][2] = {
        {"build_time", "unknown"},         {"git_commit", STOWAGE_VERSION}, {"workspace_name", workspace},
        {"workspace_tier", "self-hosted"}, {"workspace_state", "normal"},
    };
    struct json *object cleanup(json_freep) = json_object_new();
    int r = object ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(texts); i++)
        r = json_set_text(object, texts[i][0], texts[i][1]);
    r |=
        json_set_int(object, "workspace_disk_usage_bytes", usage->kv_bytes + usage->queue_bytes + usage->object_bytes) |
        json_set(object, "supported_shapes", json_object_new()) |
        json_set(object, "workloads", numbers_json(workloads, ARRAY_SIZE(workloads))) |
        json_set(object, "resource_quota",
                 pair_json("limit", numbers_json(resources, 3), "used", numbers_json(resources, 3))) |
        json_set(object, "service_quota",
                 pair_json("limit", numbers_json(unlimited, 2), "used", numbers_json(used, 2))) |
        json_set(object, "store", numbers_json(store, ARRAY_SIZE(store)));
    return r == 0 ? take_ptr(object) : NULL;
}

struct info_job {
    struct work work;
    struct service *service;
    struct http_request *request;
};

static void run_info(struct work *work) {
    struct info_job *job = (struct info_job *)work; // the first member
    struct workspace_usage usage = {0};
    struct err err = ERR_NONE;
    const struct engine *engine = job->service->engine;
    const char *workspace = request_workspace(job->request);
    if (engine->usage(engine->self, workspace, &usage, &err) < 0)
        http_reply_error(job->request, &err);
    else
        reply_json(job->request, 200, info_json(workspace, &usage));
    free(job);
}

static void handle_info(void *arg, struct http_request *request) {
    struct service *service = arg;
    struct info_job *job = mem_zalloc(sizeof *job);
    if (!job) {
        reply_out_of_memory(request);
        return;
    }
    *job = (struct info_job){.work = {.run = run_info}, .service = service, .request = request};
    if (workq_push(service->workers, &job->work) == 0)
        return;
    free(job);
    http_reply_status(request, 503, "shutting_down", "the server is stopping");
}

static const struct http_route rows[] = {
    {HTTP_GET, "/", false, HTTP_BODY_NONE, 0, handle_root, "workspace_root", "The workspace's name", ACCESS_READ},
    {HTTP_GET, "/workspace", false, HTTP_BODY_NONE, 0, handle_info, "workspace_info", "What the workspace holds",
     ACCESS_READ},
    {HTTP_GET, "/tokens", false, HTTP_BODY_NONE, 0, handle_tokens, "workspace_tokens", "The workspace's tokens, masked",
     ACCESS_READ},
};
const struct route_table workspace_routes = {rows, ARRAY_SIZE(rows)};
