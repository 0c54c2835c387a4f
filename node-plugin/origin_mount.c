// SPDX-License-Identifier: Apache-2.0
// Origins that this node mounts itself: one mount for all volumes of the same type, source and options.
//
// Who uses an origin is never counted in a file: it is the volumes that are staged, and those that are being mounted just
// now (node.origins). Mounting and unmounting happen under a claim of the path; a use is noted before the claim is asked
// for, and looked for under it: so nothing is unmounted that somebody is about to read.
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "node-plugin/node.h"
#include "node-plugin/origin.h"
#include "node-plugin/path.h"

#define CLAIM_PAUSE_MS 50

struct origin_use {
    size_t count;
};

static int note_use(struct node *node, const char *root, struct err *err) {
    LOCK_SCOPE(&node->lock);
    struct origin_use *use = strmap_get(&node->origins, root);
    if (!use) {
        use = mem_zalloc(sizeof *use);
        if (!use || strmap_put(&node->origins, root, use) < 0) {
            free(use);
            return err_set(err, -ENOMEM, "out of memory");
        }
    }
    use->count++;
    return 0;
}

void origin_hold_done(struct origin_hold *hold) {
    if (!hold->root)
        return;
    {
        LOCK_SCOPE(&hold->node->lock);
        struct origin_use *use = strmap_get(&hold->node->origins, hold->root);
        if (use && --use->count == 0)
            free(strmap_remove(&hold->node->origins, hold->root));
    }
    free(take_ptr(hold->root));
}

// Another volume's call may be at this origin: it is waited for, as mounting it once serves both.
static int claim_root(struct node *node, const char *root, const char *id, int64_t deadline_ns,
                      struct mount_table **table, struct path_claim *ret, struct err *err) {
    for (;;) {
        int r = node_claim(node, root, id, table, ret, err);
        if (r != -EAGAIN || clock_monotonic(&clock_system) >= deadline_ns)
            return r;
        (void)poll(NULL, 0, CLAIM_PAUSE_MS);
    }
}

// As the mount table will show it.
static int resolve_root(struct node *node, struct node_origin *origin, struct err *err) {
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    char *resolved = NULL;
    int r = path_make_tree(node->options->origin_dir, err);
    if (r == 0)
        r = node_table(node, &table, err);
    if (r == 0)
        r = path_resolve(origin->root, table, &resolved, err);
    if (r < 0)
        return r;
    free(origin->root);
    origin->root = resolved;
    return 0;
}

static int mount_there(struct node *node, const char *id, const struct node_group *group, const char *root,
                       int64_t deadline_ns, struct err *err) {
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    struct path_claim claim cleanup(path_claim_done) = {0};
    bool created = false;
    int r = claim_root(node, root, id, deadline_ns, &table, &claim, err);
    if (r < 0 || mount_table_find(table, root))
        return r;
    r = path_make_directory(root, &created, err);
    if (r < 0)
        return r;
    const struct mounter *mounter = &node->options->mounter;
    const struct mount_origin wish = {
        .type = group->origin_type, .source = group->origin_source, .options = group->origin_options, .target = root};
    r = mounter->ops->mount_origin(mounter->self, &wish, deadline_ns, err);
    if (r < 0)
        return err_wrap(err, r, "origin %.60s", group->origin_source);
    log_info("origin mounted", LOG_S("type", wish.type), LOG_S("source", wish.source), LOG_S("path", root));
    return 0;
}

int node_origin_hold(struct node *node, const char *id, const struct volume_source *source, struct node_origin *origin,
                     struct origin_hold *ret, struct err *err) {
    int64_t deadline_ns = clock_monotonic(&clock_system) + NODE_ORIGIN_NS;
    if (!origin->mounted)
        return 0;
    int r = resolve_root(node, origin, err);
    if (r == 0)
        r = note_use(node, origin->root, err);
    if (r < 0)
        return r;
    struct origin_hold hold cleanup(origin_hold_done) = {node, mem_strdup(origin->root)};
    if (!hold.root)
        return err_set(err, -ENOMEM, "out of memory");
    r = mount_there(node, id, &source->group, origin->root, deadline_ns, err);
    if (r < 0)
        return r;
    *ret = hold;
    hold = (struct origin_hold){0};
    return 0;
}

static bool same_origin(const struct staged *staged, const struct node_group *group) {
    struct volume_source source cleanup(volume_source_done) = {0};
    const struct string_map context = {staged->context, staged->context_count};
    return volume_source_parse(&context, &source, NULL) == 0 && source.group.origin == ORIGIN_MOUNT &&
           str_eq(source.group.origin_type, group->origin_type) &&
           str_eq(source.group.origin_source, group->origin_source) &&
           str_eq(source.group.origin_options, group->origin_options);
}

static bool in_use(struct node *node, const char *id, const struct node_group *group, const char *root) {
    LOCK_SCOPE(&node->lock);
    const struct strmap_slot *slot = NULL;
    bool used = strmap_get(&node->origins, root) != NULL;
    for (size_t i = 0; !used && (slot = strmap_next(&node->volumes, &i));) {
        const struct staged *staged = slot->value;
        used = !str_eq(staged->id, id) && same_origin(staged, group);
    }
    return used;
}

static int release(struct node *node, const char *id, const struct node_group *group, struct node_origin *origin,
                   int64_t deadline_ns, struct err *err) {
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    struct path_claim claim cleanup(path_claim_done) = {0};
    int r = resolve_root(node, origin, err);
    if (r == 0)
        r = claim_root(node, origin->root, id, deadline_ns, &table, &claim, err);
    if (r < 0 || in_use(node, id, group, origin->root))
        return r;
    if (mount_table_find(table, origin->root)) {
        r = node_unmount(node, id, origin->root, deadline_ns, err);
        if (r == 0)
            log_info("origin unmounted", LOG_S("source", group->origin_source), LOG_S("path", origin->root));
    }
    return r < 0 ? r : path_remove_directory(origin->root, err);
}

void node_origin_release(struct node *node, const char *id, const struct string_map *context, int64_t deadline_ns) {
    struct volume_source source cleanup(volume_source_done) = {0};
    struct node_origin origin cleanup(node_origin_done) = {0};
    struct err err = ERR_NONE;
    int r = volume_source_parse(context, &source, &err);
    if (r == 0)
        r = node_origin_find(node->options->origin_paths, node->options->origin_dir, &source, &origin, &err);
    if (r < 0 || !origin.mounted)
        return;
    if (release(node, id, &source.group, &origin, deadline_ns, &err) < 0)
        log_warning("an origin that no volume uses is still mounted", LOG_S("volume", id), LOG_S("path", origin.root),
                    LOG_S("reason", err_text(&err)));
}
