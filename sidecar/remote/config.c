// SPDX-License-Identifier: Apache-2.0
#include "sidecar/remote/config.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/program.h"
#include "lib/base/str.h"
#include "lib/http/server.h"
#include "lib/projection/limits.h"

static const char *const engine_names[] = {"remote", NULL};
static const char *const level_names[] = {"debug", "info", "warning", "error", NULL}; // enum log_level
static const char *const format_names[] = {"auto", "json", "text", NULL};             // enum log_format

#define C(member) offsetof(struct remote_config, member)
#define TEXT(flag, member, what, about, ...)                                                                           \
    { .name = flag, .type = FIELD_TEXT, .offset = C(member), .value = what, .help = about, __VA_ARGS__ }
#define YES(flag, member, about)                                                                                       \
    { .name = flag, .type = FIELD_BOOL, .offset = C(member), .help = about }
#define NUMBER(flag, member, least, most, by_default, about)                                                           \
    {                                                                                                                  \
        .name = flag, .type = FIELD_U32, .offset = C(member), .value = "N", .help = about, .min = least, .max = most,  \
        .fallback = by_default                                                                                         \
    }
#define CHOICE(flag, member, names, by_default, about)                                                                 \
    { .name = flag, .type = FIELD_CHOICE, .offset = C(member), .fallback = by_default, .choices = names, .help = about }
static const struct field rows[] = {
    CHOICE("engine", engine, engine_names, "remote", "pass everything on to a store"),
    TEXT("store-url", store_url, "URL", "the store: http://HOST[:PORT], https://HOST[:PORT] or unix:PATH"),
    TEXT("store-ca", store_ca, "FILE", "who signs an https store's certificate (PEM); without it: the system's"),
    TEXT("token-file", token_file, "FILE", "what is sent to the store as bearer token; read again when it changes",
         .fallback = "/var/run/secrets/stowage.dev/token"),
    {.name = "listen",
     .type = FIELD_LIST,
     .offset = C(listen),
     .value = "ADDRESS",
     .help = "HOST:PORT, [IPv6]:PORT or unix:PATH; may be repeated; without any: 127.0.0.1:3500"},
    YES("allow-remote", allow_remote, "listen beyond this machine: whoever reaches it acts with the token"),
    TEXT("workspace", workspace, "NAME", "of the SDK's files; without it: the token's namespace"),
    TEXT("write-sdk-files", write_sdk_files, "DIR",
         "at the start, write there what the leptonai SDK reads from LEPTON_CACHE_DIR"),
    YES("local-links", local_links, "links to objects name this sidecar, whatever the store's --public-url"),
    {.name = "cache",
     .type = FIELD_BYTES,
     .offset = C(cache),
     .fallback = "0",
     .value = "BYTES",
     .help = "of values read lately, kept while the store's watch tells of changes; 0: none",
     .max = INT64_C(1) << 30},
    {.name = "project",
     .type = FIELD_LIST,
     .offset = C(project),
     .value = "NAMESPACE=DIR[:optional]",
     .help = "keep the keys of a namespace as files in DIR, as a ConfigMap's volume; may be repeated"},
    {.name = "project-max-bytes",
     .type = FIELD_BYTES,
     .offset = C(project_max_bytes),
     .fallback = PROJECTION_BYTES_DEFAULT,
     .value = "BYTES",
     .help = "of keys and values, of each namespace; when it has more, the files stay as they are",
     .min = PROJECTION_BYTES_MIN,
     .max = PROJECTION_BYTES_MAX},
    {.name = "project-mode",
     .type = FIELD_OCTAL,
     .offset = C(project_mode),
     .value = "MODE",
     .help = "of these files",
     .fallback = "0644",
     .max = 0777},
    TEXT("project-notify", project_notify, "URL",
         "http://127.0.0.1:PORT/PATH, which is asked by POST whenever such files changed"),
    YES("probe", probe, "only ask the sidecar that listens whether it reaches its store; ends with 0 or 1"),
    NUMBER("threads", threads, 1, 64, "1", "event loops"),
    NUMBER("connections", connections, 1, 1000000, "4096", "connections at once"),
    CHOICE("log-level", log_level, level_names, "info", "least level that is written"),
    CHOICE("log-format", log_format, format_names, "auto", "form of a log line; auto: text on a terminal, else JSON"),
};
static const struct fields table = {.rows = rows, .count = ARRAY_SIZE(rows), .kind = "flag", .exact_case = true};

void remote_config_done(struct remote_config *config) {
    fields_done(&table, config);
    free(take_ptr(config->host));
    free(take_ptr(config->port));
    free(take_ptr(config->unix_path));
    project_specs_done(&config->projects);
}

// "http://HOST[:PORT]" in pieces; brackets around IPv6 go.
static int parse_url(struct remote_config *config, struct err *err) {
    const char *url = config->store_url;
    if (str_starts(url, "unix:/")) {
        config->unix_path = mem_strdup(url + 5);
        return config->unix_path ? 0 : err_set(err, -ENOMEM, "out of memory");
    }
    config->tls = str_starts(url, "https://");
    const char *host = config->tls ? url + 8 : str_starts(url, "http://") ? url + 7 : "";
    size_t len = strcspn(host, "/?#@ ");
    bool v6 = host[0] == '[';
    const char *end = v6 ? memchr(host, ']', len) : memchr(host, ':', len);
    end = end ? end + v6 : host + len;
    const char *port = end < host + len && *end == ':' ? end + 1 : NULL;
    uint64_t number = 0;
    config->port = port ? mem_strndup(port, (size_t)(host + len - port)) : mem_strdup(config->tls ? "443" : "80");
    config->host = mem_strndup(host + v6, (size_t)(end - host) - (v6 ? 2U : 0U));
    if (!config->port || !config->host)
        return err_set(err, -ENOMEM, "out of memory");
    bool rest = host[len] && !str_eq(host + len, "/");
    if (!*config->host || rest || str_to_u64(config->port, 1, 65535, &number) < 0)
        return err_set(err, -EINVAL,
                       "--store-url '%.100s' is no URL without a path, such as http://stowage-store.stowage:3500", url);
    return 0;
}

static int check_projects(struct remote_config *config, struct err *err) {
    struct notify_spec notify cleanup(notify_spec_done) = {0};
    int r = project_specs_parse(&config->project, &config->projects, err);
    if (r < 0)
        return err_wrap(err, r, "--project");
    if (!config->project_notify)
        return 0;
    if (!config->projects.count)
        return err_set(err, -EINVAL, "--project-notify tells of files: say which, by --project NAMESPACE=DIR");
    r = notify_spec_parse(config->project_notify, &notify, err);
    return r < 0 ? err_wrap(err, r, "--project-notify") : 0;
}

static int check_together(struct remote_config *config, struct err *err) {
    if (config->probe)
        return 0;
    if (str_empty(config->store_url))
        return err_set(err, -EINVAL, "--store-url is missing: where is the store?");
    if (config->store_ca && !str_starts(config->store_url, "https://"))
        return err_set(err, -EINVAL, "--store-ca is for a store-url that begins with https://");
    for (size_t i = 0; i < config->listen.count; i++)
        if (!config->allow_remote && !http_address_is_local(config->listen.items[i]))
            return err_set(err, -EINVAL,
                           "--listen %.100s can be reached from other machines, and whoever reaches it acts with the "
                           "token: listen on 127.0.0.1, or give --allow-remote",
                           config->listen.items[i]);
    int r = parse_url(config, err);
    return r < 0 ? r : check_projects(config, err);
}

static const struct program program = {
    .name = "stowage-sidecar",
    .about = "stowage-sidecar --engine remote: the API of a store on localhost, with the token of this pod\n\n"
             "It passes /api/v1 and /api/v2/workspaces/NAME on to the store.\n",
    .flags = &table,
};

int remote_config_read(int argc, char **argv, struct remote_config *ret, struct err *err) {
    struct remote_config config cleanup(remote_config_done) = {0};
    int r = program_read(&program, &config, argc, argv, err);
    if (r == 0 && config.listen.count == 0)
        r = fields_set(&table, &config, "listen", "127.0.0.1:3500", err);
    if (r == 0)
        r = check_together(&config, err);
    if (r < 0)
        return r;
    *ret = config;
    config = (struct remote_config){0};
    return 0;
}
