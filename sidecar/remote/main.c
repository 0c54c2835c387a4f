// SPDX-License-Identifier: Apache-2.0
// stowage-sidecar --engine remote: settings, the pod's token, the way to the store, the HTTP server; then it waits for a
// signal and keeps the token fresh, and takes everything down in reverse.
//
// A program of its own, which stowage-sidecar becomes: beside every workload only what passing on needs is loaded.
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/http/tls.h"
#include "sidecar/remote/account.h"
#include "sidecar/remote/config.h"
#include "sidecar/remote/locator.h"
#include "sidecar/remote/probe.h"
#include "sidecar/remote/projector.h"
#include "sidecar/remote/routes.h"
#include "sidecar/remote/sdk_files.h"
#include "sidecar/remote/value_cache.h"

#define STOP_GRACE_MS 10000
#define TOKEN_LOOK_S 1

struct process { // in the order of their making
    struct remote_config config;
    struct account *account;
    struct http_tls *tls;
    struct http_upstream *store;
    struct locator *locator;
    struct remote remote;
    struct http_table tables[REMOTE_TABLES];
    struct http_server *http;
};

// ---- building, in order -------------------------------------------------------------------------------------------

static int start_account(struct process *p, struct err *err) {
    return account_open(p->config.token_file, &p->account, err);
}

static int start_store(struct process *p, struct err *err) {
    const struct remote_config *config = &p->config;
    bool v6 = config->host && strchr(config->host, ':');
    char *name cleanup_free = mem_printf("the store %s", config->store_url);
    char *host cleanup_free =
        config->unix_path ? mem_strdup("localhost") : mem_printf(v6 ? "[%s]:%s" : "%s:%s", config->host, config->port);
    struct http_upstream_options options = {
        .name = name, .host = host, .remedy = "Try again; if it stays so, look whether its pod runs"};
    if (!name || !host)
        return err_set(err, -ENOMEM, "out of memory");
    int r = config->tls ? http_tls_client_new(config->store_ca, config->host, &p->tls, err) : 0;
    options.tls = p->tls;
    return r < 0 ? r : http_upstream_new(&options, &p->store, err);
}

static int start_locator(struct process *p, struct err *err) {
    if (p->config.unix_path)
        return http_upstream_set_unix(p->store, p->config.unix_path, err);
    return locator_start(p->store, p->config.host, p->config.port, &p->locator, err);
}

static int start_routes(struct process *p, struct err *err) {
    p->remote = (struct remote){.store = p->store, .account = p->account, .local_links = p->config.local_links};
    remote_tables(&p->remote, p->tables);
    return p->config.cache ? value_cache_new(p->config.cache, &p->remote, &p->remote.cache, err) : 0;
}

static int make_projector(struct process *p, struct err *err) {
    const struct projector_options options = {.specs = p->config.projects,
                                              .bytes_max = p->config.project_max_bytes,
                                              .mode = p->config.project_mode,
                                              .notify = p->config.project_notify};
    return options.specs.count ? projector_new(&options, &p->remote, &p->remote.projector, err) : 0;
}

static int start_http(struct process *p, struct err *err) {
    struct http_options options = {
        .addresses = (const char *const *)p->config.listen.items,
        .address_count = p->config.listen.count,
        .tables = p->tables,
        .table_count = REMOTE_TABLES,
        .threads = p->config.threads,
        .connections_max = p->config.connections,
    };
    return http_server_start(&options, &p->http, err);
}

static int write_sdk_files(struct process *p, struct err *err) {
    if (!p->config.write_sdk_files)
        return 0;
    char *own cleanup_free = account_namespace(p->account);
    const char *workspace = p->config.workspace ? p->config.workspace : own;
    char *url cleanup_free = mem_printf("http://127.0.0.1:%u/api/v1", http_server_port(p->http));
    if (!workspace)
        return err_set(err, -EINVAL, "give --workspace: the token does not say its namespace");
    if (!url)
        return err_set(err, -ENOMEM, "out of memory");
    if (!http_server_port(p->http))
        return err_set(err, -EINVAL, "--write-sdk-files needs a TCP address to --listen on: the SDK knows no sockets");
    return sdk_files_write(p->config.write_sdk_files, workspace, url, err);
}

static int start_projector(struct process *p, struct err *err) {
    return p->remote.projector ? projector_start(p->remote.projector, p->http, err) : 0;
}

static int start(struct process *p, struct err *err) {
    static int (*const steps[])(struct process *, struct err *) = {start_account,   start_store,    start_locator,
                                                                   start_routes,    make_projector, start_http,
                                                                   write_sdk_files, start_projector};
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(steps); i++)
        r = steps[i](p, err);
    return r;
}

static void stop(struct process *p) {
    projector_stop(p->remote.projector);
    if (p->http)
        http_server_stop(p->http, STOP_GRACE_MS);
    p->http = http_server_free(p->http);
    p->remote.cache = value_cache_free(p->remote.cache);
    p->remote.projector = projector_free(p->remote.projector);
    if (!locator_stop(p->locator))
        return; // it uses the rest until the process ends
    p->store = http_upstream_free(p->store);
    p->tls = http_tls_client_free(p->tls);
    p->account = account_free(p->account);
    remote_config_done(&p->config);
}

// ---- the process ------------------------------------------------------------------------------------------------

static sigset_t handled_signals(void) {
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        (void)sigaddset(&set, numbers[i]);
    return set;
}

static void reload_token(struct process *p) {
    struct err err = ERR_NONE;
    static char last[sizeof err.msg]; // a file that stays wrong is told of once
    bool changed = false;
    if (account_reload(p->account, &changed, &err) < 0 && strcmp(last, err_text(&err)) != 0)
        log_error("token not read again: the old one is sent", LOG_S("error", err_text(&err)));
    (void)snprintf(last, sizeof last, "%s", err.code ? err_text(&err) : "");
    if (changed)
        log_info("token read again", LOG_S("file", p->config.token_file));
}

static void run_until_signal(struct process *p) {
    sigset_t set = handled_signals();
    const struct timespec wait = {.tv_sec = TOKEN_LOOK_S};
    while (true) {
        int number = sigtimedwait(&set, NULL, &wait);
        if (number == SIGTERM || number == SIGINT) {
            log_info("stopping", LOG_I("signal", number));
            return;
        }
        reload_token(p);
    }
}

int main(int argc, char **argv) {
    struct process p = {0};
    struct err err = ERR_NONE;
    sigset_t set = handled_signals();
    (void)mallopt(M_ARENA_MAX, 1);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL); // before any thread starts, so that all of them leave these to main
    int r = remote_config_read(argc, argv, &p.config, &err);
    if (r == -ECANCELED)
        return 0;
    log_init("stowage-sidecar", (enum log_level)p.config.log_level, (enum log_format)p.config.log_format);
    bool serve = r == 0 && !p.config.probe;
    if (r == 0)
        r = serve ? start(&p, &err) : probe_ready(p.config.listen.items[0], &err);
    if (r < 0) {
        (void)fprintf(stderr, "stowage-sidecar: %s\n", err_text(&err));
    } else if (serve) {
        log_info("started", LOG_S("version", STOWAGE_VERSION), LOG_S("listen", p.config.listen.items[0]),
                 LOG_I("port", http_server_port(p.http)), LOG_S("store", p.config.store_url));
        run_until_signal(&p);
    }
    stop(&p);
    return r == 0 ? 0 : 1;
}
