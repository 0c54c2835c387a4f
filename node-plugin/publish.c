// SPDX-License-Identifier: Apache-2.0
// NodePublishVolume and NodeUnpublishVolume: a bind mount of the staging path at the pod's target path.
#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "node-plugin/metrics.h"
#include "node-plugin/node.h"
#include "node-plugin/path.h"
#include "node-plugin/steps.h"

struct publish_work {
    struct node *node;
    struct staged *staged;
    const char *path; // resolved
    bool read_only;
    enum access_mode access;
    bool created; // the directory
    int64_t deadline_ns;
};

static int record(void *arg, struct err *err) {
    struct publish_work *work = arg;
    int r = 0;
    {
        LOCK_SCOPE(&work->node->lock);
        staged_remove_target(work->staged, work->path);
        r = staged_add_target(work->staged, work->path, work->read_only, work->access);
    }
    return r < 0 ? err_set(err, r, "out of memory") : node_store_save(work->node->store, work->staged, err);
}
static void unrecord(void *arg) {
    struct publish_work *work = arg;
    struct err err = ERR_NONE;
    {
        LOCK_SCOPE(&work->node->lock);
        staged_remove_target(work->staged, work->path);
    }
    if (node_store_save(work->node->store, work->staged, &err) < 0)
        log_warning("record keeps a target that could not be published", LOG_S("reason", err.msg));
}

static int make_directory(void *arg, struct err *err) {
    struct publish_work *work = arg;
    return path_make_directory(work->path, &work->created, err);
}
static void remove_directory(void *arg) {
    struct publish_work *work = arg;
    struct err err = ERR_NONE;
    if (work->created && path_remove_directory(work->path, &err) < 0)
        log_warning("directory of a target that could not be published stays", LOG_S("reason", err.msg));
}

static int bind_target(void *arg, struct err *err) {
    struct publish_work *work = arg;
    const struct mounter *mounter = &work->node->options->mounter;
    int r = mounter->ops->bind(mounter->self, work->staged->staging_path, work->path, work->read_only,
                               work->deadline_ns, err);
    if (r < 0)
        node_metrics_count_failure(work->staged->mode, r == -ETIMEDOUT ? "timeout" : "bind");
    return r;
}
static void unbind_target(void *arg) {
    struct publish_work *work = arg;
    struct err err = ERR_NONE;
    int64_t deadline_ns = clock_monotonic(&clock_system) + NODE_UNDO_NS;
    if (node_unmount(work->node, work->staged->id, work->path, deadline_ns, &err) < 0)
        log_warning("mount of a target that could not be published stays", LOG_S("reason", err.msg));
}

static const struct step publish_steps[] = {
    {"record", record, unrecord},
    {"make directory", make_directory, remove_directory},
    {"bind", bind_target, unbind_target},
};

// The staged volume of the request, in working order.
static int find_staged(struct node *node, const struct node_publish_request *request, const struct mount_table *table,
                       struct staged **ret, struct err *err) {
    struct staged *staged = node_find(node, request->volume_id);
    if (request->capability.block)
        return err_set(err, -EINVAL, "a shared volume is a file system; block access cannot be given, use mount");
    if (!staged)
        return err_set(err, -EBUSY, "volume '%.128s' is not staged on this node; call NodeStageVolume first",
                       request->volume_id);
    if (str_empty(request->staging_path))
        return err_set(err, -EBUSY, "the staging path is missing; give the one of NodeStageVolume");
    char *path cleanup_free = NULL;
    int r = path_resolve(request->staging_path, table, &path, err);
    if (r < 0)
        return r;
    if (!str_eq(path, staged->staging_path))
        return err_set(err, -EBUSY, "volume is staged at %.100s, not at %.100s", staged->staging_path, path);
    *ret = staged;
    return 0;
}

// SINGLE_NODE_SINGLE_WRITER: one target at a time (CSI specification, VolumeCapability.AccessMode).
static int check_single_writer(const struct publish_work *work, const struct mount_table *table, struct err *err) {
    for (size_t i = 0; i < work->staged->target_count; i++) {
        const struct staged_target *other = &work->staged->targets[i];
        bool single =
            work->access == ACCESS_SINGLE_NODE_SINGLE_WRITER || other->access == ACCESS_SINGLE_NODE_SINGLE_WRITER;
        if (single && !str_eq(other->path, work->path) && mount_table_find(table, other->path))
            return err_set(err, -EBUSY,
                           "volume is SINGLE_NODE_SINGLE_WRITER and published at %.140s already; unpublish that first",
                           other->path);
    }
    return 0;
}

// Something is mounted at the target. *ret_done: it is what was asked for.
static int judge_target(const struct publish_work *work, const struct mount_table *table, bool *ret_done,
                        struct err *err) {
    const struct mount_entry *entry = mount_table_find(table, work->path);
    const struct mount_entry *staging = mount_table_find(table, work->staged->staging_path);
    const struct staged_target *known = staged_find_target(work->staged, work->path);
    *ret_done = false;
    if (!entry)
        return 0;
    if (!known && (!node_is_ours(entry) || !str_eq(entry->source, work->staged->source)))
        return err_set(err, -EEXIST, "%.100s is a %s mount of '%.100s' already; umount it first", work->path,
                       entry->fs_type, entry->source);
    if (known && known->read_only != work->read_only)
        return err_set(err, -EEXIST, "volume is published at %.140s %s already; unpublish it first", work->path,
                       known->read_only ? "read-only" : "read-write");
    // A staging mount that is read-only itself makes its binds so as well.
    bool same = staging && mount_entry_same(entry, staging);
    *ret_done = known && same && (entry->read_only || !work->read_only);
    return *ret_done ? 0 : node_unmount(work->node, work->staged->id, work->path, work->deadline_ns, err);
}

static bool flags_say_read_only(const struct volume_capability *capability) {
    for (size_t i = 0; i < capability->mount_flag_count; i++)
        if (str_eq(capability->mount_flags[i], "ro"))
            return true;
    return false;
}

static int publish(struct publish_work *work, struct mount_table *table, struct err *err) {
    int r = node_refuse_taken(work->node, work->path, work->staged->id, err);
    if (r == 0)
        r = check_single_writer(work, table, err);
    bool done = false;
    if (r == 0)
        r = judge_target(work, table, &done, err);
    if (r < 0 || done)
        return r;
    r = steps_run(publish_steps, ARRAY_SIZE(publish_steps), work, err);
    if (r == 0)
        log_info("volume published", LOG_S("volume", work->staged->id), LOG_S("path", work->path),
                 LOG_S("access", work->read_only ? "read-only" : "read-write"));
    return r;
}

// After a repair the table is another one.
static int repair_if_needed(struct publish_work *work, struct mount_table **table, struct err *err) {
    if (node_healthy(work->node, work->staged, *table))
        return 0;
    int r = node_repair(work->node, work->staged, work->deadline_ns, err);
    *table = mount_table_free(*table);
    return r < 0 ? r : node_table(work->node, table, err);
}

int node_publish(void *self, const struct call_context *ctx, const struct node_publish_request *request,
                 struct err *err) {
    struct node *node = self;
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    char *path cleanup_free = NULL;
    struct publish_work work = {
        .node = node,
        .read_only = request->read_only || access_mode_is_read_only(request->capability.mode) ||
                     flags_say_read_only(&request->capability),
        .access = request->capability.mode,
        .deadline_ns = node_deadline(ctx),
    };
    int r = node_table(node, &table, err);
    if (r == 0)
        r = find_staged(node, request, table, &work.staged, err);
    if (r == 0)
        r = path_resolve(request->target_path, table, &path, err);
    struct path_claim claim cleanup(path_claim_done) = {0};
    if (r == 0)
        r = node_claim(node, path, request->volume_id, &table, &claim, err);
    if (r == 0)
        r = repair_if_needed(&work, &table, err);
    if (r < 0)
        return r;
    work.path = path;
    return publish(&work, table, err);
}

static int forget_target(struct node *node, struct staged *staged, const char *path, struct err *err) {
    {
        LOCK_SCOPE(&node->lock);
        if (!staged_find_target(staged, path))
            return 0;
        staged_remove_target(staged, path);
    }
    log_info("volume unpublished", LOG_S("volume", staged->id), LOG_S("path", path));
    return node_store_save(node->store, staged, err);
}

static int unpublish(struct node *node, const char *id, const char *path, const struct mount_table *table,
                     int64_t deadline_ns, struct err *err) {
    struct staged *staged = node_find(node, id);
    bool known = staged && staged_find_target(staged, path);
    const struct mount_entry *entry = mount_table_find(table, path);
    char other[CSI_ID_MAX + 1];
    if (node_path_taken(node, path, id, other) || (staged && str_eq(staged->staging_path, path)))
        return 0; // this volume is not published there
    if (entry && !known && !node_is_ours(entry))
        return err_set(err, -EBUSY, "%.120s is a %s mount that stowage did not make; umount it", path, entry->fs_type);
    int r = staged ? 0 : node_store_check(node->store, id, err);
    if (r == 0)
        r = node_unmount(node, id, path, deadline_ns, err);
    if (r == 0)
        r = path_remove_directory(path, err);
    return r == 0 && staged ? forget_target(node, staged, path, err) : r;
}

static int take_off(struct node *node, const struct call_context *ctx, const char *id, const char *target_path,
                    struct err *err) {
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    char *path cleanup_free = NULL;
    int r = node_table(node, &table, err);
    if (r == 0)
        r = path_resolve(target_path, table, &path, err);
    struct staged *staged = node_find(node, id);
    if (r == -ENOENT) // the pod's directory is gone, and with it every mount in it
        return staged ? forget_target(node, staged, target_path, err) : 0;
    struct path_claim claim cleanup(path_claim_done) = {0};
    if (r == 0)
        r = node_claim(node, path, id, &table, &claim, err);
    return r < 0 ? r : unpublish(node, id, path, table, node_deadline(ctx), err);
}

int node_unpublish(void *self, const struct call_context *ctx, const char *id, const char *target_path,
                   struct err *err) {
    struct call_context limited = ctx ? *ctx : (struct call_context){0};
    limited.deadline_ns = node_deadline(ctx);
    int r = take_off(self, &limited, id, target_path, err);
    return r < 0 ? r : node_release_inline(self, &limited, id, err);
}
