// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/inline_volume.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/fields.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "node-plugin/mount_options.h"
#include "node-plugin/source.h"

#define OF_THE_ORCHESTRATOR "csi.storage.k8s.io/"
#define OF_THE_DRIVER ".stowage" // records, snapshots and what is being deleted

// Components between single slashes; leading and trailing slashes are the caller's affair.
static int check_components(const char *path, struct err *err) {
    for (const char *at = path; *at;) {
        size_t len = strcspn(at, "/");
        if (!str_is_path_component(at, len))
            return err_set(err, -EINVAL,
                           "'%.100s' holds '..', '.', '//' or a character that is no part of a path; name a directory "
                           "by its plain path",
                           path);
        if (len == strlen(OF_THE_DRIVER) && strncmp(at, OF_THE_DRIVER, len) == 0)
            return err_set(err, -EINVAL, "'%.100s' is inside of " OF_THE_DRIVER ", which belongs to the driver", path);
        at += len + (at[len] == '/');
    }
    return 0;
}

static int check_share(const char *value, struct err *err) {
    if (value[0] != '/')
        return err_set(err, -EINVAL, "'%.100s' must start with '/'", value);
    return check_components(value + 1, err);
}

static int check_mount_from(const char *value, struct err *err) {
    return check_components(value + (value[0] == '/'), err);
}

static const char *const mode_names[] = {"auto", "kernel", "fuse", NULL};
#define AT(member) offsetof(struct inline_volume, member)
static const struct field rows[] = {
    {"server", FIELD_TEXT, AT(server), .help = "host name or address of the NFS server",
     .check = volume_source_check_server, .max = 255, .required = true},
    {"share", FIELD_TEXT, AT(share), .help = "exported path, such as /exports/data", .check = check_share, .max = 1023,
     .required = true},
    {"mountFrom", FIELD_TEXT, AT(mount_from), .help = "existing directory below the share", .check = check_mount_from,
     .max = 2047},
    {"mountOptions", FIELD_TEXT, AT(mount_options), .help = "options of the mount, comma separated",
     .check = mount_options_check_names, .max = 1023},
    {"mountMode", FIELD_CHOICE, AT(mount_mode), .choices = mode_names},
    {"nfsVersion", FIELD_U32, AT(nfs_version), .max = 4},
    {"nfsPort", FIELD_U32, AT(nfs_port), .max = UINT16_MAX},
    {"mountPort", FIELD_U32, AT(mount_port), .max = UINT16_MAX},
    {"connections", FIELD_U32, AT(connections), .max = 16},
};
static const struct fields fields = {rows, ARRAY_SIZE(rows), "volume attribute", false};

// Of a StorageClass or of other drivers, and without meaning here.
static int refuse_misplaced(const char *name, struct err *err) {
    static const char nothing_changes[] = "an inline volume changes nothing on the share; remove it";
    static const char no_size[] = "an inline volume has no size of its own; remove it";
    static const struct {
        const char *name, *remedy;
    } misplaced[] = {
        {"subDir", "name the directory by mountFrom"},
        {"onDelete", "an inline volume never deletes anything; remove it"},
        {"mountPermissions", nothing_changes},
        {"uid", nothing_changes},
        {"gid", nothing_changes},
        {"size", no_size},
        {"sizeLimit", no_size},
        {"capacity", no_size},
        {"storage", no_size},
    };
    if (node_group_is_setting(name))
        return err_set(
            err, -EINVAL,
            "volume attribute '%s' is of node-group volumes, which are no inline volumes: the scheduler must "
            "know their nodes; use a claim or a PersistentVolume",
            name);
    for (size_t i = 0; i < ARRAY_SIZE(misplaced); i++)
        if (str_eq_nocase(misplaced[i].name, name))
            return err_set(err, -EINVAL, "volume attribute '%s' does not belong to an inline volume: %s", name,
                           misplaced[i].remedy);
    return 0;
}

static int read_attributes(const struct string_map *attributes, struct inline_volume *volume, struct err *err) {
    int r = 0;
    for (size_t i = 0; i < attributes->count && r == 0; i++) {
        const char *name = attributes->items[i].key;
        if (str_starts(name, OF_THE_ORCHESTRATOR))
            continue;
        r = refuse_misplaced(name, err);
        if (r == 0)
            r = fields_set(&fields, volume, name, attributes->items[i].value, err);
    }
    if (r == 0)
        r = fields_required(&fields, volume, err);
    if (r == 0 && (volume->nfs_version == 1 || volume->nfs_version == 2))
        r = err_set(err, -EINVAL, "volume attribute 'nfsVersion' is %u; give 3 or 4", volume->nfs_version);
    return r;
}

static void add(struct inline_volume *volume, const char *key, const char *value) {
    if (!str_empty(value))
        volume->context[volume->context_count++] = (struct string_pair){key, value};
}

static void add_number(struct inline_volume *volume, size_t slot, const char *key, uint32_t value) {
    if (value > 0)
        (void)snprintf(volume->numbers[slot], sizeof volume->numbers[slot], "%u", value);
    add(volume, key, volume->numbers[slot]);
}

static void make_context(struct inline_volume *volume) {
    const char *from = volume->mount_from ? volume->mount_from : "";
    add(volume, SHARED_CONTEXT_SERVER, volume->server);
    add(volume, SHARED_CONTEXT_SHARE, volume->share);
    add(volume, SHARED_CONTEXT_SUBDIR, from + (from[0] == '/'));
    add(volume, SHARED_CONTEXT_MOUNT_MODE, mode_names[volume->mount_mode]);
    add_number(volume, 0, SHARED_CONTEXT_NFS_PORT, volume->nfs_port);
    add_number(volume, 1, SHARED_CONTEXT_MOUNT_PORT, volume->mount_port);
    add_number(volume, 2, SHARED_CONTEXT_NFS_VERSION, volume->nfs_version);
    add_number(volume, 3, SHARED_CONTEXT_CONNECTIONS, volume->connections);
}

int inline_volume_parse(const struct string_map *attributes, struct inline_volume *ret, struct err *err) {
    *ret = (struct inline_volume){0};
    int r = read_attributes(attributes, ret, err);
    if (r < 0)
        inline_volume_done(ret);
    else
        make_context(ret);
    return r;
}

void inline_volume_done(struct inline_volume *volume) {
    fields_done(&fields, volume);
    *volume = (struct inline_volume){0};
}
