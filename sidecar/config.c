// SPDX-License-Identifier: Apache-2.0
#include "sidecar/config.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/program.h"
#include "lib/base/str.h"
#include "lib/http/server.h"
#include "sidecar/reviews.h"

static const char *const engine_names[] = {"sqlite", NULL};
static const char *const level_names[] = {"debug", "info", "warning", "error", NULL}; // enum log_level
static const char *const format_names[] = {"auto", "json", "text", NULL};             // enum log_format

static int check_url(const char *value, struct err *err) {
    const char *host = strstr(value, "://");
    bool web = str_starts(value, "http://") || str_starts(value, "https://");
    if (!web || !host || !host[3] || strpbrk(host + 3, "/?#@ "))
        return err_set(err, -EINVAL, "'%.100s' is no URL without a path, such as https://store.example.com", value);
    return 0;
}

static int check_quota(const char *value, struct err *err) {
    struct quota quota;
    char *workspace cleanup_free = NULL;
    return sidecar_config_parse_quota(value, &workspace, &quota, err);
}

static int check_rule(const char *value, struct err *err) {
    struct review_rule rule cleanup(review_rule_done) = {0};
    return review_rule_parse(value, &rule, err);
}

#define C(member) offsetof(struct sidecar_config, member)
#define TEXT(flag, member, what, about, ...)                                                                           \
    { .name = flag, .type = FIELD_TEXT, .offset = C(member), .value = what, .help = about, __VA_ARGS__ }
#define LIST(flag, member, what, about, ...)                                                                           \
    { .name = flag, .type = FIELD_LIST, .offset = C(member), .value = what, .help = about, __VA_ARGS__ }
#define NUMBER(flag, member, least, most, by_default, about)                                                           \
    {                                                                                                                  \
        .name = flag, .type = FIELD_U32, .offset = C(member), .value = "N", .help = about, .min = least, .max = most,  \
        .fallback = by_default                                                                                         \
    }
static const struct field rows[] = {
    {.name = "engine",
     .type = FIELD_CHOICE,
     .offset = C(engine),
     .fallback = "sqlite",
     .choices = engine_names,
     .help = "sqlite: keep everything here; remote: pass it on to a store (--engine remote --help)"},
    TEXT("data-dir", data_dir, "PATH", "where everything is kept", .fallback = "/var/lib/stowage/store"),
    LIST("listen", listen, "ADDRESS",
         "HOST:PORT, [IPv6]:PORT, :PORT or unix:PATH; may be repeated; without any: 127.0.0.1:3500"),
    TEXT("tokens", tokens, "FILE",
         "one line a token: TOKEN WORKSPACE read|write [EXPIRES]; read again when it changes; without it a token for "
         "the "
         "workspace 'default' is made in DATA-DIR/token"),
    TEXT("token-review", token_review, "URL",
         "take tokens of a cluster's service accounts, their namespace being the workspace: the API server, or "
         "'in-cluster'"),
    TEXT("token-review-token", token_review_token, "FILE", "as whom that API server is asked, where a URL is given"),
    TEXT("token-review-ca", token_review_ca, "FILE", "who signs its certificate (PEM)"),
    TEXT("token-audience", token_audience, "NAME", "the audience that such tokens must be for",
         .fallback = "stowage-store"),
    LIST("service-account", service_accounts, "RULE",
         "NAMESPACE/NAME=read|write|none|all, * for all; may be repeated, the first that fits counts; without any: "
         "write; "
         "all: write in every workspace",
         .check = check_rule),
    {.name = "allow-remote",
     .type = FIELD_BOOL,
     .offset = C(allow_remote),
     .help = "listen beyond this machine with nothing but the token in DATA-DIR/token"},
    TEXT("public-url", public_url, "URL", "how others reach this server; for links to objects", .check = check_url),
    TEXT("tls-cert", tls_cert, "FILE", "certificate chain (PEM) of the TCP listeners"),
    TEXT("tls-key", tls_key, "FILE", "its private key (PEM)"),
    LIST("file-system", file_systems, "[WORKSPACE/]NAME=DIR",
         "a directory served at /storage/NAME; may be repeated; a workspace without any gets DATA-DIR/files/WORKSPACE"),
    LIST("quota", quotas, "LIMITS",
         "[WORKSPACE:]namespaces=N,queues=N,bytes=SIZE; may be repeated; without a workspace: of each",
         .check = check_quota),
    TEXT("backup-dir", backup_dir, "PATH", "where backups go; without it: DATA-DIR/backups"),
    TEXT("restore", restore, "BACKUP", "make the store in an empty DATA-DIR from a backup, then end"),
    {.name = "skip-check",
     .type = FIELD_BOOL,
     .offset = C(skip_check),
     .help = "do not read the whole database at the start"},
    NUMBER("threads", threads, 0, 64, "0", "event loops; 0: one a CPU, at most 4"),
    NUMBER("readers", readers, 1, 64, "8", "reads of the database at once"),
    NUMBER("workers", workers, 1, 256, "8", "operations on file systems at once"),
    NUMBER("connections", connections, 1, 1000000, "4096", "connections at once"),
    {.name = "log-level",
     .type = FIELD_CHOICE,
     .offset = C(log_level),
     .fallback = "info",
     .choices = level_names,
     .help = "least level that is written"},
    {.name = "log-format",
     .type = FIELD_CHOICE,
     .offset = C(log_format),
     .fallback = "auto",
     .choices = format_names,
     .help = "form of a log line; auto: text on a terminal, else JSON"},
};
static const struct fields table = {.rows = rows, .count = ARRAY_SIZE(rows), .kind = "flag", .exact_case = true};

void sidecar_config_done(struct sidecar_config *config) {
    fields_done(&table, config);
}

// ---- quotas ----

static int set_limit(const char *name, const char *value, struct quota *ret, struct err *err) {
    const struct {
        const char *name;
        int64_t *limit;
    } limits[] = {{"namespaces", &ret->namespaces}, {"queues", &ret->queues}, {"bytes", &ret->bytes}};
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
        if (str_eq(name, limits[i].name)) {
            bool bytes = limits[i].limit == &ret->bytes;
            int r = bytes ? str_to_bytes(value, limits[i].limit) : str_to_i64(value, 0, INT64_MAX, limits[i].limit);
            return r == 0 ? 0 : err_set(err, -EINVAL, "'%.40s' is no limit for '%s'", value, name);
        }
    return err_set(err, -EINVAL, "unknown limit '%.40s'; known are namespaces, queues, bytes", name);
}

int sidecar_config_parse_quota(const char *text, char **ret_workspace, struct quota *ret, struct err *err) {
    char *copy cleanup_free = mem_strdup(text);
    if (!copy)
        return err_set(err, -ENOMEM, "out of memory");
    char *colon = strchr(copy, ':'), *rest = copy;
    *ret = (struct quota){0};
    *ret_workspace = NULL;
    if (colon) {
        *colon = '\0';
        rest = colon + 1;
    }
    for (char *word; (word = strsep(&rest, ","));) {
        char *equals = strchr(word, '=');
        if (!equals)
            return err_set(err, -EINVAL, "'%.60s' is not NAME=LIMIT", word);
        *equals = '\0';
        int r = set_limit(word, equals + 1, ret, err);
        if (r < 0)
            return r;
    }
    if (colon) {
        *ret_workspace = mem_strdup(copy);
        if (!*ret_workspace)
            return err_set(err, -ENOMEM, "out of memory");
    }
    return 0;
}

void sidecar_config_quota(const struct sidecar_config *config, const char *workspace, struct quota *ret) {
    bool own = false;
    *ret = (struct quota){0};
    for (size_t i = 0; i < config->quotas.count; i++) {
        struct quota quota;
        char *name cleanup_free = NULL;
        if (sidecar_config_parse_quota(config->quotas.items[i], &name, &quota, NULL) < 0)
            continue; // checked when it was read
        if (name ? str_eq(name, workspace) : !own) {
            *ret = quota;
            own = own || name;
        }
    }
}

static int check_together(const struct sidecar_config *config, struct err *err) {
    if (!config->tls_cert != !config->tls_key)
        return err_set(err, -EINVAL, "--tls-cert and --tls-key are given together");
    for (size_t i = 0; i < config->listen.count; i++)
        if (!config->tokens && !config->token_review && !config->allow_remote &&
            !http_address_is_local(config->listen.items[i]))
            return err_set(err, -EINVAL,
                           "--listen %.100s can be reached from other machines: give --tokens FILE or --token-review, "
                           "or --allow-remote to "
                           "serve with the made token alone",
                           config->listen.items[i]);
    return 0;
}

static const struct program program = {
    .name = "stowage-sidecar",
    .about = "stowage-sidecar: keys and values, queues, objects and files over HTTP\n\n"
             "It serves the API of Lepton workspaces at /api/v1 and /api/v2/workspaces/NAME.\n",
    .flags = &table,
};

int sidecar_config_read(int argc, char **argv, struct sidecar_config *ret, struct err *err) {
    struct sidecar_config config cleanup(sidecar_config_done) = {0};
    int r = program_read(&program, &config, argc, argv, err);
    if (r == 0 && config.listen.count == 0)
        r = fields_set(&table, &config, "listen", "127.0.0.1:3500", err);
    if (r == 0)
        r = check_together(&config, err);
    if (r < 0)
        return r;
    *ret = config;
    config = (struct sidecar_config){0};
    return 0;
}
