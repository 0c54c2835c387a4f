// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/local/attachment.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/str.h"
#include "lib/mount/filesystem.h"

static bool ends_with(const char *text, const char *end) {
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && str_eq(text + len - end_len, end);
}

bool attachment_is_mount(const struct attachment *attachment, const struct mount_entry *entry) {
    if (!attachment->attached)
        return false;
    if (attachment->directory)
        return entry->device == attachment->file_system && ends_with(entry->root, attachment->path + attachment->tail);
    if (str_eq(entry->fs_type, "devtmpfs")) // the device's file, bound: its root is "/loop7"
        return str_eq(entry->root, attachment->path + strlen("/dev"));
    return str_eq(entry->source, attachment->path);
}

const struct mount_entry *attachment_next_mount(const struct mount_table *table, const struct attachment *attachment,
                                                size_t *cursor) {
    size_t count = 0;
    const struct mount_entry *entries = mount_table_entries(table, &count);
    while (*cursor < count) {
        const struct mount_entry *entry = &entries[(*cursor)++];
        if (attachment_is_mount(attachment, entry))
            return entry;
    }
    return NULL;
}

bool attachment_thaw(const struct mount_table *table, const struct attachment *attachment) {
    const struct mount_entry *entry = NULL;
    struct err err = ERR_NONE;
    bool mounted = false;
    for (size_t i = 0; (entry = attachment_next_mount(table, attachment, &i)); mounted = true)
        if (!str_eq(entry->fs_type, "devtmpfs") && filesystem_thaw(entry->target, &err) < 0)
            log_warning("cannot tell whether a volume is frozen", LOG_S("reason", err.msg));
    return mounted;
}

int attachment_refuse_mounted(const struct mount_table *table, const struct attachment *attachment, const char *except,
                              struct err *err) {
    const struct mount_entry *entry = NULL;
    for (size_t i = 0; (entry = attachment_next_mount(table, attachment, &i));)
        if (!str_eq(entry->target, except))
            return err_set(err, -EBUSY, "the volume is in use at %.180s; unpublish and unstage it first",
                           entry->target);
    return 0;
}
