// SPDX-License-Identifier: Apache-2.0
#include "controller/volume.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controller/volume_private.h"
#include "lib/base/mem.h"

int volumes_new(const struct volumes_options *options, struct volumes **ret, struct err *err) {
    struct volumes *volumes = mem_zalloc(sizeof *volumes);
    if (!volumes)
        return err_set(err, -ENOMEM, "out of memory");
    volumes->options = *options;
    if (!volumes->options.clock)
        volumes->options.clock = &clock_system;
    *ret = volumes;
    return 0;
}

struct volumes *volumes_free(struct volumes *volumes) {
    free(volumes);
    return NULL;
}

const struct volume_ops volume_ops = {
    .create = volume_create,
    .destroy = volume_destroy,
    .get = volume_get,
    .list = volume_list,
    .capacity = volume_capacity,
    .expand = volume_expand,
    .modify = volume_modify,
    .publish = volume_publish,
    .unpublish = volume_unpublish,
    .supports = volume_supports,
};

void found_done(struct found *found) {
    found->record = record_free(found->record);
    found->share = share_free(found->share);
    shared_id_done(&found->id);
}

int volume_locate(struct volumes *volumes, const struct call_context *ctx, const char *id, struct found *ret,
                  struct err *err) {
    int r = shared_id_parse(id, &ret->id, NULL);
    if (r == -EINVAL || (r == 0 && ret->id.kind != SHARED_VOLUME))
        return -ENOENT;
    if (r < 0)
        return err_set(err, r, "out of memory");
    ret->deadline_ns = share_deadline(ctx);
    return shares_get(volumes->options.shares, &ret->id.location, false, ret->deadline_ns, &ret->share, err);
}

int volume_load(struct volumes *volumes, const struct call_context *ctx, const char *id, struct found *ret,
                struct err *err) {
    int r = volume_locate(volumes, ctx, id, ret, err);
    if (r == 0)
        r = store_get(ret->share, SHARED_VOLUME, ret->id.key, ret->deadline_ns, &ret->record, err);
    return r == -ENOENT ? err_set(err, r, "volume '%.128s' does not exist", id) : r;
}

int volume_answer(int r, const char *id, struct err *err) {
    switch (r) {
    case -ENOENT:
        return err && err->code == -ENOENT ? r : err_set(err, r, "volume '%.128s' does not exist", id);
    case -EPROTO: // a newer format: nothing is wrong that trying again would cure
        r = -EBUSY;
        break;
    case -ESTALE: // the share was made anew, or its server restored: the next call opens it again
        r = -EAGAIN;
        break;
    default:
        break;
    }
    if (err && r < 0)
        err->code = r;
    return r;
}

static int add_number(struct volume_info *info, const char *key, unsigned value) {
    char text[16];
    (void)snprintf(text, sizeof text, "%u", value);
    return value ? volume_info_add_context(info, key, text) : 0;
}

static int add_nodes(const struct record *record, struct volume_info *info) {
    info->published_nodes = record->node_count ? mem_array(record->node_count, sizeof(char *)) : NULL;
    if (record->node_count && !info->published_nodes)
        return -ENOMEM;
    for (size_t i = 0; i < record->node_count; i++) {
        info->published_nodes[i] = mem_strdup(record->nodes[i].node);
        if (!info->published_nodes[i])
            return -ENOMEM;
        info->published_count++;
    }
    return 0;
}

static int add_setting(const char *name, const char *value, void *arg) {
    return volume_info_add_context(arg, name, value);
}

static int add_group(const struct node_group *group, struct volume_info *info) {
    info->topology = mem_strdup(group->name);
    if (group->name && !info->topology)
        return -ENOMEM;
    return node_group_each(group, add_setting, info);
}

static int fill(struct share *share, const struct record *record, struct volume_info *info) {
    static const char *const modes[] = {"auto", "kernel", "fuse"};
    const struct share_location *at = &share->location;
    char id[CSI_ID_MAX + 1];
    if (shared_id_format(SHARED_VOLUME, record->key, at, id, NULL) < 0)
        return -EINVAL;
    info->id = mem_strdup(id);
    info->capacity_bytes = record->bytes;
    info->source = record->source;
    info->source_id = mem_strdup(record->source_id);
    if (!info->id || (record->source_id && !info->source_id))
        return -ENOMEM;
    if ((at->server && volume_info_add_context(info, SHARED_CONTEXT_SERVER, at->server) < 0) ||
        volume_info_add_context(info, SHARED_CONTEXT_SHARE, at->path) < 0 ||
        volume_info_add_context(info, SHARED_CONTEXT_SUBDIR, record->sub_dir) < 0 ||
        volume_info_add_context(info, SHARED_CONTEXT_MOUNT_MODE, modes[record->mount_mode]) < 0 ||
        add_number(info, SHARED_CONTEXT_NFS_PORT, at->nfs_port) < 0 ||
        add_number(info, SHARED_CONTEXT_MOUNT_PORT, at->mount_port) < 0 ||
        add_number(info, SHARED_CONTEXT_NFS_VERSION, (unsigned)at->version) < 0 ||
        add_number(info, SHARED_CONTEXT_CONNECTIONS, record->connections) < 0 || add_group(&record->group, info) < 0)
        return -ENOMEM;
    return add_nodes(record, info);
}

int volume_fill_info(struct share *share, const struct record *record, struct volume_info *ret, struct err *err) {
    struct volume_info info cleanup(volume_info_done) = {0};
    int r = fill(share, record, &info);
    if (r < 0)
        return err_set(err, r, "out of memory");
    *ret = info;
    info = (struct volume_info){0};
    return 0;
}
