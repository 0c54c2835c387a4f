// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/program.h"
#include "lib/base/str.h"
#include "node-plugin/inline_shares.h"
#include "node-plugin/local/pool.h"

static const char *const modes[] = {"auto", "kernel", "fuse", NULL};
static const char *const levels[] = {"debug", "info", "warning", "error", NULL};
static const char *const formats[] = {"auto", "json", "text", NULL};

static int check_path(const char *value, struct err *err) {
    return value[0] == '/' ? 0 : err_set(err, -EINVAL, "path '%.120s' must be absolute", value);
}

#define AT(member) offsetof(struct node_config, member)
static const struct field rows[] = {
    {"socket", FIELD_TEXT, AT(socket), "/run/stowage/node.sock", "PATH", "unix socket on which CSI is served"},
    {"node-id", FIELD_TEXT, AT(node_id), NULL, "NAME", "name of this node for the controller (default the host name)",
     .max = CSI_ID_MAX},
    {"max-volumes", FIELD_U32, AT(max_volumes), "0", "N",
     "volumes that may be used on this node at once, 0 for no limit", .max = 1000000},
    {"state-dir", FIELD_TEXT, AT(state_dir), "/var/lib/stowage/node", "DIR",
     "where it is kept which volumes are staged", .check = check_path},
    {"cachefs", FIELD_TEXT, AT(cachefs), NULL, "PATH", "the stowage-cachefs program (default beside this one)",
     .check = check_path},
    {"mount-service", FIELD_TEXT, AT(mount_service), NULL, "PATH",
     "socket of a 'stowage-cachefs --serve' that starts the FUSE daemons (default: this process does)",
     .check = check_path},
    {"mount-mode", FIELD_CHOICE, AT(mount_mode), "auto", "MODE", "how volumes are mounted that leave it open",
     .choices = modes},
    {"inline-shares", FIELD_LIST, AT(inline_shares), NULL, "SERVER:/PATH",
     "share that pods may mount without a claim, '*' for every one; may be repeated (default none)",
     .check = inline_shares_check},
    {"inline-dir", FIELD_TEXT, AT(inline_dir), "/var/lib/kubelet/plugins/csi.stowage.dev.inline", "DIR",
     "where inline volumes are mounted for their pods; the mount service must see it at the same path",
     .check = check_path},
    {"pool", FIELD_LIST, AT(pools), NULL, "NAME=KIND:/PATH",
     "place of this node for local volumes: KIND image or quota and a directory, or device and a pattern of whole "
     "disks; "
     "device+wipe takes disks that hold something, too; may be repeated (default none)",
     .check = local_pool_check},
    {"inline-pools", FIELD_LIST, AT(inline_pools), NULL, "NAME",
     "pool that pods may take volumes from without a claim, '*' for every one; may be repeated (default none)"},
    {"local-socket", FIELD_TEXT, AT(local_socket), "/run/stowage/local.sock", "PATH",
     "unix socket on which CSI is served for local volumes, where there is a pool"},
    {"node-group", FIELD_TEXT, AT(node_group), NULL, "NAME",
     "group of nodes that this one is of, for volumes with nodeGroup (default: in a cluster, the label "
     "stowage.dev/node-group of the node)",
     .check = node_group_check_name},
    {"cache-dir", FIELD_TEXT, AT(cache_dir), NULL, "DIR",
     "where volumes of the node group are cached, on ext4 or XFS; the mount service must see it at the same path "
     "(default "
     "none)",
     .check = check_path},
    {"cache-memory", FIELD_BYTES, AT(cache_memory), "256Mi", "SIZE",
     "memory for the buffers of all cached volumes of this node together", .min = 16 << 20, .max = INT64_MAX},
    {"cache-keep-free", FIELD_U32, AT(cache_keep_free), "10", "PERCENT",
     "part of the cache's disk that caches leave free, of its bytes and of its inodes", .min = 1, .max = 90},
    {"origin-path-allowed", FIELD_LIST, AT(origin_paths), NULL, "DIR",
     "directory of this node that volumes with origin: mount may read through originPath, and all below it; the mount "
     "service must see it at the same path; may be repeated (default none)",
     .check = check_path},
    {"origin-dir", FIELD_TEXT, AT(origin_dir), "/var/lib/kubelet/plugins/csi.stowage.dev.origins", "DIR",
     "where origins of volumes with originType are mounted; the mount service must see it at the same path",
     .check = check_path},
    {"http", FIELD_TEXT, AT(http), "", "HOST:PORT", "address of /healthz and /metrics, empty for none"},
    {"threads", FIELD_U32, AT(threads), "16", "N", "requests served at once", .min = 1, .max = 256},
    {"log-level", FIELD_CHOICE, AT(log_level), "info", "LEVEL", "least important lines that are logged",
     .choices = levels},
    {"log-format", FIELD_CHOICE, AT(log_format), "auto", "FORMAT", "auto is text on a terminal and JSON elsewhere",
     .choices = formats},
};
static const struct fields fields = {rows, ARRAY_SIZE(rows), "flag", true};

static void find_defaults(struct node_config *config) {
    if (gethostname(config->default_node_id, sizeof config->default_node_id - 1) < 0)
        config->default_node_id[0] = '\0';
    ssize_t n = readlink("/proc/self/exe", config->default_cachefs, sizeof config->default_cachefs - 32);
    config->default_cachefs[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(config->default_cachefs, '/');
    (void)strcpy(slash ? slash + 1 : config->default_cachefs, "stowage-cachefs");
}

static const struct program program = {
    .name = "stowage-node",
    .about = "stowage-node: mounts Stowage's volumes on this node (CSI node service of csi.stowage.dev)\n\n"
             "Usage: stowage-node [--flag VALUE]...\n",
    .flags = &fields,
};

int node_config_read(struct node_config *ret, int argc, char **argv, struct err *err) {
    *ret = (struct node_config){0};
    find_defaults(ret);
    int r = program_read(&program, ret, argc, argv, err);
    if (r < 0)
        return r;
    if (str_empty(node_config_node_id(ret)))
        return err_set(err, -EINVAL, "this host has no name; give --node-id");
    return fields_required(&fields, ret, err);
}

void node_config_done(struct node_config *config) {
    fields_done(&fields, config);
}

const char *node_config_node_id(const struct node_config *config) {
    return str_empty(config->node_id) ? config->default_node_id : config->node_id;
}

const char *node_config_cachefs(const struct node_config *config) {
    return str_empty(config->cachefs) ? config->default_cachefs : config->cachefs;
}

const char *node_config_log_level(const struct node_config *config) {
    return levels[config->log_level];
}

const char *node_config_log_format(const struct node_config *config) {
    return formats[config->log_format];
}
