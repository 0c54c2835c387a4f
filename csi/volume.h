// SPDX-License-Identifier: Apache-2.0
// What the CSI services ask of a kind of volume, in plain C structs: the vtables that every class implements.
//
// Why:     argument checks, protobuf and gRPC codes stand in csi/ once; a class (shared, local, …) implements these
//          tables and knows neither. csi/ never includes a class.
// Owns:    requests borrow everything; results are filled for the caller and released by the *_done functions here.
// Threads: every function may run on several threads at once, but never twice for one volume id or name: the generic
//          RPC path holds the per-volume lock (a second call is answered ABORTED there). Functions that only read (get,
//          list, capacity, supports, group_get, info, stats) are not locked and may run beside any other.
// Fails:   -errno with a message in `err` that names the object and the remedy; csi/status.h maps it to a gRPC code:
//          -EINVAL INVALID_ARGUMENT, -ENOENT NOT_FOUND, -EEXIST ALREADY_EXISTS, -EAGAIN/-EINPROGRESS ABORTED,
//          -ENOSPC/-EDQUOT/-EMFILE RESOURCE_EXHAUSTED, -ERANGE OUT_OF_RANGE, -EBUSY/-ENOTEMPTY FAILED_PRECONDITION,
//          -EACCES/-EPERM PERMISSION_DENIED, -ETIMEDOUT DEADLINE_EXCEEDED, -ECANCELED CANCELLED,
//          -EHOSTUNREACH/-ECONNREFUSED/-ESHUTDOWN… UNAVAILABLE, -EOPNOTSUPP UNIMPLEMENTED, -EBADMSG DATA_LOSS,
//          -ENOMEM RESOURCE_EXHAUSTED, everything else INTERNAL.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

#define CSI_ID_MAX 128 // bytes of a volume, snapshot or node id (CSI specification, "Size Limits")

// Of one RPC: who asks, and until when.
struct call_context {
    int64_t deadline_ns;       // absolute CLOCK_MONOTONIC; never DEADLINE_NONE (the RPC table gives a default)
    bool (*cancelled)(void *); // did the client go away? may be NULL
    void *arg;
    const char *request_id; // for logs
};

struct string_pair {
    const char *key, *value;
};
struct string_map {
    const struct string_pair *items;
    size_t count;
};
const char *string_map_get(const struct string_map *map, const char *key); // exact case; NULL when absent

enum access_mode { // numbers of the CSI specification
    ACCESS_UNKNOWN = 0,
    ACCESS_SINGLE_NODE_WRITER = 1,
    ACCESS_SINGLE_NODE_READER_ONLY = 2,
    ACCESS_MULTI_NODE_READER_ONLY = 3,
    ACCESS_MULTI_NODE_SINGLE_WRITER = 4,
    ACCESS_MULTI_NODE_MULTI_WRITER = 5,
    ACCESS_SINGLE_NODE_SINGLE_WRITER = 6,
    ACCESS_SINGLE_NODE_MULTI_WRITER = 7,
};
bool access_mode_is_single_node(enum access_mode mode);
bool access_mode_is_read_only(enum access_mode mode);

struct volume_capability {
    bool block; // else mount
    enum access_mode mode;
    const char *fs_type; // may be NULL
    const char *const *mount_flags;
    size_t mount_flag_count;
    const char *mount_group; // may be NULL
};

enum content_source { CONTENT_EMPTY, CONTENT_SNAPSHOT, CONTENT_VOLUME };

struct volume_create_request {
    const char *name;                    // 1..128 characters of UTF-8, no control characters (checked in csi/)
    int64_t required_bytes, limit_bytes; // 0: not given
    const struct volume_capability *capabilities;
    size_t capability_count;
    struct string_map parameters, mutable_parameters;
    enum content_source source;
    const char *source_id;
    // Where it must be usable: values of the class's topology key, any of them will do. Count 0: anywhere. Where only some
    // volumes of the class are bound to a value (topology_common), preferences do not count.
    const char *const *topologies;
    size_t topology_count;
};

struct volume_info {
    char *id;
    int64_t capacity_bytes;
    struct string_pair *context; // allocated array of allocated strings
    size_t context_count;
    enum content_source source;
    char *source_id;
    char *topology; // value of the class's topology key where it can be used; NULL: everywhere
    char **published_nodes;
    size_t published_count;
    bool abnormal;   // condition
    char *condition; // why, or NULL
};
void volume_info_done(struct volume_info *info);
int volume_info_add_context(struct volume_info *info, const char *key, const char *value) must_check;

struct snapshot_info {
    char *id, *source_volume_id, *group_id; // group_id NULL: of no group
    int64_t size_bytes;
    int64_t created_ns; // since 1970
    bool ready;
};
void snapshot_info_done(struct snapshot_info *info);

struct publish_request {
    const char *volume_id, *node_id;
    struct volume_capability capability;
    bool read_only;
};

struct capacity_info {
    int64_t available_bytes;
    int64_t maximum_volume_bytes; // 0: not told
};

// Lists hand each entry to `emit` (which copies what it keeps) and stop when it returns non-zero.
typedef int (*volume_emit_fn)(const struct volume_info *info, void *arg);
typedef int (*snapshot_emit_fn)(const struct snapshot_info *info, void *arg);

struct volume_ops {
    int (*create)(void *self, const struct call_context *ctx, const struct volume_create_request *request,
                  struct volume_info *ret, struct err *err);
    int (*destroy)(void *self, const struct call_context *ctx, const char *id, struct err *err); // unknown id: 0
    int (*get)(void *self, const struct call_context *ctx, const char *id, struct volume_info *ret, struct err *err);
    // Sorted by id, those behind `after` (NULL: from the start).
    int (*list)(void *self, const struct call_context *ctx, const char *after, volume_emit_fn emit, void *arg,
                struct err *err);
    // `topology`: only what can be used there; NULL: everywhere.
    int (*capacity)(void *self, const struct call_context *ctx, const struct string_map *parameters,
                    const char *topology, struct capacity_info *ret, struct err *err);
    int (*expand)(void *self, const struct call_context *ctx, const char *id, int64_t required_bytes,
                  int64_t limit_bytes, int64_t *ret_bytes, struct err *err);
    int (*modify)(void *self, const struct call_context *ctx, const char *id, const struct string_map *parameters,
                  struct err *err);
    int (*publish)(void *self, const struct call_context *ctx, const struct publish_request *request, struct err *err);
    int (*unpublish)(void *self, const struct call_context *ctx, const char *id, const char *node_id, // NULL: all nodes
                     struct err *err);
    // Does the class serve this capability with these parameters? -EINVAL with the reason when not.
    int (*supports)(void *self, const struct volume_capability *capability, const struct string_map *parameters,
                    struct err *err);
};

struct snapshot_ops {
    int (*create)(void *self, const struct call_context *ctx, const char *name, const char *source_volume_id,
                  const struct string_map *parameters, struct snapshot_info *ret, struct err *err);
    int (*destroy)(void *self, const struct call_context *ctx, const char *id, struct err *err); // unknown id: 0
    int (*get)(void *self, const struct call_context *ctx, const char *id, struct snapshot_info *ret, struct err *err);
    int (*list)(void *self, const struct call_context *ctx, const char *after, const char *source_volume_id,
                snapshot_emit_fn emit, void *arg, struct err *err); // sorted by id; source NULL: all
    // A group: *ret_id is allocated; each member is emitted.
    int (*group_create)(void *self, const struct call_context *ctx, const char *name, const char *const *volume_ids,
                        size_t count, const struct string_map *parameters, char **ret_id, int64_t *ret_created_ns,
                        snapshot_emit_fn emit, void *arg, struct err *err);
    int (*group_get)(void *self, const struct call_context *ctx, const char *id, int64_t *ret_created_ns,
                     snapshot_emit_fn emit, void *arg, struct err *err);
    int (*group_destroy)(void *self, const struct call_context *ctx, const char *id, struct err *err); // unknown: 0
};

struct node_stage_request {
    const char *volume_id, *staging_path;
    struct volume_capability capability;
    struct string_map context; // the volume context that create returned
};
struct node_publish_request {
    const char *volume_id, *staging_path, *target_path;
    struct volume_capability capability;
    bool read_only;
    struct string_map context;
};
struct node_usage {
    int64_t total_bytes, used_bytes, available_bytes;
    int64_t total_files, used_files, available_files;
    bool abnormal;
    char condition[256];
};
struct node_info {
    char id[CSI_ID_MAX + 1];
    int64_t max_volumes; // 0: no limit
    const char
        *topology; // this node's value of the class's topology key; NULL: it has none. Lives as long as the class
};

struct node_ops {
    int (*info)(void *self, struct node_info *ret, struct err *err);
    int (*stage)(void *self, const struct call_context *ctx, const struct node_stage_request *request, struct err *err);
    int (*unstage)(void *self, const struct call_context *ctx, const char *id, const char *staging_path,
                   struct err *err);
    int (*publish)(void *self, const struct call_context *ctx, const struct node_publish_request *request,
                   struct err *err);
    int (*unpublish)(void *self, const struct call_context *ctx, const char *id, const char *target_path,
                     struct err *err);
    int (*stats)(void *self, const struct call_context *ctx, const char *id, const char *path, struct node_usage *ret,
                 struct err *err);
    int (*expand)(void *self, const struct call_context *ctx, const char *id, const char *path, int64_t required_bytes,
                  int64_t limit_bytes, int64_t *ret_bytes, struct err *err);
    // An inline ephemeral volume: never staged, its context is what the pod wrote. NULL: the class has none.
    int (*publish_inline)(void *self, const struct call_context *ctx, const struct node_publish_request *request,
                          struct err *err);
};

// What a process serves. A class with neither volumes nor node is a front: it tells what the plugin can do as a whole, for
// the one sidecar of a cluster whose nodes have the volumes, and serves nothing.
struct volume_class {
    const char *driver_name;  // "csi.stowage.dev"
    const char *topology_key; // of volumes that only some nodes reach; NULL: all nodes reach all
    // A key that every node has, with the value "true", because it may have no topology_key; NULL: every node has that.
    const char *topology_common;
    bool node_expands;                // growing needs the node as well (NodeExpandVolume)
    const struct volume_ops *volumes; // NULL in a process without a controller part
    void *volumes_self;
    const struct snapshot_ops *snapshots;
    void *snapshots_self;
    const struct node_ops *node; // NULL in a process without a node part
    void *node_self;
    const char *const *mutable_parameters;     // names that ControllerModifyVolume takes; NULL-terminated
    int (*probe)(void *self, struct err *err); // Identity.Probe: 0 ready
    void *probe_self;
};
