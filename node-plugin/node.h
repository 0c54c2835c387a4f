// SPDX-License-Identifier: Apache-2.0
// The node part of class shared: volumes staged and published on this machine.
//
// Why:     implements struct node_ops (csi/volume.h). One file a noun: stage.c, publish.c, inline.c, unmount.c, stats.c,
//          and repair.c for what others broke.
// Owns:    its records (record.h) and the watch on its daemons; never the mounts themselves: those outlive it.
// Threads: RPCs of one volume are kept apart by the caller (csi/); `lock` guards the map and everything in it that
//          another volume's RPC, the watch or a metric reads. It is never held around a call that may block.
// Fails:   see csi/volume.h. Whatever it waits for ends within NODE_LIMIT_NS; before that, the first volume of an origin waits
//          for its mount, at most NODE_ORIGIN_NS.
#pragma once

#include "csi/volume.h"
#include "lib/base/clock.h"
#include "lib/base/fields.h"
#include "lib/base/strmap.h"
#include "node-plugin/daemon_watch.h"
#include "node-plugin/mount_mode.h"
#include "node-plugin/mounter.h"
#include "node-plugin/node_store.h"
#include "node-plugin/record.h"

#define NODE_LIMIT_NS (3500 * NS_PER_MS) // of one RPC's waiting; with what follows it, an RPC takes less than 5 s
#define NODE_ORIGIN_NS (25 * NS_PER_S)   // of mounting a distributed file system, which asks several servers
#define NODE_PLAIN_NS (1200 * NS_PER_MS) // of a plain umount, before the mount is detached
#define NODE_UNDO_NS (500 * NS_PER_MS)   // of taking back what failed, on top of the limit

struct node_options {
    const char *node_id;
    const char *node_group;                // the group that this node is of; NULL: none
    const char *cache_dir;                 // where volumes of the group are cached; NULL or "": they cannot be had
    const struct field_list *origin_paths; // where mounted origins may be (origin.h); NULL: nowhere
    const char *origin_dir;                // where this node mounts origins itself; NULL: it mounts none
    int64_t max_volumes;                   // 0: no limit
    enum mount_mode mount_mode;            // of volumes that leave it open
    struct mount_mode_probe probe;
    struct mounter mounter;
    const char *state_dir;
    const struct field_list *inline_shares; // whose inline volumes are served (inline_shares.h); NULL: none
    const char *inline_dir;                 // where those are staged; NULL: no inline volumes
};

struct node {
    const struct node_options *options;
    struct node_store *store;
    struct daemon_watch *watch;
    pthread_mutex_t lock;
    struct strmap volumes; // id → struct staged *
    struct strmap origins; // where an origin is mounted → struct origin_use, of volumes that are being mounted just now
    struct strmap claims; // path → id of the volume whose call works on it (borrowed from the call)
};

extern const struct node_ops node_ops; // self: struct node

// Reads the state directory and takes up the mounts and daemons that are still there. Options are borrowed.
int node_new(const struct node_options *options, struct node **ret, struct err *err) must_check;
struct node *node_free(struct node *node); // leaves mounts and daemons alone
DEFINE_CLEANUP(node)

// ---- shared by the files of this folder ----

int64_t node_deadline(const struct call_context *ctx); // the RPC's own or NODE_LIMIT_NS from now
int node_table(struct node *node, struct mount_table **ret, struct err *err) must_check;
struct staged *node_find(struct node *node, const char *id);                           // NULL: not staged
int node_insert(struct node *node, struct staged *staged, struct err *err) must_check; // takes it on success
void node_forget(struct node *node, const char *id);                                   // out of the map, and freed
void node_count_mounts(struct node *node);
// -ESRCH: the daemon is gone. Another failure says nothing about it.
int node_watch(struct node *node, const struct staged *staged, struct err *err) must_check;

// claims.c: of one path, one call at a time, whatever volume it is about. Every call claims its path before it looks
// whose it is, and keeps it until what it did stands in the map: so two volumes never get the same one.
struct path_claim {
    struct node *node;
    char *path;
};
// -EAGAIN naming both volumes. `path` is resolved; `id` lives as long as the claim. What *table told may have changed
// before the claim was had: it is read again.
int node_claim(struct node *node, const char *path, const char *id, struct mount_table **table, struct path_claim *ret,
               struct err *err) must_check;
void path_claim_done(struct path_claim *claim);
// The other volume that is staged or published at this path: its id in `ret`, or false.
bool node_path_taken(struct node *node, const char *path, const char *id, char ret[CSI_ID_MAX + 1]);
int node_refuse_taken(struct node *node, const char *path, const char *id, struct err *err) must_check; // -EEXIST

// stage.c
int node_stage(void *self, const struct call_context *ctx, const struct node_stage_request *request, struct err *err);
int node_unstage(void *self, const struct call_context *ctx, const char *id, const char *staging_path, struct err *err);
// Inline volumes are staged in the same way, by node_publish_inline.
int node_stage_as(struct node *node, const struct call_context *ctx, const struct node_stage_request *request,
                  bool is_inline, struct err *err) must_check;
// Mounts `staged` at its staging path and starts to watch it.
int node_mount_staged(struct node *node, struct staged *staged, int64_t deadline_ns, struct err *err) must_check;

// publish.c
int node_publish(void *self, const struct call_context *ctx, const struct node_publish_request *request,
                 struct err *err);
int node_unpublish(void *self, const struct call_context *ctx, const char *id, const char *target_path,
                   struct err *err);

// inline.c
int node_publish_inline(void *self, const struct call_context *ctx, const struct node_publish_request *request,
                        struct err *err);
// After an unpublish: what stood behind the target of an inline volume goes, unless another target uses it. Does nothing
// about volumes of other kinds.
int node_release_inline(struct node *node, const struct call_context *ctx, const char *id, struct err *err) must_check;
// At the start: inline volumes that no pod uses any more (a crash between two steps, a reboot) are taken away.
void node_sweep_inline(struct node *node);

// origin_mount.c: origins that this node mounts, one mount for all volumes of it.
struct node_origin; // origin.h
struct origin_hold {
    struct node *node;
    char *root;
};
// Sees to it that the origin is mounted; it stays so while it is held, and while a volume of it is staged.
int node_origin_hold(struct node *node, const char *id, const struct volume_source *source, struct node_origin *origin,
                     struct origin_hold *ret, struct err *err) must_check;
void origin_hold_done(struct origin_hold *hold);
// After a volume is gone: unmounts its origin unless others use it. `context` is that of the volume.
void node_origin_release(struct node *node, const char *id, const struct string_map *context, int64_t deadline_ns);

// repair.c: is what the record says really mounted, with a living daemon?
bool node_healthy(struct node *node, const struct staged *staged, const struct mount_table *table);
// Detaches what is dead, mounts again, and binds the targets again that were mounted.
int node_repair(struct node *node, struct staged *staged, int64_t deadline_ns, struct err *err) must_check;
// At the start: daemons are watched again, what is gone is logged.
int node_recover(struct node *node, struct err *err) must_check;

// unmount.c: every layer at `path`, plainly, then detached, which is logged.
int node_unmount(struct node *node, const char *id, const char *path, int64_t deadline_ns, struct err *err) must_check;
void node_stop_daemon(struct node *node, struct staged *staged, int64_t deadline_ns);
bool node_is_ours(const struct mount_entry *entry); // NFS, or our FUSE

// stats.c
int node_stats(void *self, const struct call_context *ctx, const char *id, const char *path, struct node_usage *ret,
               struct err *err);
int node_expand(void *self, const struct call_context *ctx, const char *id, const char *path, int64_t required_bytes,
                int64_t limit_bytes, int64_t *ret_bytes, struct err *err);
