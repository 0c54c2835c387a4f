// SPDX-License-Identifier: Apache-2.0
// stowage-node: the CSI node service of the shared class, and all of CSI for local volumes. Configuration, objects in order, run, tear down in reverse.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "csi/server.h"
#include "csi/shared_volume.h"
#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/http/health.h"
#include "lib/mount/child.h"
#include "node-plugin/cache_metrics.h"
#include "node-plugin/cache_watch.h"
#include "node-plugin/config.h"
#include "node-plugin/group.h"
#include "node-plugin/local/local.h"
#include "node-plugin/metrics.h"
#include "node-plugin/node.h"

#define STOP_GRACE_MS 6000  // longer than any node call takes
#define LOCAL_DEADLINE_S 60 // mkfs of a large disk takes longer than a mount
#define SERVICE_WAIT_NS (30 * NS_PER_S)
#define SERVICE_RETRY_MS 200

static void stop_server(struct csi_server *const *server) {
    (void)csi_server_stop(*server, STOP_GRACE_MS);
}

static int healthz(void *arg, struct str *body, const char **ret_type) {
    (void)arg;
    (void)ret_type;
    (void)str_append(body, "ok\n");
    return 200;
}

// SIGTERM and SIGINT are blocked in every thread and waited for here.
static void block_signals(sigset_t *ret) {
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(ret);
    (void)sigaddset(ret, SIGTERM);
    (void)sigaddset(ret, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, ret, NULL);
}

static struct launcher choose_launcher(const struct node_config *config) {
    return str_empty(config->mount_service) ? launcher_local(node_config_cachefs(config))
                                            : launcher_service(config->mount_service);
}

// Containers of a node start in any order. Without the service nobody can tell which daemons still run.
static int wait_for_service(const struct node_config *config, const struct launcher *launcher, struct err *err) {
    int64_t deadline_ns = clock_monotonic(&clock_system) + SERVICE_WAIT_NS;
    if (str_empty(config->mount_service))
        return 0;
    for (bool told = false;; told = true) {
        int r = launcher_probe(launcher, err);
        if (r != -ENOENT && r != -ECONNREFUSED && r != -ETIMEDOUT)
            return 0; // it answers; what it cannot do is told with the mount mode
        if (clock_monotonic(&clock_system) >= deadline_ns)
            return r;
        if (!told)
            log_info("waiting for the mount service", LOG_S("socket", config->mount_service),
                     LOG_S("reason", err_text(err)));
        (void)poll(NULL, 0, SERVICE_RETRY_MS);
    }
}

static void choose_mode(const struct node_config *config, const struct launcher *launcher,
                        struct mount_mode_probe *probe) {
    mount_mode_probe(launcher, probe);
    enum mount_mode automatic = mount_mode_automatic(probe);
    node_metrics_set_mode(automatic);
    log_info("mount mode chosen", LOG_S("auto_is", mount_mode_name(automatic)), LOG_S("because", probe->why),
             LOG_S("node_default", mount_mode_name((enum mount_mode)config->mount_mode)));
}

// Local volumes, on a socket of their own: a driver of their own to the orchestrator.
static int start_local(const struct node_config *config, struct local *local, struct volume_class *class,
                       struct csi_server **ret, struct err *err) {
    if (!local)
        return 0;
    *class = local_class(local);
    struct csi_server_options options = {
        .socket = config->local_socket, .class = class, .threads = config->threads, .deadline_s = LOCAL_DEADLINE_S};
    int r = csi_server_start(&options, ret, err);
    if (r == 0)
        log_info("serving local volumes", LOG_S("socket", config->local_socket),
                 LOG_I("pools", (int64_t)config->pools.count));
    return r;
}

static int serve(const struct node_config *config, struct node *node, struct local *local, const sigset_t *signals,
                 struct err *err) {
    struct volume_class local_volumes;
    struct volume_class class = {.driver_name = SHARED_DRIVER_NAME,
                                 .topology_key = NODE_GROUP_TOPOLOGY_KEY,
                                 .topology_common = SHARED_TOPOLOGY_KEY,
                                 .node = &node_ops,
                                 .node_self = node};
    struct csi_server_options options = {.socket = config->socket, .class = &class, .threads = config->threads};
    struct http_health *http cleanup(http_health_freep) = NULL;
    if (!str_empty(config->http)) {
        int r = http_health_start(config->http, healthz, NULL, &http, err);
        if (r < 0)
            return r;
    }
    struct csi_server *server cleanup(stop_server) = NULL, *local_server cleanup(stop_server) = NULL;
    int r = csi_server_start(&options, &server, err);
    if (r == 0)
        r = start_local(config, local, &local_volumes, &local_server, err);
    if (r < 0)
        return r;
    log_info("serving", LOG_S("socket", config->socket), LOG_S("node", node_config_node_id(config)));
    int signal = 0;
    (void)sigwait(signals, &signal);
    log_info("stopping; mounts stay", LOG_I("signal", signal));
    return 0;
}

static int make_local(const struct node_config *config, struct local **ret, struct err *err) {
    const struct local_options options = {.node_id = node_config_node_id(config),
                                          .max_volumes = config->max_volumes,
                                          .pools = &config->pools,
                                          .inline_pools = &config->inline_pools,
                                          .state_dir = config->state_dir};
    return config->pools.count > 0 ? local_new(&options, ret, err) : 0;
}

static int find_group(const struct node_config *config, char **ret, struct err *err) {
    int r = node_group_find(config, ret, err);
    if (r == 0 && *ret)
        log_info("node group", LOG_S("group", *ret), LOG_S("cache_dir", config->cache_dir ? config->cache_dir : ""));
    if (r == 0 && *ret && str_empty(config->cache_dir))
        log_warning("this node is of a group and has no --cache-dir, so it cannot serve the group's volumes",
                    LOG_S("group", *ret));
    return r;
}

// The cluster hears of the cache's disk where this node is of a group, for only then may this process ask anything of it.
static int watch_cache(const struct node_config *config, const char *group, struct cache_watch **ret, struct err *err) {
    if (str_empty(config->cache_dir) || str_empty(group))
        return 0;
    return cache_watch_start(config->cache_dir, node_config_node_id(config), ret, err);
}

static int run(const struct node_config *config, struct err *err) {
    sigset_t signals;
    block_signals(&signals);
    struct mounter_options mounter_options = {
        .launcher = choose_launcher(config),
        .log_level = node_config_log_level(config),
        .log_format = node_config_log_format(config),
        .cache_dir = config->cache_dir,
        .cache_memory = config->cache_memory,
        .cache_keep_free = config->cache_keep_free,
    };
    char *group cleanup_free = NULL;
    int r = find_group(config, &group, err);
    if (r < 0)
        return r;
    struct node_options options = {
        .node_id = node_config_node_id(config),
        .node_group = group,
        .cache_dir = config->cache_dir,
        .origin_paths = &config->origin_paths,
        .origin_dir = config->origin_dir,
        .max_volumes = config->max_volumes,
        .mount_mode = (enum mount_mode)config->mount_mode,
        .mounter = mounter_system(&mounter_options),
        .state_dir = config->state_dir,
        .inline_shares = &config->inline_shares,
        .inline_dir = config->inline_dir,
    };
    node_metrics_register();
    if (!str_empty(config->cache_dir))
        cache_metrics_register(config->cache_dir);
    r = wait_for_service(config, &mounter_options.launcher, err);
    if (r < 0)
        return r;
    choose_mode(config, &mounter_options.launcher, &options.probe);
    struct node *node cleanup(node_freep) = NULL;
    struct local *local cleanup(local_freep) = NULL;
    r = node_new(&options, &node, err);
    if (r == 0)
        r = make_local(config, &local, err);
    if (r == 0 && local)
        local_metrics_register(local);
    struct cache_watch *cache cleanup(cache_watch_freep) = NULL;
    if (r == 0)
        r = watch_cache(config, group, &cache, err);
    return r < 0 ? r : serve(config, node, local, &signals, err);
}

int main(int argc, char **argv) {
    if (child_is_wanted(argc, argv)) // a blocking call that this program makes in a process of its own
        return child_main(argc, argv);
    struct node_config config cleanup(node_config_done) = {0};
    struct err err = ERR_NONE;
    int r = node_config_read(&config, argc, argv, &err);
    if (r == -ECANCELED)
        return 0;
    if (r < 0) {
        (void)fprintf(stderr, "stowage-node: %s\n", err_text(&err));
        return 2;
    }
    log_init("stowage-node", (enum log_level)config.log_level, (enum log_format)config.log_format);
    r = run(&config, &err);
    if (r < 0)
        log_error("cannot run", LOG_S("reason", err_text(&err)));
    return r < 0 ? 1 : 0;
}
