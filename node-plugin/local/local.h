// SPDX-License-Identifier: Apache-2.0
// The class "local": volumes on this node's own disks. The node is its own controller.
//
//     create   reserve room; the image; its record             (create.c)
//     destroy  refused while mounted; the record, then the image; retained: the image first
//     stage    image → loop device → mkfs when new → mount      (stage.c), publish binds it (publish.c)
//
// Why:     records stand on the pools, and what is attached and mounted is asked of the kernel: nothing else is kept, so
//          a node plugin that was killed, upgraded or reinstalled knows all it knew.
// Owns:    the pools and the map of their records; never mounts or loop devices: those outlive it.
// Threads: RPCs of one volume are kept apart by the caller (csi/). `lock` guards the map and the reservations.
// Fails:   see csi/volume.h; a pool that is broken: -ENODEV.
#pragma once

#include "csi/local_volume.h"
#include "csi/volume.h"
#include "lib/base/fields.h"
#include "lib/base/strmap.h"
#include "node-plugin/local/attachment.h"
#include "node-plugin/local/copies.h"
#include "node-plugin/local/pool.h"

#define LOCAL_BYTES_DEFAULT (INT64_C(1) << 30) // when a request names no size
#define LOCAL_BYTES_UNIT (INT64_C(1) << 20)    // sizes are rounded up to this

struct local_options {
    const char *node_id;                   // borrowed
    int64_t max_volumes;                   // that may be published at once; 0: no limit
    const struct field_list *pools;        // as --pool has them
    const struct field_list *inline_pools; // borrowed; names of pools that pods may take from without a claim, "*": all
    const char *state_dir;                 // borrowed; for the records of pools that are whole disks
};

struct local {
    const char *node_id;
    int64_t max_volumes;
    const struct field_list *inline_pools;
    struct local_pool **pools;
    size_t pool_count;
    int64_t *reserved; // of each pool: bytes of volumes that are being made
    pthread_mutex_t lock;
    struct strmap records; // id → struct local_record *
    struct copies *copies;
};

int local_new(const struct local_options *options, struct local **ret, struct err *err) must_check;
struct local *local_free(struct local *local);
DEFINE_CLEANUP(local)
// What a process serves of it: `self` is the struct local. Borrows.
struct volume_class local_class(struct local *local);

void local_metrics_register(struct local *local); // metrics.c; once a process

// ---- shared by the files of this folder ----

// records.c: the map. A found record is a copy.
bool local_find(struct local *local, const char *id, struct local_record *ret);
int local_get(struct local *local, const char *id, enum local_kind kind, struct local_record *ret,
              struct err *err) must_check; // -ENOENT: surely not there; other codes: nobody can tell
int local_save(struct local *local, const struct local_record *record, struct err *err) must_check; // pool, then map
int local_forget(struct local *local, const char *id, struct err *err) must_check;                  // pool, then map
// Copies of all records of a kind, sorted by id; to be freed. `after` NULL: from the start.
int local_list(struct local *local, enum local_kind kind, const char *after, struct local_record **ret,
               size_t *ret_count, struct err *err) must_check;
struct local_pool *local_pool_named(const struct local *local, const char *name); // NULL: none
// The pool of an id, ready for use.
int local_pool_for(struct local *local, const char *id, struct local_pool **ret, struct err *err) must_check;
// Room in a pool that nobody was promised.
int local_room(struct local *local, const struct local_pool *pool, int64_t *ret_bytes, int64_t *ret_largest,
               struct err *err) must_check;
int local_reserve(struct local *local, const struct local_pool *pool, int64_t bytes, struct err *err) must_check;
void local_release(struct local *local, const struct local_pool *pool, int64_t bytes);
// The id of a name on this node; the same name always gives the same.
int local_id(const struct local *local, enum local_kind kind, const char *name, const struct local_pool *pool,
             char ret[static CSI_ID_MAX + 1], struct err *err) must_check;

// copy.c: the data of a volume or snapshot as one moment had it, whether it is in use or not.
int local_copy(struct local *local, const struct call_context *ctx, const struct local_record *from,
               const struct data_request *to, struct err *err) must_check;

// grow.c: the data and the record; `record` is then as it was saved. -ENOSPC: the pool has no room, -ERANGE: never possible.
int local_grow(struct local *local, const struct local_pool *pool, struct local_record *record, int64_t required_bytes,
               int64_t limit_bytes, struct err *err) must_check;
int local_expand(void *self, const struct call_context *ctx, const char *id, int64_t required_bytes,
                 int64_t limit_bytes, int64_t *ret_bytes, struct err *err);

// create.c
// The volume that is asked for, made or found. `inline_target`: for the pod that has it there (NULL: for a claim).
int local_make(struct local *local, const struct call_context *ctx, const struct volume_create_request *request,
               const char *inline_target, struct local_record *ret, struct err *err) must_check;
bool local_find_named(struct local *local, const char *name, struct local_record *ret);
int local_create(void *self, const struct call_context *ctx, const struct volume_create_request *request,
                 struct volume_info *ret, struct err *err);
// parameters.c
// The pool that the parameters name, or the only one there is.
int local_parameters_pool(struct local *local, const struct local_parameters *parameters, struct local_pool **ret,
                          struct err *err) must_check;
// Which ways to use a volume a pool serves; NULL: any pool.
int local_judge(const struct local_pool *pool, const struct volume_capability *capability, struct err *err) must_check;
int local_supports(void *self, const struct volume_capability *capability, const struct string_map *parameters,
                   struct err *err);

extern const struct volume_ops local_volume_ops;                                                       // volume.c
extern const struct snapshot_ops local_snapshot_ops;                                                   // snapshot.c
extern const struct node_ops local_node_ops;                                                           // node.c
int local_fill(const struct local *local, const struct local_record *record, struct volume_info *ret); // volume.c
// The data and the record of a volume or snapshot that nobody uses. -ETIMEDOUT: ask again. volume.c
int local_discard(struct local *local, const struct call_context *ctx, const struct local_pool *pool, const char *id,
                  struct err *err) must_check;

// stage.c, publish.c
int local_stage(void *self, const struct call_context *ctx, const struct node_stage_request *request, struct err *err);
int local_unstage(void *self, const struct call_context *ctx, const char *id, const char *path, struct err *err);
int local_publish(void *self, const struct call_context *ctx, const struct node_publish_request *request,
                  struct err *err);
int local_unpublish(void *self, const struct call_context *ctx, const char *id, const char *path, struct err *err);
int local_remove_target(const char *path, struct err *err) must_check; // what a mount was on; not there: 0

// inline.c
int local_publish_inline(void *self, const struct call_context *ctx, const struct node_publish_request *request,
                         struct err *err);
int local_unpublish_inline(struct local *local, const struct call_context *ctx, const struct local_record *record,
                           const char *target_path, struct err *err) must_check;
// By the handle that kubelet gave it. False: no inline volume.
bool local_find_inline(struct local *local, const char *handle, struct local_record *ret);
void local_inline_sweep(struct local *local); // at the start
