// SPDX-License-Identifier: Apache-2.0
// NodePublishVolume of inline ephemeral volumes: kubelet neither provisions nor stages them, so both ends are here.
//
// The volume is staged below --inline-dir, under a name that its id gives, and published from there like any other; the
// last unpublish unstages it. So everything that keeps a staged volume alive keeps this one.
#include <errno.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "node-plugin/inline_shares.h"
#include "node-plugin/inline_volume.h"
#include "node-plugin/node.h"
#include "node-plugin/path.h"

static int staging_path_of(const struct node *node, const char *id, char **ret, struct err *err) {
    char key[HASH_ID_LEN + 1];
    hash_id(id, strlen(id), key);
    *ret = mem_printf("%s/%s", node->options->inline_dir, key);
    return *ret ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int check_allowed(const struct node *node, const struct inline_volume *volume, struct err *err) {
    struct volume_source source cleanup(volume_source_done) = {0};
    struct string_map context = {volume->context, volume->context_count};
    int r = volume_source_parse(&context, &source, err);
    return r < 0 ? r : inline_shares_allow(node->options->inline_shares, &source, err);
}

static int check_target(struct node *node, const char *path, struct err *err) {
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    char *resolved cleanup_free = NULL;
    int r = node_table(node, &table, err);
    return r < 0 ? r : path_resolve(path, table, &resolved, err);
}

static int stage(struct node *node, const struct call_context *ctx, const struct node_publish_request *request,
                 const struct inline_volume *volume, const char *staging_path, struct err *err) {
    const struct volume_capability *capability = &request->capability;
    const char **flags cleanup_free = mem_array(capability->mount_flag_count + 2, sizeof *flags);
    if (!flags)
        return err_set(err, -ENOMEM, "out of memory");
    size_t count = 0;
    while (count < capability->mount_flag_count) {
        flags[count] = capability->mount_flags[count];
        count++;
    }
    if (volume->mount_options)
        flags[count++] = volume->mount_options;
    if (request->read_only)
        flags[count++] = "ro"; // the last word
    struct node_stage_request stage = {
        .volume_id = request->volume_id,
        .staging_path = staging_path,
        .capability = *capability,
        .context = {volume->context, volume->context_count},
    };
    stage.capability.mount_flags = flags;
    stage.capability.mount_flag_count = count;
    int r = node_stage_as(node, ctx, &stage, true, err);
    bool missing = r == -ENOENT || r == -ENOTDIR;
    return missing ? err_wrap(err, r, "an inline volume makes nothing, its directory must exist") : r;
}

static void undo(struct node *node, const char *id) {
    struct call_context ctx = {.deadline_ns = clock_monotonic(&clock_system) + NODE_UNDO_NS};
    struct err why = ERR_NONE;
    if (node_release_inline(node, &ctx, id, &why) < 0)
        log_warning("an inline volume that could not be published is still staged", LOG_S("volume", id),
                    LOG_S("reason", err_text(&why)));
}

static const char *pod_info(const struct node_publish_request *request, const char *key) {
    const char *value = string_map_get(&request->context, key);
    return value ? value : "";
}

int node_publish_inline(void *self, const struct call_context *ctx, const struct node_publish_request *request,
                        struct err *err) {
    struct node *node = self;
    struct inline_volume volume cleanup(inline_volume_done) = {0};
    char *staging_path cleanup_free = NULL;
    struct call_context limited = ctx ? *ctx : (struct call_context){0};
    limited.deadline_ns = node_deadline(ctx); // of both steps together
    int r = inline_volume_parse(&request->context, &volume, err);
    if (r == 0)
        r = check_allowed(node, &volume, err);
    if (r == 0)
        r = check_target(node, request->target_path, err);
    if (r == 0)
        r = staging_path_of(node, request->volume_id, &staging_path, err);
    if (r == 0)
        r = path_make_tree(node->options->inline_dir, err);
    if (r < 0)
        return r;
    struct node_publish_request publish = *request;
    publish.staging_path = staging_path;
    r = stage(node, &limited, request, &volume, staging_path, err);
    if (r == 0)
        r = node_publish(node, &limited, &publish, err);
    if (r < 0)
        undo(node, request->volume_id);
    else
        log_debug("inline volume", LOG_S("volume", request->volume_id),
                  LOG_S("namespace", pod_info(request, "csi.storage.k8s.io/pod.namespace")),
                  LOG_S("pod", pod_info(request, "csi.storage.k8s.io/pod.name")));
    return r;
}

// Is it mounted at any of its targets?
static bool in_use(const struct staged *staged, const struct mount_table *table) {
    for (size_t i = 0; i < staged->target_count; i++)
        if (mount_table_find(table, staged->targets[i].path))
            return true;
    return false;
}

// An empty directory that cannot go, since a copy of the mount stands elsewhere in this namespace, keeps no pod from going.
static int remove_staging_directory(const char *id, const char *path, struct err *err) {
    int r = path_remove_directory(path, err);
    if (r != -EBUSY)
        return r;
    log_warning("the directory of an inline volume stays; is --inline-dir below another mount of this container?",
                LOG_S("volume", id), LOG_S("path", path));
    return 0;
}

// No record: what stands where it would be staged is a mount of before the state directory was lost, or an empty
// directory, or nothing.
static int release_unknown(struct node *node, const struct call_context *ctx, const char *id,
                           const struct mount_table *table, struct err *err) {
    char *path cleanup_free = NULL;
    char *resolved cleanup_free = NULL;
    int r = staging_path_of(node, id, &path, err);
    if (r < 0)
        return r;
    if (path_resolve(path, table, &resolved, NULL) < 0)
        return 0; // there was never an inline volume here
    if (mount_table_find(table, resolved))
        r = node_unstage(node, ctx, id, path, err);
    return r < 0 ? r : remove_staging_directory(id, resolved, err);
}

int node_release_inline(struct node *node, const struct call_context *ctx, const char *id, struct err *err) {
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    const struct staged *staged = node_find(node, id);
    if ((staged && !staged->is_inline) || str_empty(node->options->inline_dir))
        return 0;
    int r = node_table(node, &table, err);
    if (r < 0 || (staged && in_use(staged, table)))
        return r;
    if (!staged)
        return release_unknown(node, ctx, id, table, err);
    char *path cleanup_free = mem_strdup(staged->staging_path);
    if (!path)
        return err_set(err, -ENOMEM, "out of memory");
    r = node_unstage(node, ctx, id, path, err);
    return r < 0 ? r : remove_staging_directory(id, path, err);
}

// The ids of inline volumes without a target: an array of copies, ended by NULL.
static char **unused_volumes(struct node *node) {
    LOCK_SCOPE(&node->lock);
    char **ids = mem_array(node->volumes.len + 1, sizeof *ids);
    const struct strmap_slot *slot = NULL;
    size_t count = 0;
    for (size_t i = 0; ids && (slot = strmap_next(&node->volumes, &i));) {
        const struct staged *staged = slot->value;
        if (staged->is_inline && staged->target_count == 0 && (ids[count] = mem_strdup(staged->id)))
            count++;
    }
    return ids;
}

void node_sweep_inline(struct node *node) {
    char **ids cleanup_free = unused_volumes(node);
    for (size_t i = 0; ids && ids[i]; i++) {
        struct err why = ERR_NONE;
        if (node_release_inline(node, NULL, ids[i], &why) < 0)
            log_warning("an inline volume that no pod uses is still staged", LOG_S("volume", ids[i]),
                        LOG_S("reason", err_text(&why)));
        free(ids[i]);
    }
}
