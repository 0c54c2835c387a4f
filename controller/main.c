// SPDX-License-Identifier: Apache-2.0
// stowage-controller: settings, shares, background work, volumes and snapshots, the CSI services, the operator and the
// webhooks, /healthz and /metrics; then it
// waits for a signal, and takes everything down in reverse.
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "controller/ask.h"
#include "controller/config.h"
#include "controller/operator/operator.h"
#include "controller/origins.h"
#include "controller/resume.h"
#include "controller/snapshot.h"
#include "controller/sweep.h"
#include "controller/tree_work.h"
#include "controller/volume.h"
#include "controller/webhook/webhook.h"
#include "csi/local_volume.h"
#include "csi/server.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/http/health.h"

#define STOP_GRACE_MS 10000

struct process { // in the order of their making
    struct config config;
    struct tree_worker *worker;
    struct resume *resume;
    struct origins *origins;
    struct shares *shares;
    struct volumes *volumes;
    struct snapshots *snapshots;
    struct volume_class class, local_class;
    struct csi_server *csi, *local_csi;
    struct http_health *http;
    struct cluster_operator *operator_part;
    struct webhook *webhook;
};

// ---- what is measured -------------------------------------------------------------------------------------------

static double count_volumes(void *arg) {
    return (double)shares_count_records(((struct process *)arg)->shares, SHARED_VOLUME);
}
static double count_snapshots(void *arg) {
    return (double)shares_count_records(((struct process *)arg)->shares, SHARED_SNAPSHOT);
}
static double count_shares(void *arg) {
    return (double)shares_count_open(((struct process *)arg)->shares);
}

static struct metric volumes_metric = {
    .type = METRIC_GAUGE, .name = "stowage_volumes", .help = "Volumes on open shares.", .read = count_volumes};
static struct metric snapshots_metric = {
    .type = METRIC_GAUGE, .name = "stowage_snapshots", .help = "Snapshots on open shares.", .read = count_snapshots};
static struct metric shares_metric = {
    .type = METRIC_GAUGE, .name = "stowage_shares_open", .help = "Shares that are open.", .read = count_shares};

static void register_metrics(struct process *p) {
    struct metric *all[] = {&volumes_metric, &snapshots_metric, &shares_metric};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        all[i]->arg = p;
        metric_register(all[i]);
    }
}

static int answer_health(void *arg, struct str *body, const char **ret_type) {
    (void)arg, (void)ret_type;
    return str_append(body, "ok\n") < 0 ? 500 : 200;
}

// ---- building, in order -------------------------------------------------------------------------------------------

static void share_opened(void *arg, struct share *share) {
    struct process *p = arg;
    tree_worker_share_opened(p->worker, share);
    resume_share(p->resume, share);
}

static int resume_volumes(void *self, struct share *share, int64_t deadline_ns, struct err *err) {
    return volumes_resume(((struct process *)self)->volumes, share, deadline_ns, err);
}
static int resume_snapshots(void *self, struct share *share, int64_t deadline_ns, struct err *err) {
    return snapshots_resume(((struct process *)self)->snapshots, share, deadline_ns, err);
}
static int resume_sweep(void *self, struct share *share, int64_t deadline_ns, struct err *err) {
    (void)self;
    int r = sweep_locks(share, deadline_ns, err);
    return r < 0 ? r : sweep_tmp(share, deadline_ns, err);
}

static int start_worker(struct process *p, struct err *err) {
    struct tree_worker_options options = {
        .remove_workers = p->config.remove_workers,
        .copy_workers = p->config.copy_workers,
    };
    return tree_worker_new(&options, &p->worker, err);
}

static int start_resume(struct process *p, struct err *err) {
    const struct resume_step steps[] = {
        {"volumes", resume_volumes, p},
        {"snapshots", resume_snapshots, p},
        {"leftovers", resume_sweep, p},
    };
    return resume_new(steps, ARRAY_SIZE(steps), &p->resume, err);
}

static int start_origins(struct process *p, struct err *err) {
    return origins_new(&p->config.origins, &p->origins, err);
}

static int start_shares(struct process *p, struct err *err) {
    struct shares_options options = {
        .state_dir = p->config.state_dir,
        .connections = p->config.connections,
        .cred = {.uid = p->config.uid, .gid = p->config.gid},
        .origins = p->origins,
        .opened = share_opened,
        .opened_arg = p,
    };
    int r = shares_new(&options, &p->shares, err);
    for (size_t i = 0; r == 0 && i < p->config.shares.count; i++) {
        struct share_location location cleanup(share_location_done) = {0};
        r = share_location_parse(p->config.shares.items[i], &location, err);
        if (r == 0)
            r = shares_add(p->shares, &location, err);
    }
    return r;
}

static int start_volumes(struct process *p, struct err *err) {
    struct volumes_options options = {
        .shares = p->shares,
        .work = tree_worker_ops(p->worker),
        .nodes = p->config.node_list,
        .node_count = p->config.nodes.count,
        .max_volumes_per_node = p->config.max_volumes_per_node,
        .default_on_delete = p->config.default_on_delete,
        .default_permissions = p->config.default_permissions,
    };
    return volumes_new(&options, &p->volumes, err);
}

static int start_snapshots(struct process *p, struct err *err) {
    struct snapshots_options options = {.shares = p->shares, .work = tree_worker_ops(p->worker)};
    return snapshots_new(&options, &p->snapshots, err);
}

static int open_known(struct process *p, struct err *err) {
    struct share_location *locations = NULL;
    size_t count = 0;
    if (shares_locations(p->shares, &locations, &count) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++)
        resume_open(p->resume, p->shares, &locations[i]);
    shares_locations_done(locations, count);
    return 0;
}

static int start_csi(struct process *p, struct err *err) {
    p->class = (struct volume_class){
        .driver_name = SHARED_DRIVER_NAME,
        .topology_key = NODE_GROUP_TOPOLOGY_KEY,
        .topology_common = SHARED_TOPOLOGY_KEY,
        .volumes = &volume_ops,
        .volumes_self = p->volumes,
        .snapshots = &snapshot_ops,
        .snapshots_self = p->snapshots,
        .mutable_parameters = volume_mutable_parameters,
    };
    struct csi_server_options options = {.socket = p->config.socket, .class = &p->class, .threads = p->config.threads};
    return csi_server_start(&options, &p->csi, err);
}

// Local volumes are their nodes' own, and csi-resizer is one for the cluster. From a front it learns that their nodes grow
// them, marks the claims, and kubelet does the rest.
static int start_local_front(struct process *p, struct err *err) {
    p->local_class = (struct volume_class){
        .driver_name = LOCAL_DRIVER_NAME, .topology_key = LOCAL_TOPOLOGY_KEY, .node_expands = true};
    struct csi_server_options options = {.socket = p->config.local_socket, .class = &p->local_class, .threads = 1};
    return p->config.local_socket ? csi_server_start(&options, &p->local_csi, err) : 0;
}

static int start_http(struct process *p, struct err *err) {
    register_metrics(p);
    return p->config.http ? http_health_start(p->config.http, answer_health, NULL, &p->http, err) : 0;
}

// The file systems of FileSystem objects are asked over the same connections that volumes are made with.
static int start_operator(struct process *p, struct err *err) {
    struct cluster_operator_options options = {
        .kubeconfig = p->config.kubeconfig,
        .ns = p->config.operator_namespace,
        .reach = {.ask = ask_location, .arg = p->shares},
        .node_port = p->config.node_metrics_port,
        .store = {.url = p->config.store_url,
                  .public_url = p->config.store_public_url,
                  .ca_file = p->config.store_ca,
                  .token_file = p->config.store_token_file,
                  .patience_s = p->config.store_patience},
    };
    return p->config.operator_on ? cluster_operator_start(&options, &p->operator_part, err) : 0;
}

static int start_webhook(struct process *p, struct err *err) {
    const struct config *c = &p->config;
    struct webhook_options options = {
        .address = c->webhook,
        .name = c->webhook_name,
        .kubeconfig = c->kubeconfig,
        .ns = c->operator_namespace,
        .inject = {.image = c->inject_image,
                   .pull_policy = c->inject_pull_policy,
                   .store_url = c->inject_store_url,
                   .store_ca = c->inject_store_ca,
                   .audience = c->inject_audience,
                   .cpu_request = c->inject_cpu_request,
                   .memory_request = c->inject_memory_request,
                   .memory_limit = c->inject_memory_limit},
    };
    return c->webhook ? webhook_start(&options, &p->webhook, err) : 0;
}

static int start(struct process *p, struct err *err) {
    static int (*const steps[])(struct process *, struct err *) = {
        start_worker, start_resume, start_origins,     start_shares,   start_volumes, start_snapshots,
        open_known,   start_csi,    start_local_front, start_operator, start_webhook, start_http,
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(steps); i++)
        r = steps[i](p, err);
    return r;
}

static void stop(struct process *p) {
    p->http = http_health_free(p->http);
    p->webhook = webhook_free(p->webhook);
    p->operator_part = cluster_operator_free(p->operator_part);
    p->local_csi = csi_server_stop(p->local_csi, STOP_GRACE_MS);
    p->csi = csi_server_stop(p->csi, STOP_GRACE_MS);
    p->resume = resume_free(p->resume);
    p->worker = tree_worker_free(p->worker);
    p->snapshots = snapshots_free(p->snapshots);
    p->volumes = volumes_free(p->volumes);
    p->shares = shares_free(p->shares);
    p->origins = origins_free(p->origins);
    config_done(&p->config);
}

// ---- the process ------------------------------------------------------------------------------------------------

static sigset_t stop_signals(void) {
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    return set;
}

static void wait_for_signal(void) {
    sigset_t set = stop_signals();
    int number = 0;
    while (sigwait(&set, &number) != 0)
        continue;
    log_info("stopping", LOG_I("signal", number));
}

int main(int argc, char **argv) {
    struct process p = {0};
    struct err err = ERR_NONE;
    sigset_t set = stop_signals();
    (void)mallopt(M_ARENA_MAX, 2); // many threads work for moments each: one heap each would multiply what lies idle
    (void)signal(SIGPIPE, SIG_IGN);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL); // before any thread starts, so that all of them leave these to main
    int r = config_read(argc, argv, &p.config, &err);
    if (r == -ECANCELED)
        return 0;
    log_init("stowage-controller", (enum log_level)p.config.log_level, (enum log_format)p.config.log_format);
    if (r == 0)
        r = start(&p, &err);
    if (r == 0) {
        log_info("started", LOG_S("version", STOWAGE_VERSION), LOG_S("socket", p.config.socket));
        wait_for_signal();
    } else {
        (void)fprintf(stderr, "stowage-controller: %s\n", err_text(&err));
    }
    stop(&p);
    return r == 0 ? 0 : 1;
}
