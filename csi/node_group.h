// SPDX-License-Identifier: Apache-2.0
// Node-group volumes: shared volumes that belong to the nodes of one group and are cached on each of those nodes' disks.
//
// Why:     one table of settings is the StorageClass's parameters, the volume context that brings them to the node, and
//          what a volume's record keeps; so each is checked in one place and read everywhere by one name.
// Owns:    texts are allocated copies, released by node_group_done.
// Fails:   -EINVAL naming the setting and the remedy.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

// The topology of a node: its group, if it has one, and a key that every node of the driver has. The second is there because
// external-provisioner serves no claim of a node without any topology, and because kubelet refuses a driver whose value of a
// key changes: a node that gets its group later only gets one key more.
#define NODE_GROUP_TOPOLOGY_KEY "topology.csi.stowage.dev/node-group"
#define SHARED_TOPOLOGY_KEY "topology.csi.stowage.dev/shared"
#define NODE_GROUP_LABEL "stowage.dev/node-group" // of a Node object: the group an administrator put it into
#define NODE_GROUP_NAME_MAX 63                    // bytes: a label's value

enum cache_mode {
    CACHE_MODE_STRICT,    // close-to-open: checked with the origin at each open
    CACHE_MODE_TTL,       // checked when the last check is older than cacheTtl
    CACHE_MODE_IMMUTABLE, // never checked again
};
enum origin_kind {
    ORIGIN_NFS,   // server and share
    ORIGIN_MOUNT, // a file system that each node of the group mounts, or has mounted
};
#define CACHE_TTL_DEFAULT_S 60

struct node_group {
    char *name;         // of the group; NULL: no node-group volume, and all else counts for nothing
    int cache_mode;     // enum cache_mode
    uint32_t cache_ttl; // seconds; 0: not given
    int64_t cache_size; // bytes of the volume on each node; 0: what the disk allows
    char *warm_up;      // comma-separated paths inside the volume, fetched when it is staged; NULL: none
    int origin;         // enum origin_kind
    char *origin_name;  // of ORIGIN_MOUNT: how stowage-controller --origin calls it; needed to make volumes
    char *origin_path;  // of ORIGIN_MOUNT: a directory of the nodes where it is mounted already, or
    char *origin_type, *origin_source, *origin_options; // what stowage-node mounts: as mount(8) -t, device, -o
    const char *first; // the first setting that was given beside the name, for messages; NULL: none
};
void node_group_done(struct node_group *group);

bool node_group_is_setting(const char *name); // matched without case
int node_group_set(struct node_group *group, const char *name, const char *value, struct err *err) must_check;
// What no single setting can tell: nothing without a name, a ttl only where it counts, one origin.
int node_group_check(const struct node_group *group, struct err *err) must_check;
// A group's name is a label's value: it selects nodes.
int node_group_check_name(const char *name, struct err *err) must_check;
// All that was given, each by its setting's name; stops when `emit` returns non-zero and returns that.
int node_group_each(const struct node_group *group, int (*emit)(const char *name, const char *value, void *arg),
                    void *arg);
bool node_group_equal(const struct node_group *a, const struct node_group *b);
const char *cache_mode_name(enum cache_mode mode);
// Help text of the settings, with the others of a StorageClass.
void node_group_print_help(void);
