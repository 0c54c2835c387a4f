// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/webhook.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "controller/webhook/inject.h"
#include "controller/webhook/keeper.h"
#include "controller/webhook/review.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metrics.h"
#include "lib/http/server.h"
#include "lib/kube/backoff.h"

#define STOP_GRACE_MS 5000
#define CONNECTIONS_MAX 256 // of API servers
#define TRY_FIRST_MS 1000
#define TRY_MOST_MS 30000

struct webhook {
    struct inject_settings inject;
    struct cluster *cluster;
    struct kube *kube;
    struct http_tls *tls;
    struct http_server *server;
    struct http_table table;
    struct keeper *keeper;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; // of what follows
    pthread_cond_t wake;
    bool stopping;
};

// ---- the routes -------------------------------------------------------------------------------------------------------

static const char *const result_names[] = {"left", "injected", "refused"}; // enum review_result
static struct metric injections = {.type = METRIC_COUNTER,
                                   .name = "stowage_injections_total",
                                   .help = "Pods that the sidecar's webhook was asked about, by what became of them.",
                                   .labels = {"result"}};

static int decide_injection(void *arg, const struct json *request, struct json **ret_patch, struct err *err) {
    const struct webhook *webhook = arg;
    const char *ns = json_get_text(request, "namespace");
    const struct json *pod = json_get(request, "object");
    *ret_patch = NULL;
    if (!ns || !str_eq(json_get_text(pod, "kind"), "Pod") || !str_eq(json_get_text(request, "operation"), "CREATE"))
        return 0; // only a configuration that is not ours asks so
    return inject_pod(&webhook->inject, pod, ns, ret_patch, err);
}

static void post_inject(void *arg, struct http_request *request) {
    size_t len;
    const char *body = http_request_body(request, &len);
    char *answer = NULL;
    enum review_result result = REVIEW_LEFT;
    struct err err = ERR_NONE;
    if (review_answer(body, len, decide_injection, arg, &answer, &result, &err) < 0) {
        http_reply_error(request, &err);
        return;
    }
    metric_add(&injections, result_names[result], NULL, 1);
    http_reply_take(request, 200, "application/json", answer, strlen(answer));
}

static const struct http_route routes[] = {
    {.method = HTTP_POST,
     .pattern = "/inject",
     .body = HTTP_BODY_WHOLE,
     .body_max = REVIEW_MAX,
     .handle = post_inject,
     .name = "inject",
     .summary = "Gives pods their sidecar"},
};
static const char *const prefixes[] = {""};

static int start_server(struct webhook *webhook, const char *address, struct err *err) {
    webhook->table = (struct http_table){
        .prefixes = prefixes, .prefix_count = 1, .routes = routes, .count = ARRAY_SIZE(routes), .arg = webhook};
    const struct http_options options = {.addresses = &address,
                                         .address_count = 1,
                                         .tables = &webhook->table,
                                         .table_count = 1,
                                         .tls = webhook->tls,
                                         .threads = 1,
                                         .connections_max = CONNECTIONS_MAX};
    return http_server_start(&options, &webhook->server, err);
}

// ---- keeping it believed ------------------------------------------------------------------------------------------------

static double count_until(void *arg) {
    return (double)keeper_until(((struct webhook *)arg)->keeper);
}
static struct metric until_metric = {.type = METRIC_GAUGE,
                                     .name = "stowage_webhook_certificate_end_seconds",
                                     .help = "When the webhooks' certificate ends, since 1970; 0: there is none yet.",
                                     .read = count_until};

// False: time to stop.
static bool pause_for(struct webhook *webhook, uint32_t ms) {
    int64_t until_ns = clock_monotonic(&clock_system) + ms * NS_PER_MS;
    struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};
    LOCK_SCOPE(&webhook->lock);
    while (!webhook->stopping && pthread_cond_timedwait(&webhook->wake, &webhook->lock, &until) == 0)
        continue;
    return !webhook->stopping;
}

static void *keep(void *arg) {
    struct webhook *webhook = arg;
    struct backoff backoff = {.first_ms = TRY_FIRST_MS, .most_ms = TRY_MOST_MS};
    uint32_t pause_ms;
    int last = 0;
    do {
        struct err err = ERR_NONE;
        int r = keeper_step(webhook->keeper, &pause_ms, &err);
        if (r < 0 && r != -EAGAIN && r != last)
            log_warning("the webhooks' certificate cannot be looked after; trying again",
                        LOG_S("error", err_text(&err)));
        if (r < 0)
            pause_ms = backoff_next(&backoff, &clock_system);
        else
            backoff_reset(&backoff);
        last = r;
    } while (pause_for(webhook, pause_ms));
    return NULL;
}

// ---- beginning and end ------------------------------------------------------------------------------------------------

static int check(const struct webhook_options *options, struct err *err) {
    if (str_empty(options->inject.image) || str_empty(options->inject.store_url))
        return err_set(err, -EINVAL,
                       "--webhook needs --inject-image and --inject-store-url: which sidecar, and where is "
                       "its store?");
    return 0;
}

static int make_parts(struct webhook *webhook, const struct webhook_options *options, struct err *err) {
    int r = cluster_new(options->kubeconfig, options->ns, &webhook->cluster, err);
    if (r == 0)
        r = cluster_connect(webhook->cluster, 0, &webhook->kube, err);
    if (r == 0)
        r = http_tls_pem_new(&webhook->tls, err);
    if (r < 0)
        return r;
    const struct keeper_options keeper = {.kube = webhook->kube,
                                          .ns = cluster_namespace(webhook->cluster),
                                          .name = options->name,
                                          .tls = webhook->tls,
                                          .clock = &clock_system};
    r = keeper_new(&keeper, &webhook->keeper, err);
    return r < 0 ? r : start_server(webhook, options->address, err);
}

static void init_lock(struct webhook *webhook) {
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&webhook->lock, NULL);
    (void)pthread_cond_init(&webhook->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
}

int webhook_start(const struct webhook_options *options, struct webhook **ret, struct err *err) {
    struct webhook *webhook cleanup(webhook_freep) = mem_zalloc(sizeof *webhook);
    if (!webhook)
        return err_set(err, -ENOMEM, "out of memory");
    init_lock(webhook);
    webhook->inject = options->inject;
    int r = check(options, err);
    if (r == 0)
        r = make_parts(webhook, options, err);
    if (r < 0)
        return err_wrap(err, r, "webhook");
    until_metric.arg = webhook;
    metric_register(&injections);
    metric_register(&until_metric);
    r = pthread_create(&webhook->thread, NULL, keep, webhook);
    if (r != 0)
        return err_set(err, -r, "webhook: no thread can be made");
    webhook->started = true;
    *ret = take_ptr(webhook);
    return 0;
}

struct webhook *webhook_free(struct webhook *webhook) {
    if (!webhook)
        return NULL;
    if (webhook->server)
        http_server_stop(webhook->server, STOP_GRACE_MS);
    if (webhook->started) {
        {
            LOCK_SCOPE(&webhook->lock);
            webhook->stopping = true;
            (void)pthread_cond_broadcast(&webhook->wake);
        }
        (void)pthread_join(webhook->thread, NULL);
    }
    (void)http_server_free(webhook->server);
    (void)keeper_free(webhook->keeper);
    (void)http_tls_pem_free(webhook->tls);
    (void)kube_free(webhook->kube);
    (void)cluster_free(webhook->cluster);
    (void)pthread_cond_destroy(&webhook->wake);
    (void)pthread_mutex_destroy(&webhook->lock);
    free(webhook);
    return NULL;
}
