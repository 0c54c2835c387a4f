// SPDX-License-Identifier: Apache-2.0
// Mounts of what is attached of a volume, found in the mount table.
#pragma once

#include "lib/mount/table.h"
#include "node-plugin/local/allocation.h"

// How a mount shows it: as a file system, as a device file, or as a directory.
bool attachment_is_mount(const struct attachment *attachment, const struct mount_entry *entry);
// Mounts of it from *cursor on, which begins at 0. NULL: no more.
const struct mount_entry *attachment_next_mount(const struct mount_table *table, const struct attachment *attachment,
                                                size_t *cursor);
// Lets its file systems go on that a killed process held still. Is anything of it mounted?
bool attachment_thaw(const struct mount_table *table, const struct attachment *attachment);
// Every mount of it is gone? -EBUSY naming one; `except` (may be NULL) does not count.
int attachment_refuse_mounted(const struct mount_table *table, const struct attachment *attachment, const char *except,
                              struct err *err) must_check;
