// SPDX-License-Identifier: Apache-2.0
// NodePublishVolume: the staged file system, or the device's file, bound at the pod's target path.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/mount/mount.h"
#include "node-plugin/local/local.h"
#include "node-plugin/path.h"

struct publish {
    struct attachment device;
    const struct node_publish_request *request;
    const struct mount_table *table;
    const char *target, *staging; // resolved
    bool read_only;
    int64_t deadline_ns;
};

static int find_device(struct local *local, const char *id, struct attachment *ret, struct err *err) {
    struct local_record record;
    struct local_pool *pool = NULL;
    int r = local_get(local, id, LOCAL_VOLUME, &record, err);
    if (r == 0)
        r = local_pool_for(local, id, &pool, err);
    return r < 0 ? r : pool->allocation->find(pool, id, ret, err);
}

static int check_staged(const struct publish *publish, struct err *err) {
    const struct mount_entry *entry = mount_table_find(publish->table, publish->staging);
    bool mounted = entry && attachment_is_mount(&publish->device, entry);
    if (publish->device.attached && (publish->request->capability.block || mounted))
        return 0;
    return err_set(err, -EBUSY, "volume '%.60s' is not staged at %.120s; call NodeStageVolume first",
                   publish->request->volume_id, publish->staging);
}

// SINGLE_NODE_SINGLE_WRITER: one target at a time (CSI specification, VolumeCapability.AccessMode).
static int check_single_writer(const struct publish *publish, struct err *err) {
    const struct mount_entry *entry = NULL;
    if (publish->request->capability.mode != ACCESS_SINGLE_NODE_SINGLE_WRITER)
        return 0;
    for (size_t i = 0; (entry = attachment_next_mount(publish->table, &publish->device, &i));)
        if (!str_eq(entry->target, publish->target) && !str_eq(entry->target, publish->staging))
            return err_set(err, -EBUSY,
                           "volume is SINGLE_NODE_SINGLE_WRITER and published at %.140s already; unpublish that first",
                           entry->target);
    return 0;
}

static int judge_target(const struct publish *publish, bool *ret_done, struct err *err) {
    const struct mount_entry *entry = mount_table_find(publish->table, publish->target);
    if (!entry)
        return 0;
    if (!attachment_is_mount(&publish->device, entry))
        return err_set(err, -EEXIST, "%.120s is a %s mount of '%.60s' already; umount it first", publish->target,
                       entry->fs_type, entry->source);
    if (entry->read_only != publish->read_only)
        return err_set(err, -EEXIST, "volume is published at %.140s %s already; unpublish it first", publish->target,
                       entry->read_only ? "read-only" : "read-write");
    *ret_done = true;
    return 0;
}

static int make_file(const char *path, struct err *err) {
    int fd cleanup_close = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? err_set(err, -errno, "%.160s cannot be made: %s", path, err_name(errno)) : 0;
}

static int bind_target(const struct publish *publish, struct err *err) {
    bool block = publish->request->capability.block, created = false;
    int r = block ? make_file(publish->target, err) : path_make_directory(publish->target, &created, err);
    return r < 0 ? r
                 : mount_bind(block ? publish->device.path : publish->staging, publish->target, publish->read_only,
                              publish->deadline_ns, err);
}

static int run(const struct publish *publish, struct err *err) {
    bool done = false;
    int r = check_staged(publish, err);
    if (r == 0)
        r = check_single_writer(publish, err);
    if (r == 0)
        r = judge_target(publish, &done, err);
    if (r < 0 || done)
        return r;
    r = bind_target(publish, err);
    if (r == 0)
        log_info("local volume published", LOG_S("volume", publish->request->volume_id), LOG_S("path", publish->target),
                 LOG_S("access", publish->read_only ? "read-only" : "read-write"));
    return r;
}

int local_publish(void *self, const struct call_context *ctx, const struct node_publish_request *request,
                  struct err *err) {
    struct publish publish = {
        .request = request,
        .read_only = request->read_only || access_mode_is_read_only(request->capability.mode),
        .deadline_ns = ctx->deadline_ns,
    };
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    char *target cleanup_free = NULL, *staging cleanup_free = NULL;
    int r = find_device(self, request->volume_id, &publish.device, err);
    if (r == 0)
        r = mount_table_load(NULL, &table, err);
    if (r == 0)
        r = path_resolve(request->target_path, table, &target, err);
    if (r == 0)
        r = path_resolve(request->staging_path, table, &staging, err);
    if (r < 0)
        return r;
    publish.table = table;
    publish.target = target;
    publish.staging = staging;
    return run(&publish, err);
}

int local_remove_target(const char *path, struct err *err) {
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_set(err, -errno, "%.160s: %s", path, err_name(errno));
    if (S_ISDIR(st.st_mode))
        return path_remove_directory(path, err);
    if (!S_ISREG(st.st_mode) || st.st_size > 0)
        return err_set(err, -EBUSY, "%.160s is nothing that a volume left; remove it", path);
    return unlink(path) < 0 && errno != ENOENT ? err_set(err, -errno, "%.160s: %s", path, err_name(errno)) : 0;
}

int local_unpublish(void *self, const struct call_context *ctx, const char *id, const char *target_path,
                    struct err *err) {
    struct attachment device = {0};
    struct local_record of_pod;
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    char *path cleanup_free = NULL;
    if (local_find_inline(self, id, &of_pod))
        return local_unpublish_inline(self, ctx, &of_pod, target_path, err);
    int r = find_device(self, id, &device, err);
    if (r == -ENOENT)
        r = 0; // deleted by force; what is left of its target goes all the same
    if (r == 0)
        r = mount_table_load(NULL, &table, err);
    if (r == 0)
        r = path_resolve(target_path, table, &path, err);
    if (r == -ENOENT) // the pod's directory is gone, and with it every mount in it
        return 0;
    const struct mount_entry *entry = r == 0 ? mount_table_find(table, path) : NULL;
    if (entry && !device.lost && !attachment_is_mount(&device, entry))
        return err_set(err, -EBUSY, "%.120s is a %s mount that is not of this volume; umount it", path, entry->fs_type);
    if (entry)
        r = mount_unmount(path, device.lost, ctx->deadline_ns, err);
    if (r == 0)
        r = local_remove_target(path, err);
    if (r == 0 && entry)
        log_info("local volume unpublished", LOG_S("volume", id), LOG_S("path", path));
    return r;
}
