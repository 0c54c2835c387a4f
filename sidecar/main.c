// SPDX-License-Identifier: Apache-2.0
// stowage-sidecar: settings, store, tokens, file systems, the HTTP server; then it waits for a signal, and takes everything
// down in reverse.
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/http/tls.h"
#include "sidecar/access.h"
#include "sidecar/api.h"
#include "sidecar/cluster.h"
#include "sidecar/config.h"
#include "sidecar/data_dir.h"
#include "sidecar/engine/sqlite/sqlite.h"
#include "sidecar/files.h"
#include "sidecar/program.h"
#include "sidecar/reviews.h"
#include "sidecar/tokens.h"

#define STOP_GRACE_MS 10000
#define TOKENS_LOOK_S 2 // how often the file of tokens is looked at

struct process { // in the order of their making
    struct sidecar_config config;
    char *backup_folder;
    struct signer signer;
    struct engine engine;
    struct workq *workers;
    struct tokens *tokens, *admins;
    struct cluster *cluster;
    struct review_rule *rules;
    struct reviews *reviews;
    struct file_systems *files;
    struct service service;
    struct api api;
    struct http_tls *tls;
    struct http_server *http;
};

// ---- building, in order -------------------------------------------------------------------------------------------

static char *in_data_dir(const struct process *p, const char *name) {
    return mem_printf("%s/%s", p->config.data_dir, name);
}

static int start_data(struct process *p, struct err *err) {
    p->backup_folder = p->config.backup_dir ? mem_strdup(p->config.backup_dir) : in_data_dir(p, "backups");
    if (!p->backup_folder)
        return err_set(err, -ENOMEM, "out of memory");
    int r = data_dir_make(p->config.data_dir, err);
    return r < 0 ? r : data_dir_signer(p->config.data_dir, &clock_system, &p->signer, err);
}

static int start_engine(struct process *p, struct err *err) {
    char *folder cleanup_free = in_data_dir(p, "store");
    struct sqlite_engine_options options = {
        .folder = folder, .readers = p->config.readers, .skip_check = p->config.skip_check};
    if (!folder)
        return err_set(err, -ENOMEM, "out of memory");
    return sqlite_engine_open(&options, &p->engine, err);
}

static int start_workers(struct process *p, struct err *err) {
    return workq_new("files", p->config.workers, &p->workers, err);
}

static int set_quota(void *arg, const char *workspace) {
    struct process *p = arg;
    struct err err = ERR_NONE;
    struct quota quota;
    sidecar_config_quota(&p->config, workspace, &quota);
    int r = p->engine.set_quota(p->engine.self, workspace, &quota, &err);
    if (r < 0)
        log_error("quota not set", LOG_S("workspace", workspace), LOG_S("error", err_text(&err)));
    return r;
}

static int open_tokens(struct process *p, const char *given, const char *name, const char *workspace,
                       struct tokens **ret, struct err *err) {
    char *path cleanup_free = given ? mem_strdup(given) : in_data_dir(p, name);
    if (!path)
        return err_set(err, -ENOMEM, "out of memory");
    int r = given ? 0 : tokens_generate(path, workspace, &clock_system, err);
    if (r == 0)
        r = tokens_open(path, &clock_system, ret, err);
    if (r == 0 && !given)
        log_info("token", LOG_S("file", path), LOG_S("workspace", workspace));
    return r;
}

static int start_tokens(struct process *p, struct err *err) {
    int r = open_tokens(p, p->config.tokens, "token", "default", &p->tokens, err);
    if (r == 0)
        r = open_tokens(p, NULL, "admin-token", "admin", &p->admins, err);
    if (r == 0 && tokens_each_workspace(p->tokens, set_quota, p) < 0)
        r = err_set(err, -EIO, "the quotas cannot be set; the log tells why");
    return r;
}

static int ask_cluster(void *arg, const char *token, struct review_account *ret, struct err *err) {
    return cluster_review(((struct process *)arg)->cluster, token, ret, err);
}

static void workspace_seen(void *arg, const char *workspace) {
    log_info("workspace", LOG_S("namespace", workspace));
    (void)set_quota(arg, workspace);
}

static int start_reviews(struct process *p, struct err *err) {
    const struct field_list *rules = &p->config.service_accounts;
    struct cluster_options cluster = {p->config.token_review, p->config.token_review_token, p->config.token_review_ca,
                                      p->config.token_audience};
    if (!p->config.token_review)
        return 0;
    if (!cluster_new) // not reached: --token-review is for stowage-sidecar-cluster
        return err_set(err, -ENOSYS, "this program knows no clusters: run stowage-sidecar");
    p->rules = mem_array(rules->count ? rules->count : 1, sizeof *p->rules);
    int r = p->rules ? 0 : err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; r == 0 && i < rules->count; i++)
        r = review_rule_parse(rules->items[i], &p->rules[i], err);
    if (r == 0)
        r = cluster_new(&cluster, &p->cluster, err);
    struct reviews_options options = {ask_cluster, workspace_seen, p, &clock_system, p->rules, rules->count};
    return r < 0 ? r : reviews_new(&options, &p->reviews, err);
}

static void stop_reviews(struct process *p) {
    p->reviews = reviews_free(p->reviews);
    p->cluster = p->cluster ? cluster_free(p->cluster) : NULL;
    for (size_t i = 0; p->rules && i < p->config.service_accounts.count; i++)
        review_rule_done(&p->rules[i]);
    free(take_ptr(p->rules));
}

static int start_files(struct process *p, struct err *err) {
    char only[ENGINE_NAME_MAX + 1];
    bool one = tokens_only_workspace(p->tokens, only);
    char *folder cleanup_free = in_data_dir(p, "files");
    int r = folder ? file_systems_new(folder, &p->files, err) : err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; r == 0 && i < p->config.file_systems.count; i++)
        r = file_systems_add(p->files, p->config.file_systems.items[i], one ? only : NULL, err);
    return r;
}

static int start_api(struct process *p, struct err *err) {
    p->service = (struct service){
        .engine = &p->engine,
        .backup = sqlite_engine_backup,
        .backup_folder = p->backup_folder,
        .tokens = p->tokens,
        .admins = p->admins,
        .reviews = p->reviews,
        .signer = &p->signer,
        .files = p->files,
        .workers = p->workers,
        .clock = &clock_system,
        .public_url = p->config.public_url,
        .tls = p->config.tls_cert,
    };
    return api_build(&p->service, &p->api, err);
}

static int start_http(struct process *p, struct err *err) {
    struct http_options options = {
        .addresses = (const char *const *)p->config.listen.items,
        .address_count = p->config.listen.count,
        .tables = p->api.tables,
        .table_count = API_TABLES,
        .authorize = access_authorize,
        .authorize_arg = &p->service,
        .threads = p->config.threads,
        .connections_max = p->config.connections,
    };
    int r = p->config.tls_cert ? http_tls_new(p->config.tls_cert, p->config.tls_key, &p->tls, err) : 0;
    options.tls = p->tls;
    return r < 0 ? r : http_server_start(&options, &p->http, err);
}

static int start(struct process *p, struct err *err) {
    static int (*const steps[])(struct process *, struct err *) = {
        start_data, start_engine, start_workers, start_tokens, start_reviews, start_files, start_api, start_http};
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(steps); i++)
        r = steps[i](p, err);
    return r;
}

static void stop(struct process *p) {
    if (p->http) {
        p->engine.drain(p->engine.self); // long polls end, so that their connections can
        http_server_stop(p->http, STOP_GRACE_MS);
    }
    // Before the server: what ends here still answers to it.
    stop_reviews(p);
    p->workers = workq_free(p->workers);
    if (p->engine.self)
        sqlite_engine_close(&p->engine);
    p->http = http_server_free(p->http);
    p->tls = http_tls_free(p->tls);
    api_done(&p->api);
    p->files = file_systems_free(p->files);
    p->admins = tokens_free(p->admins);
    p->tokens = tokens_free(p->tokens);
    free(take_ptr(p->backup_folder));
    sidecar_config_done(&p->config);
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

static void reload_tokens(struct process *p, bool always) {
    struct err err = ERR_NONE;
    static char last[sizeof err.msg]; // a file that stays wrong is told of once
    bool changed = false;
    if (tokens_reload(p->tokens, always, &changed, &err) < 0) {
        if (strcmp(last, err_text(&err)) != 0)
            log_error("tokens not read again: the old ones count", LOG_S("error", err_text(&err)));
        (void)snprintf(last, sizeof last, "%s", err_text(&err));
        return;
    }
    last[0] = '\0';
    if (!changed)
        return;
    log_info("tokens read again", LOG_S("file", p->config.tokens ? p->config.tokens : "token"));
    (void)tokens_each_workspace(p->tokens, set_quota, p);
}

static void run_until_signal(struct process *p) {
    sigset_t set = handled_signals();
    const struct timespec wait = {.tv_sec = TOKENS_LOOK_S};
    while (true) {
        int number = sigtimedwait(&set, NULL, &wait);
        if (number == SIGTERM || number == SIGINT) {
            log_info("stopping", LOG_I("signal", number));
            return;
        }
        reload_tokens(p, number == SIGHUP);
    }
}

static int restore(const struct sidecar_config *config, struct err *err) {
    char *folder cleanup_free = mem_printf("%s/store", config->data_dir);
    if (!folder)
        return err_set(err, -ENOMEM, "out of memory");
    int r = data_dir_make(config->data_dir, err);
    if (r == 0)
        r = sqlite_engine_restore(config->restore, folder, err);
    if (r == 0)
        log_info("restored", LOG_S("backup", config->restore), LOG_S("folder", folder));
    return r;
}

int main(int argc, char **argv) {
    struct process p = {0};
    struct err err = ERR_NONE;
    sigset_t set = handled_signals();
    const char *other = program_wanted(argc, argv);
    if (other) {
        (void)program_become(other, argv, &err);
        (void)fprintf(stderr, "stowage-sidecar: %s\n", err_text(&err));
        return 1;
    }
    (void)mallopt(M_ARENA_MAX, 2); // a few threads work for moments each: one heap each would multiply what lies idle
    (void)signal(SIGPIPE, SIG_IGN);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL); // before any thread starts, so that all of them leave these to main
    int r = sidecar_config_read(argc, argv, &p.config, &err);
    if (r == -ECANCELED)
        return 0;
    log_init("stowage-sidecar", (enum log_level)p.config.log_level, (enum log_format)p.config.log_format);
    bool serve = r == 0 && !p.config.restore;
    if (r == 0)
        r = serve ? start(&p, &err) : restore(&p.config, &err);
    if (r < 0) {
        (void)fprintf(stderr, "stowage-sidecar: %s\n", err_text(&err));
    } else if (serve) {
        log_info("started", LOG_S("version", STOWAGE_VERSION), LOG_S("listen", p.config.listen.items[0]),
                 LOG_I("port", http_server_port(p.http)));
        (void)malloc_trim(0); // the check of the database at the start has needed far more than what follows
        run_until_signal(&p);
    }
    stop(&p);
    return r == 0 ? 0 : 1;
}
