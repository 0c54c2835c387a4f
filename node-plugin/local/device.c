// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/mount/filesystem.h"
#include "node-plugin/local/local.h"

int local_device_find(const struct local_pool *pool, const char *id, struct local_device *ret, struct err *err) {
    char image[IMAGE_PATH_SIZE];
    *ret = (struct local_device){0};
    int r = image_path(pool, id, image, err);
    if (r == 0)
        r = loop_find(image, &ret->number, err);
    if (r == -ENOENT) // no device, or no image
        return 0;
    ret->attached = r == 0;
    if (r == 0)
        loop_path(ret->number, ret->path);
    return r;
}

bool local_is_mount_of(const struct mount_entry *entry, const struct local_device *device) {
    if (!device->attached)
        return false;
    if (str_eq(entry->fs_type, "devtmpfs")) // the device's file, bound: its root is "/loop7"
        return str_eq(entry->root, device->path + strlen("/dev"));
    return str_eq(entry->source, device->path);
}

const struct mount_entry *local_next_mount(const struct mount_table *table, const struct local_device *device,
                                           size_t *cursor) {
    size_t count = 0;
    const struct mount_entry *entries = mount_table_entries(table, &count);
    while (*cursor < count) {
        const struct mount_entry *entry = &entries[(*cursor)++];
        if (local_is_mount_of(entry, device))
            return entry;
    }
    return NULL;
}

int local_refuse_mounted(const struct mount_table *table, const struct local_device *device, const char *except,
                         struct err *err) {
    const struct mount_entry *entry = NULL;
    for (size_t i = 0; (entry = local_next_mount(table, device, &i));)
        if (!str_eq(entry->target, except))
            return err_set(err, -EBUSY, "the volume is in use at %.180s; unpublish and unstage it first",
                           entry->target);
    return 0;
}

static int recover_one(unsigned number, const char *image, void *arg) {
    const struct mount_table *table = arg;
    struct local_device device = {.attached = true, .number = number};
    struct err err = ERR_NONE;
    bool used = false;
    const struct mount_entry *entry = NULL;
    loop_path(number, device.path);
    for (size_t i = 0; (entry = local_next_mount(table, &device, &i)); used = true)
        if (!str_eq(entry->fs_type, "devtmpfs") && filesystem_thaw(entry->target, &err) < 0)
            log_warning("cannot tell whether a volume is frozen", LOG_S("reason", err.msg));
    if (used)
        return 0;
    if (loop_detach(number, &err) < 0)
        log_warning("loop device stays", LOG_S("reason", err.msg));
    else
        log_info("loop device that nobody used was let go", LOG_S("device", device.path), LOG_S("image", image));
    return 0;
}

void local_device_recover(const struct local_pool *pool) {
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    struct err err = ERR_NONE;
    int r = mount_table_load(NULL, &table, &err);
    if (r == 0)
        r = loop_each(pool->data, recover_one, table);
    if (r < 0)
        log_warning("loop devices were not looked through", LOG_S("pool", pool->name), LOG_S("reason", err_name(r)));
}
