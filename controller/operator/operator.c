// SPDX-License-Identifier: Apache-2.0
#include "controller/operator/operator.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "controller/cluster.h"
#include "controller/operator/hits.h"
#include "controller/operator/survey.h"
#include "controller/operator/team.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metrics.h"
#include "lib/kube/lease.h"

#define LEASE_NAME "stowage-operator"
#define LEASE_TIMEOUT_S 3 // shorter than the time that a holder counts itself in
#define THREADS 4

struct cluster_operator {
    struct cluster *cluster;
    struct kube *kube, *lease_kube;
    struct kube_events *events;
    struct reach *reach;
    struct hits *hits; // NULL: nodes are not asked
    struct data_store *store;
    struct survey *survey;
    struct kube_lease *lease;
    struct team *team; // while leading
    char *identity;
    unsigned threads;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; // of what follows, and of `team` for those who count
    pthread_cond_t wake;
    bool stopping;
};

// ---- what is measured ------------------------------------------------------------------------------------------------

static double count_leader(void *arg) {
    return kube_lease_is_held(((struct cluster_operator *)arg)->lease);
}

static double count_waiting(void *arg) {
    struct cluster_operator *op = arg;
    LOCK_SCOPE(&op->lock);
    return op->team ? (double)team_waiting(op->team) : 0;
}

static struct metric leader_metric = {
    .type = METRIC_GAUGE, .name = "stowage_operator_leader", .help = "1: this process leads.", .read = count_leader};
static struct metric waiting_metric = {.type = METRIC_GAUGE,
                                       .name = "stowage_operator_queue",
                                       .help = "Objects that are worked on, or will be looked at again.",
                                       .read = count_waiting};

// ---- leading ---------------------------------------------------------------------------------------------------------

static bool leading(void *arg) {
    return kube_lease_is_held(((struct cluster_operator *)arg)->lease);
}

static struct team *exchange_team(struct cluster_operator *op, struct team *team) {
    LOCK_SCOPE(&op->lock);
    struct team *before = op->team;
    op->team = team;
    return before;
}

static void begin_leading(struct cluster_operator *op) {
    struct err err = ERR_NONE;
    struct team *team = NULL;
    const struct team_options options = {.kube = op->kube,
                                         .events = op->events,
                                         .reach = op->reach,
                                         .hits = op->hits,
                                         .store = op->store,
                                         .survey = op->survey,
                                         .ns = cluster_namespace(op->cluster),
                                         .threads = op->threads,
                                         .reconcilers = reconcilers,
                                         .leading = leading,
                                         .arg = op};
    log_info("the operator leads", LOG_S("identity", op->identity));
    if (team_new(&options, &team, &err) < 0)
        log_error("the operator cannot work; trying again", LOG_S("error", err_text(&err)));
    (void)exchange_team(op, team);
}

static void end_leading(struct cluster_operator *op) {
    struct team *team = exchange_team(op, NULL);
    if (team)
        log_info("the operator does not lead any more", LOG_S("identity", op->identity));
    (void)team_free(team);
}

// False: time to stop.
static bool pause_for(struct cluster_operator *op, uint32_t ms) {
    int64_t until_ns = clock_monotonic(&clock_system) + ms * NS_PER_MS;
    struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};
    LOCK_SCOPE(&op->lock);
    while (!op->stopping && pthread_cond_timedwait(&op->wake, &op->lock, &until) == 0)
        continue;
    return !op->stopping;
}

static void *run(void *arg) {
    struct cluster_operator *op = arg;
    int last = 0;
    do {
        struct err err = ERR_NONE;
        int r = kube_lease_step(op->lease, &err);
        if (r < 0 && r != last)
            log_write(r == -EAGAIN ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "the lease of the operator is not held",
                      (const struct log_field[]){LOG_S("reason", err_text(&err))}, 1);
        last = r;
        if (kube_lease_is_held(op->lease) && !op->team)
            begin_leading(op);
        else if (!kube_lease_is_held(op->lease) && op->team)
            end_leading(op);
    } while (pause_for(op, kube_lease_period_ms(op->lease)));
    end_leading(op);
    kube_lease_release(op->lease);
    return NULL;
}

// ---- beginning and end -----------------------------------------------------------------------------------------------

// A second client for the lease alone: renewing must not wait for as long as other requests may.
static int connect_cluster(struct cluster_operator *op, const struct cluster_operator_options *options,
                           struct err *err) {
    int r = cluster_new(options->kubeconfig, options->ns, &op->cluster, err);
    if (r == 0)
        r = cluster_connect(op->cluster, 0, &op->kube, err);
    return r < 0 ? r : cluster_connect(op->cluster, LEASE_TIMEOUT_S, &op->lease_kube, err);
}

static int choose_identity(struct cluster_operator *op, const char *given, struct err *err) {
    char host[256] = "";
    uint64_t chance;
    (void)gethostname(host, sizeof host - 1);
    clock_random(&clock_system, &chance, sizeof chance);
    op->identity = given ? mem_strdup(given) : mem_printf("%s_%016" PRIx64, host, chance);
    return op->identity ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int make_parts(struct cluster_operator *op, const struct cluster_operator_options *options, struct err *err) {
    const struct kube_events_options events = {.kube = op->kube, .component = LEASE_NAME, .instance = op->identity};
    const struct kube_lease_options lease = {
        .kube = op->lease_kube, .ns = cluster_namespace(op->cluster), .name = LEASE_NAME, .identity = op->identity};
    int r = kube_events_new(&events, &op->events, err);
    if (r == 0)
        r = reach_new(&options->reach, &op->reach, err);
    if (r == 0 && options->node_port)
        r = hits_new(&(struct hits_options){.port = options->node_port}, &op->hits, err);
    if (r == 0)
        r = data_store_new(&options->store, &op->store, err);
    if (r == 0)
        r = survey_new(op->store, NULL, &op->survey, err);
    return r < 0 ? r : kube_lease_new(&lease, &op->lease, err);
}

static void register_metrics(struct cluster_operator *op) {
    leader_metric.arg = waiting_metric.arg = op;
    metric_register(&leader_metric);
    metric_register(&waiting_metric);
}

int cluster_operator_start(const struct cluster_operator_options *options, struct cluster_operator **ret,
                           struct err *err) {
    struct cluster_operator *op cleanup(cluster_operator_freep) = mem_zalloc(sizeof *op);
    if (!op)
        return err_set(err, -ENOMEM, "out of memory");
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&op->lock, NULL);
    (void)pthread_cond_init(&op->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    op->threads = options->threads ? options->threads : THREADS;
    int r = connect_cluster(op, options, err);
    if (r == 0)
        r = choose_identity(op, options->identity, err);
    if (r == 0)
        r = make_parts(op, options, err);
    if (r < 0)
        return err_wrap(err, r, "operator");
    register_metrics(op);
    r = pthread_create(&op->thread, NULL, run, op);
    if (r != 0)
        return err_set(err, -r, "operator: no thread can be made");
    op->started = true;
    *ret = take_ptr(op);
    return 0;
}

static void stop_thread(struct cluster_operator *op) {
    {
        LOCK_SCOPE(&op->lock);
        op->stopping = true;
        (void)pthread_cond_broadcast(&op->wake);
    }
    (void)pthread_join(op->thread, NULL);
}

struct cluster_operator *cluster_operator_free(struct cluster_operator *op) {
    if (!op)
        return NULL;
    if (op->started)
        stop_thread(op);
    (void)kube_lease_free(op->lease);
    (void)survey_free(op->survey);
    (void)data_store_free(op->store);
    (void)hits_free(op->hits);
    (void)reach_free(op->reach);
    (void)kube_events_free(op->events);
    (void)kube_free(op->lease_kube);
    (void)kube_free(op->kube);
    (void)cluster_free(op->cluster);
    free(op->identity);
    (void)pthread_cond_destroy(&op->wake);
    (void)pthread_mutex_destroy(&op->lock);
    free(op);
    return NULL;
}
