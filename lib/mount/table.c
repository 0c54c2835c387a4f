// SPDX-License-Identifier: Apache-2.0
#include "lib/mount/table.h"

#include <errno.h>
#include <libmount.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

struct mount_table {
    struct libmnt_table *parsed; // owns the texts
    struct mount_entry *entries;
    size_t count;
};

struct mount_table *mount_table_free(struct mount_table *table) {
    if (table) {
        mnt_unref_table(table->parsed);
        free(table->entries);
        free(table);
    }
    return NULL;
}

static const char *or_empty(const char *text) {
    return text ? text : "";
}

static bool option_present(const char *options, const char *name) {
    return mnt_optstr_get_option(options, name, NULL, NULL) == 0;
}

static struct mount_entry entry_of(struct libmnt_fs *fs) {
    const char *options = or_empty(mnt_fs_get_vfs_options(fs));
    return (struct mount_entry){
        .id = mnt_fs_get_id(fs),
        .parent = mnt_fs_get_parent_id(fs),
        .device = (uint64_t)mnt_fs_get_devno(fs),
        .source = or_empty(mnt_fs_get_source(fs)),
        .root = or_empty(mnt_fs_get_root(fs)),
        .target = or_empty(mnt_fs_get_target(fs)),
        .fs_type = or_empty(mnt_fs_get_fstype(fs)),
        .options = options,
        .read_only = option_present(options, "ro"),
    };
}

static int fill(struct mount_table *table) {
    int lines = mnt_table_get_nents(table->parsed);
    table->entries = mem_array(lines > 0 ? (size_t)lines : 1, sizeof *table->entries);
    struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
    if (!table->entries || !iter) {
        mnt_free_iter(iter);
        return -ENOMEM;
    }
    struct libmnt_fs *fs = NULL;
    while (table->count < (size_t)lines && mnt_table_next_fs(table->parsed, iter, &fs) == 0)
        table->entries[table->count++] = entry_of(fs);
    mnt_free_iter(iter);
    return 0;
}

// libmount skips lines that it cannot read; here one of them makes the table unusable, for what is missing from it
// would be taken for not mounted.
static int refuse_line(struct libmnt_table *table, const char *file, int line) {
    (void)table, (void)file, (void)line;
    return -EIO;
}

int mount_table_load(const char *path, struct mount_table **ret, struct err *err) {
    const char *file = path ? path : "/proc/self/mountinfo";
    struct mount_table *table cleanup(mount_table_freep) = mem_zalloc(sizeof *table);
    if (!table || !(table->parsed = mnt_new_table()))
        return err_set(err, -ENOMEM, "out of memory");
    (void)mnt_table_set_parser_errcb(table->parsed, refuse_line);
    int r = mnt_table_parse_file(table->parsed, file);
    if (r != 0)
        return err_set(err, r == -ENOMEM ? r : -EIO, "cannot read the mount table %s: %s", file,
                       r < 0 ? err_name(r) : "a line is malformed");
    r = fill(table);
    if (r < 0)
        return err_set(err, r, "out of memory");
    *ret = take_ptr(table);
    return 0;
}

const struct mount_entry *mount_table_entries(const struct mount_table *table, size_t *ret_count) {
    *ret_count = table->count;
    return table->entries;
}

// Of mounts on one path, each but the topmost is the parent of another one.
static bool covered(const struct mount_table *table, const struct mount_entry *entry) {
    for (size_t i = 0; i < table->count; i++) {
        const struct mount_entry *other = &table->entries[i];
        if (other != entry && other->parent == entry->id && str_eq(other->target, entry->target))
            return true;
    }
    return false;
}

const struct mount_entry *mount_table_find(const struct mount_table *table, const char *path) {
    for (size_t i = table->count; i-- > 0;)
        if (str_eq(table->entries[i].target, path) && !covered(table, &table->entries[i]))
            return &table->entries[i];
    return NULL;
}

size_t mount_table_layers(const struct mount_table *table, const char *path) {
    size_t layers = 0;
    for (size_t i = 0; i < table->count; i++)
        layers += str_eq(table->entries[i].target, path);
    return layers;
}

static bool is_above(const char *directory, const char *path) {
    size_t len = strlen(directory);
    if (len == 1)
        return path[0] == '/' && path[1];
    return strncmp(directory, path, len) == 0 && path[len] == '/';
}

const struct mount_entry *mount_table_above(const struct mount_table *table, const char *path) {
    const struct mount_entry *best = NULL;
    for (size_t i = 0; i < table->count; i++) {
        const struct mount_entry *entry = &table->entries[i];
        if (is_above(entry->target, path) && (!best || strlen(entry->target) > strlen(best->target)))
            best = entry;
    }
    return best ? mount_table_find(table, best->target) : NULL;
}

bool mount_type_may_hang(const char *fs_type) {
    static const char *const remote[] = {"nfs",    "nfs4", "cifs", "smb3", "ceph",
                                         "lustre", "9p",   "afs",  "fuse", "glusterfs"};
    for (size_t i = 0; i < ARRAY_SIZE(remote); i++)
        if (str_eq(fs_type, remote[i]))
            return true;
    return str_starts(fs_type, "fuse.");
}

bool mount_entry_same(const struct mount_entry *a, const struct mount_entry *b) {
    return a->device == b->device && str_eq(a->root, b->root);
}
