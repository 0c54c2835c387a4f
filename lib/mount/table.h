// SPDX-License-Identifier: Apache-2.0
// What is mounted, as /proc/self/mountinfo tells it (proc(5)), read through libmount.
//
// Why:     a mount point is never asked itself: stat(2) on it would wait for a server that may be gone.
// Owns:    a table is a snapshot; entries and their texts live as long as the table.
// Threads: a table belongs to one thread at a time.
// Fails:   -EIO when the file cannot be read or parsed, -ENOMEM.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

struct mount_entry {
    int id, parent;
    uint64_t device;    // st_dev of the file system: one superblock, one number
    const char *source; // "10.0.0.5:/exports/data"
    const char *root;   // the directory of the file system that is mounted: "/" or a bind mount's
    const char *target;
    const char *fs_type; // "nfs4", "fuse.stowage"
    const char *options; // of this mount: "ro,relatime"
    bool read_only;      // of this mount
};

struct mount_table;

// `path` NULL: /proc/self/mountinfo.
int mount_table_load(const char *path, struct mount_table **ret, struct err *err) must_check;
struct mount_table *mount_table_free(struct mount_table *table);
DEFINE_CLEANUP(mount_table)

// All entries in the order of the file.
const struct mount_entry *mount_table_entries(const struct mount_table *table, size_t *ret_count);
// The topmost mount on exactly this path (mounts may be stacked there); NULL: no mount point. `path` is absolute and
// resolved, without a trailing '/'.
const struct mount_entry *mount_table_find(const struct mount_table *table, const char *path);
// How many mounts are stacked on exactly this path.
size_t mount_table_layers(const struct mount_table *table, const char *path);
// The mount that a lookup of `path` would meet last above it: the longest target that is a parent directory of `path`.
const struct mount_entry *mount_table_above(const struct mount_table *table, const char *path);

// Does `fs_type` wait for somebody else (a server or a daemon) when it is asked?
bool mount_type_may_hang(const char *fs_type);
// Do two entries show the same directory of the same file system?
bool mount_entry_same(const struct mount_entry *a, const struct mount_entry *b);
