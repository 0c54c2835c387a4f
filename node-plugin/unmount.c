// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "node-plugin/node.h"

#define LAYERS_MAX 16

bool node_is_ours(const struct mount_entry *entry) {
    return str_eq(entry->fs_type, "fuse.stowage") || str_eq(entry->fs_type, "nfs") || str_eq(entry->fs_type, "nfs4");
}

// After a failed or unfinished umount: did the layer go all the same? (Busy in the kernel, but out of sight already.)
static bool layer_gone(struct node *node, const char *path, size_t layers) {
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    return node_table(node, &table, NULL) == 0 && mount_table_layers(table, path) < layers;
}

static int64_t plain_deadline(int64_t deadline_ns) {
    int64_t now = clock_monotonic(&clock_system), half = now + (deadline_ns > now ? (deadline_ns - now) / 2 : 0);
    return half < now + NODE_PLAIN_NS ? half : now + NODE_PLAIN_NS;
}

static int unmount_layer(struct node *node, const char *id, const char *path, size_t layers, int64_t deadline_ns,
                         struct err *err) {
    const struct mounter *mounter = &node->options->mounter;
    struct err why = ERR_NONE;
    int r = mounter->ops->unmount(mounter->self, path, false, plain_deadline(deadline_ns), &why);
    if (r == 0 || layer_gone(node, path, layers))
        return 0;
    log_warning("umount failed; the mount is detached and ends when nothing uses it any more", LOG_S("volume", id),
                LOG_S("path", path), LOG_S("reason", err_text(&why)));
    r = mounter->ops->unmount(mounter->self, path, true, deadline_ns, err);
    return r < 0 && !layer_gone(node, path, layers) ? r : 0;
}

int node_unmount(struct node *node, const char *id, const char *path, int64_t deadline_ns, struct err *err) {
    for (int i = 0; i < LAYERS_MAX; i++) {
        struct mount_table *table cleanup(mount_table_freep) = NULL;
        int r = node_table(node, &table, err);
        if (r < 0)
            return r;
        size_t layers = mount_table_layers(table, path);
        if (layers == 0)
            return 0;
        r = unmount_layer(node, id, path, layers, deadline_ns, err);
        if (r < 0)
            return r;
    }
    return err_set(err, -EBUSY, "%.160s has more than %d mounts on top of each other; umount them", path, LAYERS_MAX);
}

void node_stop_daemon(struct node *node, struct staged *staged, int64_t deadline_ns) {
    if (staged->daemon.pid <= 0)
        return;
    const struct mounter *mounter = &node->options->mounter;
    struct err err = ERR_NONE;
    if (mounter->ops->daemon_stop(mounter->self, &staged->daemon, deadline_ns, &err) < 0)
        log_error("daemon does not end", LOG_S("volume", staged->id), LOG_S("reason", err.msg));
    LOCK_SCOPE(&node->lock);
    staged->daemon = (struct process_id){0};
}
