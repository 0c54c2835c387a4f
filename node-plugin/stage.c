// SPDX-License-Identifier: Apache-2.0
// NodeStageVolume and NodeUnstageVolume: the volume's directory mounted at the staging path, and taken away again.
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "node-plugin/metrics.h"
#include "node-plugin/node.h"
#include "node-plugin/origin.h"
#include "node-plugin/path.h"
#include "node-plugin/steps.h"

struct stage_work {
    struct node *node;
    struct staged *staged; // owned until it is in the node's map
    int64_t deadline_ns;
    bool adopt; // the mount is there already
};

static int64_t undo_deadline(void) {
    return clock_monotonic(&clock_system) + NODE_UNDO_NS;
}

static int record(void *arg, struct err *err) {
    struct stage_work *work = arg;
    return node_store_save(work->node->store, work->staged, err);
}
static void unrecord(void *arg) {
    struct stage_work *work = arg;
    struct err err = ERR_NONE;
    if (node_store_remove(work->node->store, work->staged->id, &err) < 0)
        log_warning("record of a volume that could not be staged stays", LOG_S("reason", err.msg));
}

static int make_directory(void *arg, struct err *err) {
    struct stage_work *work = arg;
    bool created = false;
    if (work->adopt) // a mount point is there: it is not to be asked anything
        return 0;
    return path_make_directory(work->staged->staging_path, &created, err);
}

static int mount(void *arg, struct err *err) {
    struct stage_work *work = arg;
    return work->adopt ? 0 : node_mount_staged(work->node, work->staged, work->deadline_ns, err);
}
static void unmount(void *arg) {
    struct stage_work *work = arg;
    struct err err = ERR_NONE;
    if (work->adopt)
        return;
    if (node_unmount(work->node, work->staged->id, work->staged->staging_path, undo_deadline(), &err) < 0)
        log_warning("mount of a volume that could not be staged stays", LOG_S("reason", err.msg));
    node_stop_daemon(work->node, work->staged, clock_monotonic(&clock_system));
}

// The record now names the daemon. From here on the volume is staged.
static int remember(void *arg, struct err *err) {
    struct stage_work *work = arg;
    int r = node_store_save(work->node->store, work->staged, err);
    if (r == 0)
        r = node_insert(work->node, work->staged, err);
    if (r < 0)
        return r;
    const struct staged *staged = take_ptr(work->staged);
    // A daemon that ended just now is found here, as the map has it already.
    struct err why = ERR_NONE;
    r = node_watch(work->node, staged, &why);
    if (r == -ESRCH)
        atomic_store(&((struct staged *)(uintptr_t)staged)->daemon_dead, true);
    else if (r < 0)
        log_warning("the end of the daemon will not be noticed", LOG_S("volume", staged->id), LOG_S("reason", why.msg));
    return 0;
}

static const struct step stage_steps[] = {
    {"record", record, unrecord},
    {"make directory", make_directory, NULL},
    {"mount", mount, unmount},
    {"remember", remember, NULL},
};

// A pod names the directory of an inline volume, and the kernel follows symbolic links on the way to it; the mount table
// tells where that led. (The FUSE daemon follows none. With NFSv3 the server resolves the path.)
static int verify_source(const struct staged *staged, const struct mount_entry *entry, struct err *err) {
    if (!staged->is_inline || str_eq(entry->source, staged->source))
        return 0;
    return err_set(err, -EPERM, "%.90s leads to %.90s by a symbolic link; name the directory itself", staged->source,
                   entry->source);
}

static int verify(struct node *node, const struct staged *staged, struct err *err) {
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    int r = node_table(node, &table, err);
    if (r < 0)
        return r;
    const struct mount_entry *entry = mount_table_find(table, staged->staging_path);
    if (!entry || !node_is_ours(entry))
        return err_set(err, -EIO,
                       "the mount succeeded but is not seen by stowage-node; does its directory have mount propagation "
                       "Bidirectional here and in the mount service? %s",
                       staged->staging_path);
    return verify_source(staged, entry, err);
}

// Only the last part is made: the rest tells whether the disk is there. Without it the daemon serves from the origin.
static void make_cache_dir(const struct node *node, const struct node_group *group) {
    const char *dir = node->options->cache_dir;
    if (!group->name || str_empty(dir) || mkdir(dir, 0700) == 0 || errno == EEXIST)
        return;
    log_warning("there is no cache: its directory cannot be made; is its disk mounted?", LOG_S("cache_dir", dir),
                LOG_S("error", err_name(errno)));
}

int node_mount_staged(struct node *node, struct staged *staged, int64_t deadline_ns, struct err *err) {
    struct volume_source source cleanup(volume_source_done) = {0};
    struct mount_options options cleanup(mount_options_done) = {0};
    struct string_map context = {staged->context, staged->context_count};
    int r = volume_source_parse(&context, &source, err);
    if (r == 0)
        r = mount_options_parse((const char *const *)staged->flags, staged->flag_count, staged->mode, &options, err);
    if (r < 0)
        return r;
    struct node_origin origin cleanup(node_origin_done) = {0};
    struct origin_hold hold cleanup(origin_hold_done) = {0};
    r = node_origin_find(node->options->origin_paths, node->options->origin_dir, &source, &origin, err);
    if (r == 0)
        r = node_origin_hold(node, staged->id, &source, &origin, &hold, err);
    if (r < 0)
        return r;
    int64_t limit = clock_monotonic(&clock_system) + NODE_LIMIT_NS;
    if (origin.mounted && deadline_ns < limit) // its mount has taken of the call's time
        deadline_ns = limit;
    make_cache_dir(node, &source.group);
    const struct mounter *mounter = &node->options->mounter;
    struct mount_request request = {staged->mode, &source,     &options,  staged->staging_path,
                                    staged->id,   origin.root, origin.dir};
    struct process_id daemon = {0};
    r = mounter->ops->mount(mounter->self, &request, deadline_ns, &daemon, err);
    {
        LOCK_SCOPE(&node->lock);
        staged->daemon = daemon;
        atomic_store(&staged->daemon_dead, false);
    }
    if (r == 0)
        r = verify(node, staged, err);
    if (r < 0)
        node_metrics_count_failure(staged->mode, r == -ETIMEDOUT ? "timeout" : "mount");
    return r;
}

// What the request asks for, checked as far as that needs nothing but the request.
struct wish {
    struct volume_source source;
    enum mount_mode mode;
    char *path;
    bool is_inline;
};
static void wish_done(struct wish *wish) {
    volume_source_done(&wish->source);
    free(wish->path);
}

// The scheduler keeps pods of other nodes away by the volume's topology; this is for those that bypass it, and for nodes that
// changed their group. A sick cache disk is no reason: its daemon reads from the origin then.
static int check_node_group(const struct node *node, const struct node_group *group, struct err *err) {
    const char *own = node->options->node_group;
    if (!group->name)
        return 0;
    if (!own)
        return err_set(err, -EBUSY,
                       "the volume is of node group '%s' and this node of none; use a node of that group, or give this "
                       "one the label " NODE_GROUP_LABEL " and restart its stowage-node",
                       group->name);
    if (!str_eq(group->name, own))
        return err_set(err, -EBUSY, "the volume is of node group '%s' and this node of '%s'; use a node of that group",
                       group->name, own);
    if (str_empty(node->options->cache_dir))
        return err_set(err, -EBUSY,
                       "the volume is cached on its nodes and this one has no place for that; give its stowage-node "
                       "--cache-dir (chart value nodeGroups.cache.dir)");
    return 0;
}

static int make_wish(struct node *node, const struct node_stage_request *request, const struct mount_table *table,
                     struct wish *wish, struct err *err) {
    if (request->capability.block)
        return err_set(err, -EINVAL, "a shared volume is a file system; block access cannot be given, use mount");
    int r = volume_source_parse(&request->context, &wish->source, err);
    enum mount_mode asked = wish->source.group.name ? MOUNT_MODE_FUSE : (enum mount_mode)wish->source.mount_mode;
    struct node_origin origin cleanup(node_origin_done) = {0};
    if (r == 0)
        r = node_origin_find(node->options->origin_paths, node->options->origin_dir, &wish->source, &origin, err);
    if (r == 0)
        r = check_node_group(node, &wish->source.group, err);
    if (r == 0)
        r = mount_mode_choose(asked, node->options->mount_mode, &node->options->probe, &wish->mode, err);
    struct mount_options options cleanup(mount_options_done) = {0};
    if (r == 0)
        r = mount_options_parse(request->capability.mount_flags, request->capability.mount_flag_count, wish->mode,
                                &options, err);
    return r < 0 ? r : path_resolve(request->staging_path, table, &wish->path, err);
}

static const char *difference(const struct staged *staged, const struct wish *wish,
                              const struct volume_capability *capability) {
    if (!str_eq(staged->staging_path, wish->path))
        return "another staging path";
    if (!str_eq(staged->source, wish->source.name))
        return "another server or directory";
    if (!staged_flags_equal(staged, capability->mount_flags, capability->mount_flag_count))
        return "other mount options";
    struct volume_source had cleanup(volume_source_done) = {0};
    const struct string_map context = {staged->context, staged->context_count};
    if (volume_source_parse(&context, &had, NULL) == 0 && !node_group_equal(&had.group, &wish->source.group))
        return "another node group, cache or origin";
    return NULL;
}

static void set_leaving(struct node *node, struct staged *staged, bool leaving) {
    LOCK_SCOPE(&node->lock);
    staged->leaving = leaving;
}

// It was staged otherwise: refused as long as anything of it is mounted (CSI specification, NodeStageVolume,
// ALREADY_EXISTS), else it is a record of before a reboot, which is forgotten with all that it names.
static int forget_former(struct node *node, struct staged *staged, const char *how, const struct mount_table *table,
                         struct err *err) {
    if (mount_table_find(table, staged->staging_path))
        return err_set(err, -EEXIST, "volume is staged already with %s (at %.120s); unstage it first", how,
                       staged->staging_path);
    for (size_t i = 0; i < staged->target_count; i++)
        if (mount_table_find(table, staged->targets[i].path))
            return err_set(err, -EEXIST,
                           "volume was staged with %s and is still published at %.120s; unpublish it first", how,
                           staged->targets[i].path);
    set_leaving(node, staged, true);
    // Without any mount of ours its daemon serves at most what was detached.
    node_stop_daemon(node, staged, clock_monotonic(&clock_system) + NODE_PLAIN_NS);
    int r = node_store_remove(node->store, staged->id, err);
    if (r == 0)
        node_forget(node, staged->id);
    else
        set_leaving(node, staged, false);
    return r;
}

// The volume is in our records. *ret_done: nothing else is to be done.
static int stage_again(struct node *node, struct staged *staged, const struct wish *wish,
                       const struct volume_capability *capability, const struct mount_table *table, bool *ret_done,
                       int64_t deadline_ns, struct err *err) {
    const char *how = difference(staged, wish, capability);
    *ret_done = !how;
    if (how)
        return forget_former(node, staged, how, table, err);
    return node_healthy(node, staged, table) ? 0 : node_repair(node, staged, deadline_ns, err);
}

// A mount at the staging path that no record tells of.
static int judge_unknown(struct node *node, const struct wish *wish, const char *id, const struct mount_table *table,
                         bool *ret_adopt, int64_t deadline_ns, struct err *err) {
    const struct mount_entry *entry = mount_table_find(table, wish->path);
    *ret_adopt = false;
    if (!entry)
        return 0;
    if (!node_is_ours(entry) || !str_eq(entry->source, wish->source.name))
        return err_set(err, -EEXIST, "%.100s is a %s mount of '%.100s' already; umount it first", wish->path,
                       entry->fs_type, entry->source);
    bool fuse = str_eq(entry->fs_type, "fuse.stowage");
    *ret_adopt = !fuse && !wish->is_inline && wish->mode == MOUNT_MODE_KERNEL;
    if (*ret_adopt)
        return 0;
    log_warning("staging path has a mount without a record; it is replaced, pods on it go on with the old one",
                LOG_S("volume", id), LOG_S("path", wish->path));
    return node_unmount(node, id, wish->path, deadline_ns, err);
}

static int make_staged(const struct wish *wish, const struct node_stage_request *request, struct staged **ret,
                       struct err *err) {
    struct staged *staged cleanup(staged_freep) = staged_new(request->volume_id, wish->path);
    if (!staged || !(staged->source = mem_strdup(wish->source.name)) ||
        staged_set_context(staged, &request->context) < 0 ||
        staged_set_flags(staged, request->capability.mount_flags, request->capability.mount_flag_count) < 0)
        return err_set(err, -ENOMEM, "out of memory");
    staged->mode = wish->mode;
    staged->is_inline = wish->is_inline;
    *ret = take_ptr(staged);
    return 0;
}

static int stage_new(struct node *node, const struct wish *wish, const struct node_stage_request *request,
                     const struct mount_table *table, int64_t deadline_ns, struct err *err) {
    struct stage_work work = {.node = node, .deadline_ns = deadline_ns};
    int r = judge_unknown(node, wish, request->volume_id, table, &work.adopt, deadline_ns, err);
    struct staged *staged cleanup(staged_freep) = NULL;
    if (r == 0)
        r = make_staged(wish, request, &staged, err);
    if (r < 0)
        return r;
    work.staged = staged;
    r = steps_run(stage_steps, ARRAY_SIZE(stage_steps), &work, err);
    if (r < 0) {
        node_origin_release(node, request->volume_id, &request->context, undo_deadline());
        return r;
    }
    (void)take_ptr(staged); // the map's
    log_info("volume staged", LOG_S("volume", request->volume_id), LOG_S("path", wish->path),
             LOG_S("source", wish->source.name), LOG_S("mode", mount_mode_name(wish->mode)));
    return 0;
}

int node_stage_as(struct node *node, const struct call_context *ctx, const struct node_stage_request *request,
                  bool is_inline, struct err *err) {
    int64_t deadline_ns = node_deadline(ctx);
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    struct wish wish cleanup(wish_done) = {.is_inline = is_inline};
    int r = node_table(node, &table, err);
    if (r == 0)
        r = make_wish(node, request, table, &wish, err);
    struct path_claim claim cleanup(path_claim_done) = {0};
    if (r == 0)
        r = node_claim(node, wish.path, request->volume_id, &table, &claim, err);
    if (r == 0)
        r = node_refuse_taken(node, wish.path, request->volume_id, err);
    if (r < 0)
        return r;
    struct staged *staged = node_find(node, request->volume_id);
    bool done = false;
    if (staged)
        r = stage_again(node, staged, &wish, &request->capability, table, &done, deadline_ns, err);
    if (r < 0 || done)
        return r;
    return stage_new(node, &wish, request, table, deadline_ns, err);
}

int node_stage(void *self, const struct call_context *ctx, const struct node_stage_request *request, struct err *err) {
    return node_stage_as(self, ctx, request, false, err);
}

static int refuse_published(const struct staged *staged, const struct mount_table *table, struct err *err) {
    for (size_t i = 0; i < staged->target_count; i++)
        if (mount_table_find(table, staged->targets[i].path))
            return err_set(err, -EBUSY, "volume is still published at %.160s; unpublish it first",
                           staged->targets[i].path);
    return 0;
}

static int unstage_known(struct node *node, struct staged *staged, const struct mount_table *table, int64_t deadline_ns,
                         struct err *err) {
    int r = refuse_published(staged, table, err);
    if (r < 0)
        return r;
    set_leaving(node, staged, true);
    r = node_unmount(node, staged->id, staged->staging_path, deadline_ns, err);
    if (r == 0) {
        int64_t limit = clock_monotonic(&clock_system) + NODE_PLAIN_NS;
        node_stop_daemon(node, staged, deadline_ns < limit ? deadline_ns : limit);
        r = node_store_remove(node->store, staged->id, err);
    }
    set_leaving(node, staged, false);
    if (r < 0)
        return r;
    log_info("volume unstaged", LOG_S("volume", staged->id), LOG_S("path", staged->staging_path));
    const struct string_map context = {staged->context, staged->context_count};
    node_origin_release(node, staged->id, &context, deadline_ns);
    node_forget(node, staged->id);
    return 0;
}

// Nothing is known of this volume at this path: what is mounted there is taken away if it is of our kind.
static int unstage_unknown(struct node *node, const char *id, const char *path, const struct mount_table *table,
                           int64_t deadline_ns, struct err *err) {
    char other[CSI_ID_MAX + 1];
    const struct mount_entry *entry = mount_table_find(table, path);
    int r = node_store_check(node->store, id, err);
    if (r < 0 || !entry || node_path_taken(node, path, id, other))
        return r;
    if (!node_is_ours(entry))
        return err_set(err, -EBUSY, "%.120s is a %s mount that stowage did not make; umount it", path, entry->fs_type);
    return node_unmount(node, id, path, deadline_ns, err);
}

int node_unstage(void *self, const struct call_context *ctx, const char *id, const char *staging_path,
                 struct err *err) {
    struct node *node = self;
    int64_t deadline_ns = node_deadline(ctx);
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    char *path cleanup_free = NULL;
    int r = node_table(node, &table, err);
    if (r == 0)
        r = path_resolve(staging_path, table, &path, err);
    struct staged *staged = node_find(node, id);
    if (r == -ENOENT) { // its parent directory is gone, so nothing is mounted there
        path = mem_strdup(staging_path);
        r = path ? 0 : err_set(err, -ENOMEM, "out of memory");
    }
    struct path_claim claim cleanup(path_claim_done) = {0};
    if (r == 0)
        r = node_claim(node, path, id, &table, &claim, err);
    if (r < 0)
        return r;
    if (staged && str_eq(staged->staging_path, path))
        return unstage_known(node, staged, table, deadline_ns, err);
    return unstage_unknown(node, id, path, table, deadline_ns, err);
}
