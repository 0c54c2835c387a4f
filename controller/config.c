// SPDX-License-Identifier: Apache-2.0
#include "controller/config.h"

#include <errno.h>
#include <string.h>

#include "controller/origins.h"
#include "lib/base/mem.h"
#include "lib/base/program.h"

static const char *const on_delete_names[] = {"delete", "retain", "archive", NULL};
static const char *const level_names[] = {"debug", "info", "warning", "error", NULL}; // enum log_level
static const char *const format_names[] = {"auto", "json", "text", NULL};             // enum log_format

static int check_share(const char *value, struct err *err) {
    struct share_location location cleanup(share_location_done) = {0};
    return share_location_parse(value, &location, err);
}

// NAME or NAME=MAX.
static int split_node(const char *value, size_t *ret_len, int64_t *ret_max, struct err *err) {
    const char *equals = strrchr(value, '=');
    *ret_len = equals ? (size_t)(equals - value) : strlen(value);
    *ret_max = 0;
    if (*ret_len == 0 || *ret_len > CSI_ID_MAX || (equals && str_to_i64(equals + 1, 0, INT32_MAX, ret_max) < 0))
        return err_set(err, -EINVAL, "'%.60s' is not NAME or NAME=MAX with at most %d bytes of name", value,
                       CSI_ID_MAX);
    return 0;
}

static int check_node(const char *value, struct err *err) {
    size_t len;
    int64_t max;
    return split_node(value, &len, &max, err);
}

#define C(member) offsetof(struct config, member)
static const struct field rows[] = {
    {.name = "socket",
     .type = FIELD_TEXT,
     .offset = C(socket),
     .fallback = "/run/stowage/controller.sock",
     .value = "PATH",
     .max = 100,
     .help = "unix socket of the CSI services"},
    {.name = "local-socket",
     .type = FIELD_TEXT,
     .offset = C(local_socket),
     .value = "PATH",
     .max = 100,
     .help = "unix socket that tells csi-resizer that local volumes are grown by their nodes; none: not served"},
    {.name = "share",
     .type = FIELD_LIST,
     .offset = C(shares),
     .value = "LOCATION",
     .check = check_share,
     .help = "a known share, SERVER[:NFS-PORT[:MOUNT-PORT]][+VERSION]/PATH; may be repeated"},
    {.name = "origin",
     .type = FIELD_LIST,
     .offset = C(origins),
     .value = "NAME=/PATH",
     .check = origins_check,
     .help = "a file system that is mounted here, for volumes of node groups with origin: mount; may be repeated"},
    {.name = "state-dir",
     .type = FIELD_TEXT,
     .offset = C(state_dir),
     .value = "PATH",
     .help = "directory where the known shares are remembered; without it only --share and requests name them"},
    {.name = "node",
     .type = FIELD_LIST,
     .offset = C(nodes),
     .value = "NAME[=MAX]",
     .check = check_node,
     .help = "a known node and its most volumes; may be repeated; without any, every node is taken"},
    {.name = "max-volumes-per-node",
     .type = FIELD_I64,
     .offset = C(max_volumes_per_node),
     .fallback = "0",
     .max = INT32_MAX,
     .value = "N",
     .help = "most volumes published to a node that --node does not name; 0: no limit"},
    {.name = "http",
     .type = FIELD_TEXT,
     .offset = C(http),
     .value = "ADDRESS",
     .help = "HOST:PORT of /healthz and /metrics; none: not served"},
    {.name = "threads",
     .type = FIELD_U32,
     .offset = C(threads),
     .fallback = "16",
     .min = 1,
     .max = 256,
     .value = "N",
     .help = "calls that are worked on at once"},
    {.name = "connections",
     .type = FIELD_U32,
     .offset = C(connections),
     .fallback = "2",
     .min = 1,
     .max = 16,
     .value = "N",
     .help = "TCP connections to each share"},
    {.name = "uid",
     .type = FIELD_U32,
     .offset = C(uid),
     .fallback = "0",
     .max = UINT32_MAX - 1,
     .value = "UID",
     .help = "user of NFS calls"},
    {.name = "gid",
     .type = FIELD_U32,
     .offset = C(gid),
     .fallback = "0",
     .max = UINT32_MAX - 1,
     .value = "GID",
     .help = "group of NFS calls"},
    {.name = "copy-workers",
     .type = FIELD_U32,
     .offset = C(copy_workers),
     .fallback = "2",
     .min = 1,
     .max = 64,
     .value = "N",
     .help = "snapshots and clones copied at once"},
    {.name = "remove-workers",
     .type = FIELD_U32,
     .offset = C(remove_workers),
     .fallback = "2",
     .min = 1,
     .max = 64,
     .value = "N",
     .help = "deleted volumes removed in the background at once"},
    {.name = "default-on-delete",
     .type = FIELD_CHOICE,
     .offset = C(default_on_delete),
     .fallback = "delete",
     .choices = on_delete_names,
     .help = "onDelete of classes that do not say"},
    {.name = "default-mount-permissions",
     .type = FIELD_OCTAL,
     .offset = C(default_permissions),
     .fallback = "0",
     .max = 07777,
     .value = "OCTAL",
     .help = "mountPermissions of classes that do not say; 0 leaves 0755"},
    {.name = "operator",
     .type = FIELD_BOOL,
     .offset = C(operator_on),
     .help = "take care of the cluster's objects of stowage.dev: of all controllers with this flag, one leads"},
    {.name = "kubeconfig",
     .type = FIELD_TEXT,
     .offset = C(kubeconfig),
     .value = "FILE",
     .help = "with --operator or --webhook, outside of a cluster: where it is and who asks; none: the pod's service "
             "account"},
    {.name = "operator-namespace",
     .type = FIELD_TEXT,
     .offset = C(operator_namespace),
     .value = "NAME",
     .max = 63,
     .help = "with --operator or --webhook: namespace of the Lease, the Secret and the nodes' capacities; none: the "
             "pod's, or "
             "the kubeconfig's"},
    {.name = "node-metrics-port",
     .type = FIELD_U32,
     .offset = C(node_metrics_port),
     .fallback = "0",
     .max = 65535,
     .value = "PORT",
     .help =
         "with --operator: port of the nodes' /metrics, which tell how often their caches had a file; 0: not asked"},
    {.name = "webhook",
     .type = FIELD_TEXT,
     .offset = C(webhook),
     .value = "ADDRESS",
     .help = "HOST:PORT where the API server asks, by TLS, what pods get beside what they say; none: not served"},
    {.name = "webhook-name",
     .type = FIELD_TEXT,
     .offset = C(webhook_name),
     .fallback = "stowage-webhook",
     .value = "NAME",
     .max = 63,
     .help = "with --webhook: of its Service, of the Secret with its certificates, and of its "
             "MutatingWebhookConfiguration"},
    {.name = "inject-image",
     .type = FIELD_TEXT,
     .offset = C(inject_image),
     .value = "IMAGE",
     .help = "with --webhook: image of the sidecar that pods with stowage.dev/inject get"},
    {.name = "inject-pull-policy",
     .type = FIELD_TEXT,
     .offset = C(inject_pull_policy),
     .fallback = "IfNotPresent",
     .value = "POLICY",
     .help = "of that image"},
    {.name = "inject-store-url",
     .type = FIELD_TEXT,
     .offset = C(inject_store_url),
     .value = "URL",
     .help = "the store that sidecars pass on to"},
    {.name = "inject-store-ca",
     .type = FIELD_TEXT,
     .offset = C(inject_store_ca),
     .value = "NAME",
     .help = "ConfigMap with ca.crt in each pod's namespace, for an https store; none: the system's authorities"},
    {.name = "inject-audience",
     .type = FIELD_TEXT,
     .offset = C(inject_audience),
     .fallback = "stowage-store",
     .value = "NAME",
     .help = "of the tokens that sidecars send to the store"},
    {.name = "inject-cpu-request",
     .type = FIELD_TEXT,
     .offset = C(inject_cpu_request),
     .fallback = "10m",
     .value = "QUANTITY",
     .help = "of sidecars, as Kubernetes writes it"},
    {.name = "inject-memory-request",
     .type = FIELD_BYTES,
     .offset = C(inject_memory_request),
     .fallback = "8Mi",
     .value = "BYTES",
     .min = 1,
     .max = INT64_C(1) << 40,
     .help = "of sidecars; their cache comes on top"},
    {.name = "inject-memory-limit",
     .type = FIELD_BYTES,
     .offset = C(inject_memory_limit),
     .fallback = "64Mi",
     .value = "BYTES",
     .help = "of sidecars; their cache comes on top; 0: none"},
    {.name = "store-url",
     .type = FIELD_TEXT,
     .offset = C(store_url),
     .value = "URL",
     .help = "with --operator: the store of the KeyValue, Queue and Bucket objects; none: they are not taken care of"},
    {.name = "store-token-file",
     .type = FIELD_TEXT,
     .offset = C(store_token_file),
     .value = "FILE",
     .help = "with --store-url: the operator's token there, of an account that may use every workspace"},
    {.name = "store-ca",
     .type = FIELD_TEXT,
     .offset = C(store_ca),
     .value = "FILE",
     .help = "with --store-url: who signs the store's certificate (PEM); none: the system's"},
    {.name = "store-public-url",
     .type = FIELD_TEXT,
     .offset = C(store_public_url),
     .value = "URL",
     .help = "with --store-url: how people reach it, for the URL of a Bucket; none: as the operator does"},
    {.name = "store-patience",
     .type = FIELD_U32,
     .offset = C(store_patience),
     .fallback = "300",
     .min = 1,
     .max = 86400,
     .value = "SECONDS",
     .help = "with --store-url: how long an object that is deleted waits for a store that is away"},
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

void config_done(struct config *config) {
    for (size_t i = 0; config->node_list && i < config->nodes.count; i++)
        free(config->node_list[i].name);
    free(take_ptr(config->node_list));
    fields_done(&table, config);
}

static int parse_nodes(struct config *config, struct err *err) {
    config->node_list = mem_array(config->nodes.count + 1, sizeof *config->node_list);
    if (!config->node_list)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < config->nodes.count; i++) {
        size_t len;
        int r = split_node(config->nodes.items[i], &len, &config->node_list[i].max_volumes, err);
        if (r < 0)
            return r;
        config->node_list[i].name = mem_strndup(config->nodes.items[i], len);
        if (!config->node_list[i].name)
            return err_set(err, -ENOMEM, "out of memory");
    }
    return 0;
}

static const struct program program = {
    .name = "stowage-controller",
    .about = "stowage-controller: the CSI controller of shared volumes (csi.stowage.dev), and the operator and "
             "webhooks of the "
             "cluster\n\n"
             "It makes volumes as directories on NFS shares, without mounting them.\n",
    .flags = &table,
};

int config_read(int argc, char **argv, struct config *ret, struct err *err) {
    struct config config cleanup(config_done) = {0};
    int r = program_read(&program, &config, argc, argv, err);
    if (r == 0)
        r = parse_nodes(&config, err);
    if (r < 0)
        return r;
    *ret = config;
    config = (struct config){0};
    return 0;
}
