// SPDX-License-Identifier: Apache-2.0
// What a crash of a daemon, a restart of this process or a hand-made umount left behind.
#include <errno.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "node-plugin/metrics.h"
#include "node-plugin/node.h"

bool node_healthy(struct node *node, const struct staged *staged, const struct mount_table *table) {
    const struct mount_entry *entry = mount_table_find(table, staged->staging_path);
    if (!entry || !node_is_ours(entry))
        return false;
    if (staged->mode != MOUNT_MODE_FUSE)
        return !str_eq(entry->fs_type, "fuse.stowage");
    if (!str_eq(entry->fs_type, "fuse.stowage") || atomic_load(&staged->daemon_dead))
        return false;
    // A mount service that does not answer is no reason to take a mount from the pods that use it.
    const struct mounter *mounter = &node->options->mounter;
    int pidfd cleanup_close = mounter->ops->daemon_open(mounter->self, &staged->daemon);
    return pidfd != -ESRCH;
}

static int take_down(struct node *node, struct staged *staged, int64_t deadline_ns, struct err *err) {
    int r = 0;
    for (size_t i = 0; i < staged->target_count && r == 0; i++)
        r = node_unmount(node, staged->id, staged->targets[i].path, deadline_ns, err);
    if (r == 0)
        r = node_unmount(node, staged->id, staged->staging_path, deadline_ns, err);
    if (r == 0)
        node_stop_daemon(node, staged, clock_monotonic(&clock_system));
    return r;
}

static void drop_target(struct node *node, struct staged *staged, const char *path) {
    LOCK_SCOPE(&node->lock);
    staged_remove_target(staged, path);
}

// A target that cannot be bound again is dropped: its next publish makes it anew.
static void bind_again(struct node *node, struct staged *staged, int64_t deadline_ns) {
    const struct mounter *mounter = &node->options->mounter;
    for (size_t i = staged->target_count; i-- > 0;) {
        struct err err = ERR_NONE;
        const struct staged_target *target = &staged->targets[i];
        if (mounter->ops->bind(mounter->self, staged->staging_path, target->path, target->read_only, deadline_ns,
                               &err) == 0)
            continue;
        node_metrics_count_failure(staged->mode, "bind");
        log_error("target could not be mounted again", LOG_S("volume", staged->id), LOG_S("path", target->path),
                  LOG_S("reason", err.msg));
        drop_target(node, staged, target->path);
    }
}

int node_repair(struct node *node, struct staged *staged, int64_t deadline_ns, struct err *err) {
    log_warning("volume is mounted again", LOG_S("volume", staged->id), LOG_S("path", staged->staging_path),
                LOG_S("mode", mount_mode_name(staged->mode)));
    int r = take_down(node, staged, deadline_ns, err);
    if (r == 0)
        r = node_mount_staged(node, staged, deadline_ns, err);
    if (r == 0)
        r = node_watch(node, staged, err);
    if (r < 0) {
        int64_t undo = clock_monotonic(&clock_system) + NODE_UNDO_NS;
        (void)!node_unmount(node, staged->id, staged->staging_path, undo, NULL);
        node_stop_daemon(node, staged, clock_monotonic(&clock_system));
        return r;
    }
    bind_again(node, staged, deadline_ns);
    return node_store_save(node->store, staged, err);
}

static int recover_one(struct node *node, struct staged *staged, const struct mount_table *table, struct err *err) {
    bool changed = false;
    for (size_t i = staged->target_count; i-- > 0;)
        if (!mount_table_find(table, staged->targets[i].path)) {
            drop_target(node, staged, staged->targets[i].path);
            changed = true;
        }
    bool mounted = mount_table_find(table, staged->staging_path) != NULL;
    struct err why = ERR_NONE;
    int r = mounted ? node_watch(node, staged, &why) : 0;
    if (r < 0 && r != -ESRCH)
        return err_set(err, r, "%s", why.msg);
    if (r < 0) {
        atomic_store(&staged->daemon_dead, true);
        node_metrics_count_failure(staged->mode, "daemon-died");
        log_error("daemon died while stowage-node was away", LOG_S("volume", staged->id), LOG_S("reason", why.msg));
    }
    log_info(mounted ? "volume found again" : "volume is no longer mounted; it is mounted when it is staged again",
             LOG_S("volume", staged->id), LOG_S("path", staged->staging_path), LOG_I("targets", staged->target_count));
    return changed ? node_store_save(node->store, staged, err) : 0;
}

int node_recover(struct node *node, struct err *err) {
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    int r = node_table(node, &table, err);
    const struct strmap_slot *slot = NULL;
    for (size_t i = 0; r == 0 && (slot = strmap_next(&node->volumes, &i));)
        r = recover_one(node, slot->value, table, err);
    if (r == 0)
        node_sweep_inline(node);
    return r;
}
