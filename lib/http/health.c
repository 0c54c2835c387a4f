// SPDX-License-Identifier: Apache-2.0
#include "lib/http/health.h"

#include <errno.h>

#include "lib/base/mem.h"
#include "lib/base/metrics.h"

// Requests are short GETs from probes and scrapers.
#define CONNECTIONS_MAX 32

struct http_health {
    struct http_server *server;
    http_health_fn *healthz;
    void *arg;
    struct http_table table;
};

static void answer(struct http_request *request, http_health_fn *fill, void *arg) {
    struct str body cleanup_str = {0};
    const char *type = "text/plain; charset=utf-8";
    int status = fill(arg, &body, &type);
    size_t len = body.len;
    http_reply(request, body.failed ? 500U : (unsigned)status, type, str_text(&body), body.failed ? 0 : len);
}

static int fill_metrics(void *arg, struct str *body, const char **ret_type) {
    (void)arg;
    *ret_type = "text/plain; version=0.0.4; charset=utf-8";
    return metrics_render(body) < 0 ? 500 : 200;
}

static void get_healthz(void *arg, struct http_request *request) {
    const struct http_health *health = arg;
    answer(request, health->healthz, health->arg);
}
static void get_metrics(void *arg, struct http_request *request) {
    (void)arg;
    answer(request, fill_metrics, NULL);
}

static const struct http_route routes[] = {
    {.method = HTTP_GET,
     .pattern = "/healthz",
     .handle = get_healthz,
     .name = "healthz",
     .summary = "Is the process well?"},
    {.method = HTTP_GET,
     .pattern = "/metrics",
     .handle = get_metrics,
     .name = "metrics",
     .summary = "Prometheus metrics"},
};
static const char *const prefixes[] = {""};

int http_health_start(const char *address, http_health_fn *healthz, void *arg, struct http_health **ret,
                      struct err *err) {
    struct http_health *health cleanup(http_health_freep) = mem_zalloc(sizeof *health);
    if (!health)
        return err_set(err, -ENOMEM, "out of memory");
    *health = (struct http_health){
        .healthz = healthz,
        .arg = arg,
        .table =
            {.prefixes = prefixes, .prefix_count = 1, .routes = routes, .count = ARRAY_SIZE(routes), .arg = health},
    };
    struct http_options options = {
        .addresses = &address,
        .address_count = 1,
        .tables = &health->table,
        .table_count = 1,
        .threads = 1,
        .connections_max = CONNECTIONS_MAX,
    };
    int r = http_server_start(&options, &health->server, err);
    if (r < 0)
        return r;
    *ret = take_ptr(health);
    return 0;
}

uint16_t http_health_port(const struct http_health *health) {
    return http_server_port(health->server);
}

struct http_health *http_health_free(struct http_health *health) {
    if (health)
        (void)http_server_free(health->server);
    free(health);
    return NULL;
}
