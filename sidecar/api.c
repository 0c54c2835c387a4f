// SPDX-License-Identifier: Apache-2.0
#include "sidecar/api.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/metrics.h"
#include "sidecar/backup.h"
#include "sidecar/job.h"

static const struct route_table *const parts[] = {
    &workspace_routes,     &kv_routes,     &kv_batch_routes,      &queue_routes,
    &queue_message_routes, &object_routes, &lepton_object_routes, &storage_routes,
};

static void handle_health(void *arg, struct http_request *request) {
    (void)arg;
    http_reply(request, 200, "text/plain", "ok\n", 3);
}

static void handle_ready(void *arg, struct http_request *request) {
    const struct engine *engine = ((struct api *)arg)->service->engine;
    struct err err = ERR_NONE;
    if (engine->probe(engine->self, &err) < 0)
        http_reply_status(request, 503, "not_ready", "%s", err_text(&err));
    else
        http_reply(request, 200, "text/plain", "ready\n", 6);
}

static void handle_metrics(void *arg, struct http_request *request) {
    struct str body cleanup_str = {0};
    (void)arg;
    if (metrics_render(&body) < 0) {
        reply_out_of_memory(request);
        return;
    }
    size_t len = body.len;
    http_reply_take(request, 200, "text/plain; version=0.0.4", str_take(&body), len);
}

static void handle_openapi(void *arg, struct http_request *request) {
    const struct api *api = arg;
    reply_json(request, 200, http_openapi("Stowage store", api->tables, ARRAY_SIZE(api->tables)));
}

static void handle_backup(void *arg, struct http_request *request) {
    backup_start(((struct api *)arg)->service, request);
}

static const struct http_route process_rows[] = {
    {HTTP_GET, "/healthz", false, HTTP_BODY_NONE, 0, handle_health, "healthz", "The process runs", 0},
    {HTTP_GET, "/readyz", false, HTTP_BODY_NONE, 0, handle_ready, "readyz", "The store can be used", 0},
    {HTTP_GET, "/metrics", false, HTTP_BODY_NONE, 0, handle_metrics, "metrics", "Prometheus metrics", 0},
    {HTTP_GET, "/openapi.json", false, HTTP_BODY_NONE, 0, handle_openapi, "openapi", "This description", 0},
    {HTTP_POST, "/admin/backup/{name}", false, HTTP_BODY_NONE, 0, handle_backup, "admin_backup",
     "Copy the whole store into the backup folder, under this name", ACCESS_ADMIN},
};

int api_build(struct service *service, struct api *ret, struct err *err) {
    static const char *const prefixes[] = {"/api/v1", "/api/v2/workspaces/{ws}"};
    static const char *const everything[] = {""};
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        count += parts[i]->count;
    *ret = (struct api){.rows = mem_array(count, sizeof *ret->rows), .service = service};
    if (!ret->rows)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        memcpy(&ret->rows[ret->count], parts[i]->rows, parts[i]->count * sizeof *ret->rows);
        ret->count += parts[i]->count;
    }
    ret->tables[0] = (struct http_table){prefixes, ARRAY_SIZE(prefixes), ret->rows, ret->count, service};
    ret->tables[1] = (struct http_table){everything, 1, process_rows, ARRAY_SIZE(process_rows), ret};
    return 0;
}

void api_done(struct api *api) {
    free(api->rows);
    *api = (struct api){0};
}
