// SPDX-License-Identifier: Apache-2.0
// Which node a volume is published to, and how: a registry only, kept in the volume's record.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controller/lock.h"
#include "controller/volume_private.h"
#include "lib/base/mem.h"

static int find_node(const struct volumes *volumes, const char *name, int64_t *ret_max, struct err *err) {
    *ret_max = volumes->options.max_volumes_per_node;
    for (size_t i = 0; i < volumes->options.node_count; i++) {
        if (!str_eq(volumes->options.nodes[i].name, name))
            continue;
        *ret_max = volumes->options.nodes[i].max_volumes;
        return 0;
    }
    return volumes->options.node_count ? err_set(err, -ENOENT, "node '%.100s' is not known; name it with --node", name)
                                       : 0;
}

static struct record_node *node_of(const struct record *record, const char *name) {
    for (size_t i = 0; i < record->node_count; i++)
        if (str_eq(record->nodes[i].node, name))
            return &record->nodes[i];
    return NULL;
}

// ---- the limit of a node --------------------------------------------------------------------------------------

struct tally {
    const char *node;
    int64_t count;
};

static int count_one(void *arg, const char *key, const struct record *record, const struct err *damage) {
    struct tally *tally = arg;
    (void)key;
    (void)damage;
    tally->count += record && node_of(record, tally->node);
    return 0;
}

static int check_limit(struct volumes *volumes, const char *node, int64_t max, int64_t deadline_ns, struct err *err) {
    struct tally tally = {.node = node};
    struct share_location *locations = NULL;
    size_t count = 0;
    int r = shares_locations(volumes->options.shares, &locations, &count);
    if (r < 0)
        (void)err_set(err, r, "out of memory");
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct share *share cleanup(share_freep) = NULL;
        r = shares_get(volumes->options.shares, &locations[i], false, deadline_ns, &share, err);
        if (r == 0)
            r = store_list(share, SHARED_VOLUME, NULL, deadline_ns, count_one, &tally, err);
        else if (r == -ENOENT)
            r = 0;
    }
    shares_locations_done(locations, count);
    if (r == 0 && tally.count >= max)
        r = err_set(err, -EMFILE, "node '%.100s' has %" PRId64 " volumes, its limit; unpublish one first", node,
                    tally.count);
    return r;
}

// ---- publish ------------------------------------------------------------------------------------------------

static bool one_node_only(int mode) {
    return access_mode_is_single_node((enum access_mode)mode);
}

// 1: published like that already. 0: may be added. Or -errno.
static int check_publish(const struct record *record, const struct publish_request *request, struct err *err) {
    const struct record_node *there = node_of(record, request->node_id);
    if (record->state != RECORD_READY)
        return err_set(err, -EAGAIN, "volume '%.80s' is not ready; try again", record->name);
    if (there && (there->read_only != request->read_only || there->mode != (int)request->capability.mode))
        return err_set(err, -EEXIST,
                       "volume '%.80s' is published to node '%.60s' with another access mode or readonly; "
                       "unpublish it first",
                       record->name, request->node_id);
    if (there)
        return 1;
    for (size_t i = 0; i < record->node_count; i++)
        if (one_node_only((int)request->capability.mode) || one_node_only(record->nodes[i].mode))
            return err_set(err, -EBUSY, "volume '%.80s' is for one node at a time and is published to '%.60s'",
                           record->name, record->nodes[i].node);
    return 0;
}

static int add_node(struct record *record, void *arg, struct err *err) {
    const struct publish_request *request = arg;
    int r = check_publish(record, request, err);
    if (r != 0)
        return r;
    struct record_node *grown = mem_realloc(record->nodes, record->node_count + 1, sizeof *grown);
    if (!grown)
        return err_set(err, -ENOMEM, "out of memory");
    record->nodes = grown;
    struct record_node *node = &grown[record->node_count];
    *node = (struct record_node){
        .node = mem_strdup(request->node_id), .read_only = request->read_only, .mode = (int)request->capability.mode};
    if (!node->node)
        return err_set(err, -ENOMEM, "out of memory");
    record->node_count++;
    return 0;
}

static int publish(struct volumes *volumes, const struct call_context *ctx, const struct publish_request *request,
                   struct found *found, struct err *err) {
    struct lock *lock cleanup(lock_freep) = NULL; // of the node: two volumes must not both take its last place
    char name[HASH_ID_LEN + 3] = "n-";
    int64_t max = 0;
    int r = volume_check_capability(&request->capability, err);
    if (r == 0)
        r = volume_load(volumes, ctx, request->volume_id, found, err);
    if (r == 0)
        r = find_node(volumes, request->node_id, &max, err);
    if (r == 0)
        r = check_publish(found->record, request, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (max > 0) {
        hash_id(request->node_id, strlen(request->node_id), name + 2);
        r = lock_wait(found->share, name, found->deadline_ns, &lock, err);
        if (r == 0)
            r = check_limit(volumes, request->node_id, max, found->deadline_ns, err);
    }
    return r < 0 ? r
                 : store_update(found->share, SHARED_VOLUME, found->id.key, found->deadline_ns, add_node,
                                (void *)(uintptr_t)request, err);
}

int volume_publish(void *self, const struct call_context *ctx, const struct publish_request *request, struct err *err) {
    struct found found cleanup(found_done) = {0};
    return volume_answer(publish(self, ctx, request, &found, err), request->volume_id, err);
}

static int drop_node(struct record *record, void *arg, struct err *err) {
    const char *name = arg;
    size_t kept = 0;
    (void)err;
    for (size_t i = 0; i < record->node_count; i++) {
        if (name && !str_eq(record->nodes[i].node, name))
            record->nodes[kept++] = record->nodes[i];
        else
            free(record->nodes[i].node);
    }
    bool changed = kept != record->node_count;
    record->node_count = kept;
    return !changed;
}

int volume_unpublish(void *self, const struct call_context *ctx, const char *id, const char *node_id, struct err *err) {
    struct found found cleanup(found_done) = {0};
    int r = volume_load(self, ctx, id, &found, err);
    // Seldom does anything change: attaching is not required. The record is looked at before it is locked.
    if (r == 0 && (node_id ? node_of(found.record, node_id) != NULL : found.record->node_count > 0))
        r = store_update(found.share, SHARED_VOLUME, found.id.key, found.deadline_ns, drop_node,
                         (void *)(uintptr_t)node_id, err);
    return r == -ENOENT ? 0 : volume_answer(r, id, err); // what is not there is published nowhere
}
