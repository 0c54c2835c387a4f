// SPDX-License-Identifier: Apache-2.0
// NodeStageVolume: the image on a loop device, a file system on it when it is new, mounted. Block access: the device.
#include <errno.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/mount/filesystem.h"
#include "lib/mount/mount.h"
#include "node-plugin/local/local.h"
#include "node-plugin/path.h"

struct stage {
    struct local *local;
    struct local_pool *pool;
    struct local_record record;
    struct attachment device;
    int device_fd; // keeps a device that clears itself
    const char *type;
    int64_t deadline_ns;
};

static int find(struct stage *stage, struct err *err) {
    return stage->pool->allocation->find(stage->pool, stage->record.id, &stage->device, err);
}

// What was not found. To find one is to look through all devices of the node: not twice in a call.
static int attach(struct stage *stage, bool autoclear, struct err *err) {
    if (stage->device.attached)
        return 0;
    return stage->pool->allocation->attach(stage->pool, &stage->record, autoclear, &stage->device, &stage->device_fd,
                                           err);
}

static int stage_block(struct stage *stage, struct err *err) {
    int r = find(stage, err);
    return r < 0 ? r : attach(stage, false, err);
}

// May a file system be made, or is there one already? Not where somebody's data may be.
static int judge_content(const struct stage *stage, const char *found, bool *ret_make, struct err *err) {
    const struct local_record *record = &stage->record;
    bool mine = str_eq(found, stage->type);
    *ret_make = !record->formatted[0] && !record->raw; // also over one's own type: a mkfs whose end was not recorded
    if (record->formatted[0] && !mine)
        return err_set(err, -EBADMSG, "volume '%.60s' was formatted with %s and shows '%s' now; restore it", record->id,
                       record->formatted, found);
    if (record->raw && !mine)
        return err_set(err, -EBUSY,
                       "volume '%.60s' was made as a block device and holds no %s; use it with volumeMode Block",
                       record->id, stage->type);
    if (*ret_make && found[0] && !mine)
        return err_set(err, -EBUSY, "volume '%.60s' holds '%s'; wipe it by wipefs to use it as a file system",
                       record->id, found);
    return 0;
}

// A file system is made once in the life of a volume; what does not look like it afterwards is never overwritten.
static int prepare(struct stage *stage, struct err *err) {
    char found[FILESYSTEM_TYPE_SIZE];
    struct local_record *record = &stage->record;
    bool make = false;
    int r = filesystem_probe(stage->device.path, found, err);
    if (r == 0)
        r = judge_content(stage, found, &make, err);
    if (r == 0)
        r = make ? filesystem_make(stage->device.path, stage->type, stage->deadline_ns, err)
                 : filesystem_check(stage->device.path, stage->type, stage->deadline_ns, err);
    if (r < 0 || record->formatted[0])
        return r;
    if (LOCAL_SET(record->formatted, stage->type) < 0)
        return err_set(err, -EINVAL, "file system '%.40s' is not served", stage->type);
    record->fs_bytes = record->bytes;
    return local_save(stage->local, record, err);
}

static int join_flags(const struct volume_capability *capability, const char *type, struct str *ret, struct err *err) {
    if (str_eq(type, "xfs"))
        (void)str_append(ret, "nouuid"); // a clone bears the identity of its original
    for (size_t i = 0; i < capability->mount_flag_count; i++)
        (void)str_printf(ret, "%s%s", ret->len > 0 ? "," : "", capability->mount_flags[i]);
    return ret->failed ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int grow(struct stage *stage, const char *path, struct err *err) {
    struct local_record *record = &stage->record;
    if (record->fs_bytes >= record->bytes)
        return 0;
    int r = filesystem_grow(stage->device.path, path, record->formatted, stage->deadline_ns, err);
    record->fs_bytes = record->bytes;
    return r < 0 ? r : local_save(stage->local, record, err);
}

static int mount_new(struct stage *stage, const struct volume_capability *capability, const char *path,
                     struct err *err) {
    struct str options cleanup_str = {0};
    bool created = false;
    int r = path_make_directory(path, &created, err);
    if (r == 0)
        r = attach(stage, true, err);
    if (r == 0)
        r = prepare(stage, err);
    if (r == 0)
        r = join_flags(capability, stage->type, &options, err);
    if (r == 0)
        r = filesystem_mount(stage->device.path, path, stage->type, str_text(&options), stage->deadline_ns, err);
    if (r < 0)
        return r;
    r = grow(stage, path, err);
    if (r < 0) {
        struct err undo = ERR_NONE;
        if (mount_unmount(path, true, stage->deadline_ns, &undo) < 0)
            log_warning("mount of a volume that could not be staged stays", LOG_S("reason", undo.msg));
        return r;
    }
    log_info("local volume staged", LOG_S("volume", stage->record.id), LOG_S("path", path),
             LOG_S("device", stage->device.path), LOG_S("type", stage->type));
    return 0;
}

static int stage_mount(struct stage *stage, const struct volume_capability *capability, const char *path,
                       const struct mount_table *table, struct err *err) {
    const struct local_record *record = &stage->record;
    const char *asked = str_empty(capability->fs_type) ? NULL : capability->fs_type;
    stage->type = record->formatted[0] ? record->formatted
                  : asked              ? asked
                  : record->fs_type[0] ? record->fs_type
                                       : "ext4";
    if (asked && !str_eq(asked, stage->type))
        return err_set(err, -EINVAL, "volume '%.60s' is formatted with %s, %.40s is asked for", record->id, stage->type,
                       asked);
    const struct mount_entry *entry = mount_table_find(table, path);
    int r = find(stage, err);
    if (r < 0)
        return r;
    if (entry && attachment_is_mount(&stage->device, entry))
        return grow(stage, path, err);
    if (entry)
        return err_set(err, -EEXIST, "%.120s is a %s mount of '%.60s' already; umount it first", path, entry->fs_type,
                       entry->source);
    return mount_new(stage, capability, path, err);
}

// The directory itself, bound; its file system is the pool's.
static int stage_directory(struct stage *stage, const char *path, const struct mount_table *table, struct err *err) {
    const struct mount_entry *entry = mount_table_find(table, path);
    bool created = false;
    int r = stage->pool->allocation->attach(stage->pool, &stage->record, false, &stage->device, &stage->device_fd, err);
    if (r < 0)
        return r;
    if (entry && attachment_is_mount(&stage->device, entry))
        return 0;
    if (entry)
        return err_set(err, -EEXIST, "%.120s is a %s mount of '%.60s' already; umount it first", path, entry->fs_type,
                       entry->source);
    r = path_make_directory(path, &created, err);
    if (r == 0)
        r = mount_bind(stage->device.path, path, false, stage->deadline_ns, err);
    if (r == 0)
        log_info("local volume staged", LOG_S("volume", stage->record.id), LOG_S("path", path),
                 LOG_S("directory", stage->device.path));
    return r;
}

static int begin(struct local *local, const char *id, struct stage *ret, struct err *err) {
    ret->local = local;
    ret->device_fd = -1;
    int r = local_get(local, id, LOCAL_VOLUME, &ret->record, err);
    return r < 0 ? r : local_pool_for(local, id, &ret->pool, err);
}

int local_stage(void *self, const struct call_context *ctx, const struct node_stage_request *request, struct err *err) {
    struct stage stage = {.deadline_ns = ctx->deadline_ns};
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    char *path cleanup_free = NULL;
    int r = begin(self, request->volume_id, &stage, err);
    if (r == 0)
        r = local_judge(stage.pool, &request->capability, err);
    if (r == 0)
        r = mount_table_load(NULL, &table, err);
    if (r == 0)
        r = path_resolve(request->staging_path, table, &path, err);
    if (r < 0)
        return r;
    r = stage.pool->allocation->directory ? stage_directory(&stage, path, table, err)
        : request->capability.block       ? stage_block(&stage, err)
                                          : stage_mount(&stage, &request->capability, path, table, err);
    cleanup_closep(&stage.device_fd);
    return r;
}

int local_unstage(void *self, const struct call_context *ctx, const char *id, const char *staging_path,
                  struct err *err) {
    struct stage stage = {0};
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    char *path cleanup_free = NULL;
    int r = begin(self, id, &stage, err);
    if (r == -ENOENT) // deleted by force: nothing of it can be staged
        return 0;
    if (r == 0)
        r = mount_table_load(NULL, &table, err);
    if (r == 0)
        r = stage.pool->allocation->find(stage.pool, id, &stage.device, err);
    if (r == 0)
        r = path_resolve(staging_path, table, &path, err);
    if (r == -ENOENT)
        r = 0;
    const struct mount_entry *entry = r == 0 && path ? mount_table_find(table, path) : NULL;
    if (entry && stage.device.lost) // what is mounted there shows a disk that is gone
        return mount_unmount(path, true, ctx->deadline_ns, err);
    if (r < 0 || !stage.device.attached)
        return r;
    r = attachment_refuse_mounted(table, &stage.device, path, err);
    if (r == 0 && entry && attachment_is_mount(&stage.device, entry))
        r = mount_unmount(path, false, ctx->deadline_ns, err);
    if (r == 0)
        r = stage.pool->allocation->detach(&stage.device, err);
    if (r == 0)
        log_info("local volume unstaged", LOG_S("volume", id), LOG_S("path", staging_path));
    return r;
}
