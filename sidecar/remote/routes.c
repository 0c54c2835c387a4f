// SPDX-License-Identifier: Apache-2.0
#include "sidecar/remote/routes.h"

#include <errno.h>
#include <string.h>

#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "sidecar/remote/account.h"
#include "sidecar/remote/projector.h"
#include "sidecar/remote/value_cache.h"

// Who asks is the pod, whatever the application sends; where it asked is needed for links to objects.
static const char *const own_fields[] = {"Authorization", "X-Forwarded-Host", "X-Forwarded-Proto",
                                         "Stowage-Local-Links", NULL};

int remote_append_fields(const struct remote *remote, const char *host, struct str *out) {
    (void)account_append_field(remote->account, out);
    if (host)
        (void)str_printf(out, "X-Forwarded-Host: %s\r\nX-Forwarded-Proto: http\r\n", host);
    (void)str_printf(out, "Stowage-Local-Links: %s\r\n", remote->local_links ? "all" : "uploads");
    return out->failed ? -ENOMEM : 0;
}

// What only looks may be asked again. A GET below /queue is not among it: it may take a message away.
static bool only_looks(const struct http_request *request) {
    static const char *const paths[] = {"kv/", "object", "storage", "workspace", "tokens"};
    enum http_method method = http_request_method(request);
    const char *path = http_request_arg(request, "path", NULL);
    bool looks = !*path;
    for (size_t i = 0; !looks && i < ARRAY_SIZE(paths); i++)
        looks = str_starts(path, paths[i]);
    return looks && (method == HTTP_GET || method == HTTP_HEAD);
}

static void pass_on(struct remote *remote, struct http_request *request, struct http_forward *forward) {
    struct str fields cleanup_str = {0};
    forward->upstream = remote->store;
    forward->without = own_fields;
    forward->may_repeat = only_looks(request);
    if (remote_append_fields(remote, http_request_header(request, "Host"), &fields) < 0) {
        if (forward->watcher)
            forward->watcher->ended(forward->arg);
        http_reply_status(request, 503, "out_of_memory", "out of memory; try again later");
        return;
    }
    forward->fields = fields.data;
    http_forward(request, forward);
}

static void handle_api(void *arg, struct http_request *request) {
    struct remote *remote = arg;
    struct http_forward forward = {0};
    if (remote->cache && value_cache_answers(remote->cache, request, &forward))
        return;
    pass_on(remote, request, &forward);
}

static void handle_as_it_is(void *arg, struct http_request *request) {
    struct http_forward forward = {
        .upstream = ((struct remote *)arg)->store, .without = own_fields, .may_repeat = true};
    http_forward(request, &forward);
}

// Files first: what starts after us finds them, as it finds a ConfigMap's.
static void handle_ready(void *arg, struct http_request *request) {
    const struct remote *remote = arg;
    struct err err = ERR_NONE;
    if (remote->projector && !projector_ready(remote->projector, &err))
        http_reply_status(request, 503, "not_ready", "%s", err_text(&err));
    else
        handle_as_it_is(arg, request);
}

static void handle_health(void *arg, struct http_request *request) {
    (void)arg;
    http_reply(request, 200, "text/plain", "ok\n", 3);
}

static void handle_metrics(void *arg, struct http_request *request) {
    struct str body cleanup_str = {0};
    (void)arg;
    if (metrics_render(&body) < 0) {
        http_reply_status(request, 503, "out_of_memory", "out of memory; try again later");
        return;
    }
    size_t len = body.len;
    http_reply_take(request, 200, "text/plain; version=0.0.4", str_take(&body), len);
}

// The store knows its routes, and which body each may have: here they are all the same, also those of a later store.
#define ROUTE(method, path, name)                                                                                      \
    { method, path, true, HTTP_BODY_STREAM, 0, handle_api, name, "Passed on to the store", 0 }
static const struct http_route api_rows[] = {
    ROUTE(HTTP_GET, "/", "root"),           ROUTE(HTTP_GET, "/{path...}", "get"),
    ROUTE(HTTP_HEAD, "/{path...}", "head"), ROUTE(HTTP_PUT, "/{path...}", "put"),
    ROUTE(HTTP_POST, "/{path...}", "post"), ROUTE(HTTP_DELETE, "/{path...}", "delete"),
};
static const struct http_route process_rows[] = {
    {HTTP_GET, "/healthz", false, HTTP_BODY_NONE, 0, handle_health, "healthz", "The process runs", 0},
    {HTTP_GET, "/readyz", false, HTTP_BODY_NONE, 0, handle_ready, "readyz",
     "The store can be reached and used, and files are there", 0},
    {HTTP_GET, "/metrics", false, HTTP_BODY_NONE, 0, handle_metrics, "metrics", "Prometheus metrics", 0},
    {HTTP_GET, "/openapi.json", false, HTTP_BODY_NONE, 0, handle_as_it_is, "openapi", "The store's description", 0},
};

void remote_tables(struct remote *remote, struct http_table ret[static REMOTE_TABLES]) {
    static const char *const prefixes[] = {"/api/v1", "/api/v2/workspaces/{ws}"};
    static const char *const everything[] = {""};
    ret[0] = (struct http_table){prefixes, ARRAY_SIZE(prefixes), api_rows, ARRAY_SIZE(api_rows), remote};
    ret[1] = (struct http_table){everything, 1, process_rows, ARRAY_SIZE(process_rows), remote};
}
