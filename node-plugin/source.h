// SPDX-License-Identifier: Apache-2.0
// Where a volume's directory is, as its volume context says (keys in csi/shared_volume.h).
//
// Why:   the node needs no record and no access to the share to know what to mount.
// Owns:  texts are allocated copies, released by volume_source_done.
// Fails: -EINVAL naming the key and the remedy. Keys of others (pod information, provisioner identity) are ignored.
#pragma once

#include <stdint.h>

#include "csi/shared_volume.h"
#include "csi/volume.h"
#include "lib/base/cleanup.h"
#include "lib/base/err.h"

struct volume_source {
    char *server, *share, *sub_dir; // server NULL: the origin is a mounted file system (group.origin)
    int mount_mode;                 // enum mount_mode
    uint32_t nfs_port, mount_port, nfs_version, connections; // 0: default
    struct node_group group;                                 // name NULL: no node-group volume
    char *directory;                                         // share and sub_dir joined: "/exports/data/pvc-1"
    char *name; // what mountinfo shows as the source: "10.0.0.5:/exports/data/pvc-1", "/mnt/lustre:/projects/pvc-1"
};

int volume_source_parse(const struct string_map *context, struct volume_source *ret, struct err *err) must_check;
void volume_source_done(struct volume_source *source);
// A host name or an address (IPv6 also in brackets), and nothing that would leak into other mount options.
int volume_source_check_server(const char *value, struct err *err) must_check;
