// SPDX-License-Identifier: Apache-2.0
// Where the data of a volume with `origin: mount` is on this node.
//
// Why:     who may make a PersistentVolume could name any directory of the node, and the daemon reads as root; so only
//          those count that the administrator of the node named by --origin-path-allowed.
// Rules:   what is below an allowed directory is walked by handle, without following symbolic links, which users of the
//          file system may have made. The allowed directory itself is the administrator's and may lead over links.
// Owns:    texts are allocated, released by node_origin_done.
// Fails:   -EACCES naming the flag: not allowed.
#pragma once

#include <stdbool.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/base/fields.h"
#include "node-plugin/source.h"

struct node_origin {
    char *root;   // absolute; NULL: the origin is NFS
    char *dir;    // of the volume, relative to it; "": all of it
    bool mounted; // by stowage-node, at `root`, once for all volumes of that type, source and options
};
void node_origin_done(struct node_origin *origin);
// `mounts`: the directory below which stowage-node mounts origins; NULL or "": it mounts none.
int node_origin_find(const struct field_list *allowed, const char *mounts, const struct volume_source *source,
                     struct node_origin *ret, struct err *err) must_check;
