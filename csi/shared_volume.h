// SPDX-License-Identifier: Apache-2.0
// The class "shared": what its controller and its node tell each other, and nothing else.
//
// The id of a volume, snapshot or group is decoded without any lookup:
//
//     v-<26 characters of base32>@<server>[:<nfs port>[:<mount port>]][+<nfs version>]/<share path without first '/'>
//     v-mzxw6ytboi5dmnzqmfzwizdfmy@10.0.0.5/exports/data
//     s-…@[fd00::5]:12049:12050+3/export          ("s-" a snapshot, "g-" a snapshot group)
//     v-…@mount=lustre/projects                   (a directory of the origin "lustre" that the controller has mounted)
//
// The 26 characters are hash_id() of the CSI name, so the same name on the same share is the same volume on every
// controller. A server and share that do not fit into CSI_ID_MAX are refused when the volume is created.
//
// The volume context carries SHARED_CONTEXT_* so that the node needs no record and no share access to mount.
#pragma once

#include <stdint.h>

#include "csi/node_group.h"
#include "csi/volume.h"
#include "lib/base/hash.h"

#define SHARED_DRIVER_NAME "csi.stowage.dev"

enum shared_kind { SHARED_VOLUME = 'v', SHARED_SNAPSHOT = 's', SHARED_GROUP = 'g' };

// Where a share is. Texts are allocated copies.
struct share_location {
    char *origin;                  // a mounted file system by its name (stowage-controller --origin); NULL: NFS
    char *server;                  // without brackets; NULL with an origin, which has no ports and no version either
    char *path;                    // "/...", without a trailing '/' (but "/" itself)
    uint16_t nfs_port, mount_port; // 0: default
    int version;                   // 3, 4, or 0: try
};
void share_location_done(struct share_location *location);
// The form behind the "@" of an id, also taken by --share: "10.0.0.5:12049:12050+3/export", or "mount=lustre/projects".
// -EINVAL with the remedy.
int share_location_parse(const char *text, struct share_location *ret, struct err *err) must_check;
int share_location_format(const struct share_location *location, char ret[CSI_ID_MAX + 1], struct err *err) must_check;
int share_location_copy(const struct share_location *from, struct share_location *ret) must_check; // -ENOMEM

struct shared_id {
    enum shared_kind kind;
    char key[HASH_ID_LEN + 1];
    struct share_location location;
};
void shared_id_done(struct shared_id *id);
int shared_id_parse(const char *text, struct shared_id *ret, struct err *err) must_check; // -EINVAL: garbage
int shared_id_format(enum shared_kind kind, const char *key, const struct share_location *location,
                     char ret[CSI_ID_MAX + 1], struct err *err) must_check;

// Keys of the volume context, in the order of their need at the node.
#define SHARED_CONTEXT_SERVER "server"
#define SHARED_CONTEXT_SHARE "share"
#define SHARED_CONTEXT_SUBDIR "subDir"           // resolved: no templates left
#define SHARED_CONTEXT_MOUNT_MODE "mountMode"    // auto|kernel|fuse
#define SHARED_CONTEXT_NFS_PORT "nfsPort"        // absent: default
#define SHARED_CONTEXT_MOUNT_PORT "mountPort"    // absent: default
#define SHARED_CONTEXT_NFS_VERSION "nfsVersion"  // absent: kernel chooses 4.2 downwards; fuse tries 3, then 4
#define SHARED_CONTEXT_CONNECTIONS "connections" // of one fuse mount; absent: 4
// and the settings of csi/node_group.h, of a node-group volume. With origin: mount there is no server.

// StorageClass parameters of the class (names matched without case, csi-driver-nfs's first).
enum on_delete { ON_DELETE_DELETE, ON_DELETE_RETAIN, ON_DELETE_ARCHIVE };
enum mount_mode { MOUNT_MODE_AUTO, MOUNT_MODE_KERNEL, MOUNT_MODE_FUSE };

struct shared_parameters {
    char *server, *share, *sub_dir; // sub_dir: as given, with templates; NULL: ${pv.metadata.name}
    int on_delete;                  // enum on_delete
    uint32_t mount_permissions;     // octal; 0: leave 0777 & ~umask as the server makes it
    int64_t uid, gid;               // -1: leave
    int mount_mode;                 // enum mount_mode
    uint32_t nfs_port, mount_port, nfs_version, connections; // 0: default
    char *pvc_name, *pvc_namespace, *pv_name; // csi.storage.k8s.io/…, from external-provisioner --extra-create-metadata
    struct node_group group;
};
void shared_parameters_done(struct shared_parameters *p);
// Strict: an unknown name is refused with the list of the known ones; csi.storage.k8s.io/* that the CO may add
// (secrets, fstype, serviceAccount…) are accepted and ignored.
int shared_parameters_parse(const struct string_map *parameters, struct shared_parameters *ret,
                            struct err *err) must_check;
// One parameter by its name, for changes (ControllerModifyVolume); the same checks.
int shared_parameters_set(struct shared_parameters *p, const char *name, const char *value, struct err *err) must_check;
int shared_parameters_location(const struct shared_parameters *p, struct share_location *ret,
                               struct err *err) must_check;
// The same table's help, for docs and `stowage volume create --help`.
void shared_parameters_print_help(void);
// The directory of a volume below the share: templates replaced, every component checked (no "..", not absolute, no
// component over 255 bytes, not below ".stowage"). A name that is no file name gives its hash_id. Allocated.
int shared_sub_dir_resolve(const struct shared_parameters *p, const char *volume_name, char **ret,
                           struct err *err) must_check;
