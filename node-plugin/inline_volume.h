// SPDX-License-Identifier: Apache-2.0
// What a pod's inline volume asks for: the attributes of its `csi:` source, checked and turned into a volume context.
//
// Why:   attributes bear the names of StorageClass parameters, matched without case like those; from the context on, an
//        inline volume is mounted like any other.
// Owns:  texts are allocated copies, released by inline_volume_done; `context` borrows from them.
// Fails: -EINVAL naming the attribute and the remedy. csi.storage.k8s.io/* (pod information) is passed over.
#pragma once

#include <stdint.h>

#include "csi/shared_volume.h"
#include "csi/volume.h"
#include "lib/base/cleanup.h"
#include "lib/base/err.h"

struct inline_volume {
    char *server, *share;
    char *mount_from;                                        // an existing directory below the share; NULL: the share
    char *mount_options;                                     // comma separated; NULL: none
    int mount_mode;                                          // enum mount_mode
    uint32_t nfs_port, mount_port, nfs_version, connections; // 0: default
    struct string_pair context[8];                           // SHARED_CONTEXT_*
    size_t context_count;
    char numbers[4][12]; // texts of the context
};

// *ret must not be moved afterwards.
int inline_volume_parse(const struct string_map *attributes, struct inline_volume *ret, struct err *err) must_check;
void inline_volume_done(struct inline_volume *volume);
