// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/node.h"

#include <errno.h>
#include <stdio.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "node-plugin/metrics.h"

int64_t node_deadline(const struct call_context *ctx) {
    int64_t limit = clock_monotonic(&clock_system) + NODE_LIMIT_NS;
    return ctx && ctx->deadline_ns < limit ? ctx->deadline_ns : limit;
}

int node_table(struct node *node, struct mount_table **ret, struct err *err) {
    return node->options->mounter.ops->table(node->options->mounter.self, ret, err);
}

struct staged *node_find(struct node *node, const char *id) {
    LOCK_SCOPE(&node->lock);
    return strmap_get(&node->volumes, id);
}

void node_count_mounts(struct node *node) {
    LOCK_SCOPE(&node->lock);
    unsigned kernel = 0, fuse = 0;
    const struct strmap_slot *slot = NULL;
    for (size_t i = 0; (slot = strmap_next(&node->volumes, &i));) {
        bool is_kernel = ((const struct staged *)slot->value)->mode == MOUNT_MODE_KERNEL;
        kernel += is_kernel;
        fuse += !is_kernel;
    }
    node_metrics_set_mounts(MOUNT_MODE_KERNEL, kernel);
    node_metrics_set_mounts(MOUNT_MODE_FUSE, fuse);
}

int node_insert(struct node *node, struct staged *staged, struct err *err) {
    int r = 0;
    {
        LOCK_SCOPE(&node->lock);
        r = strmap_put(&node->volumes, staged->id, staged);
    }
    if (r < 0)
        return err_set(err, r, "out of memory");
    node_count_mounts(node);
    return 0;
}

void node_forget(struct node *node, const char *id) {
    struct staged *staged = NULL;
    {
        LOCK_SCOPE(&node->lock);
        staged = strmap_remove(&node->volumes, id);
    }
    (void)staged_free(staged);
    node_count_mounts(node);
}

// Runs on the watch's thread.
static void daemon_ended(const char *volume, const struct process_id *process, void *arg) {
    struct node *node = arg;
    LOCK_SCOPE(&node->lock);
    struct staged *staged = strmap_get(&node->volumes, volume);
    bool current = staged && staged->daemon.pid == process->pid && staged->daemon.start == process->start;
    if (!current) {
        log_debug("daemon ended", LOG_S("volume", volume), LOG_I("daemon", process->pid));
        return;
    }
    atomic_store(&staged->daemon_dead, true);
    if (staged->leaving)
        return;
    node_metrics_count_failure(MOUNT_MODE_FUSE, "daemon-died");
    log_error("daemon died; pods that use the volume get errors until it is staged or published again and they restart",
              LOG_S("volume", volume), LOG_I("daemon", process->pid), LOG_S("staging_path", staged->staging_path));
}

int node_watch(struct node *node, const struct staged *staged, struct err *err) {
    if (staged->mode != MOUNT_MODE_FUSE)
        return 0;
    int pidfd = node->options->mounter.ops->daemon_open(node->options->mounter.self, &staged->daemon);
    if (pidfd == -ESRCH)
        return err_set(err, pidfd, "the daemon of volume '%.128s' is gone; see its log lines", staged->id);
    if (pidfd < 0)
        return err_set(err, pidfd, "the daemon of volume '%.100s' cannot be asked for: %s; does the mount service run?",
                       staged->id, err_name(pidfd));
    return daemon_watch_add(node->watch, staged->id, &staged->daemon, pidfd, err);
}

static int take_record(struct staged *staged, void *arg) {
    int r = node_insert(arg, staged, NULL);
    if (r < 0)
        (void)staged_free(staged);
    return r;
}

int node_new(const struct node_options *options, struct node **ret, struct err *err) {
    struct node *node cleanup(node_freep) = mem_zalloc(sizeof *node);
    if (!node)
        return err_set(err, -ENOMEM, "out of memory");
    node->options = options;
    (void)pthread_mutex_init(&node->lock, NULL);
    int r = node_store_open(options->state_dir, &node->store, err);
    if (r == 0)
        r = daemon_watch_new(daemon_ended, node, &node->watch, err);
    if (r == 0)
        r = node_store_load(node->store, take_record, node, err);
    if (r == 0)
        r = node_recover(node, err);
    if (r < 0)
        return r;
    *ret = take_ptr(node);
    return 0;
}

struct node *node_free(struct node *node) {
    if (!node)
        return NULL;
    node->watch = daemon_watch_free(node->watch);
    const struct strmap_slot *slot = NULL;
    for (size_t i = 0; (slot = strmap_next(&node->volumes, &i));)
        (void)staged_free(slot->value);
    strmap_done(&node->volumes);
    strmap_done(&node->claims);
    strmap_done(&node->origins);
    node->store = node_store_free(node->store);
    (void)pthread_mutex_destroy(&node->lock);
    free(node);
    return NULL;
}

static int info(void *self, struct node_info *ret, struct err *err) {
    const struct node *node = self;
    (void)err;
    *ret = (struct node_info){.max_volumes = node->options->max_volumes, .topology = node->options->node_group};
    (void)snprintf(ret->id, sizeof ret->id, "%s", node->options->node_id);
    return 0;
}

const struct node_ops node_ops = {
    .info = info,
    .stage = node_stage,
    .unstage = node_unstage,
    .publish = node_publish,
    .unpublish = node_unpublish,
    .stats = node_stats,
    .expand = node_expand,
    .publish_inline = node_publish_inline,
};
