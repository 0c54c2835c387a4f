// SPDX-License-Identifier: Apache-2.0
// The table of everything the kernel knows: node id → NFS handle, lookup count, and what its page cache is based on.
//
// Why:     node ids are integers and the table is one memory file that holds offsets, never pointers, so that another
//          process can map it and go on serving the same mount.
// Owns:    the memory file (nodes_fd) and its mapping. Pages never touched take no memory.
// Threads: any; one lock inside, a leaf.
// Fails:   -ENOMEM when the memory file cannot be made, -ENFILE beyond NODES_MAX live nodes.
//
// A node id is generation << 32 | slot. The generation of a slot grows at every reuse, so an id is not used twice
// (fuse_entry_param.generation in libfuse). Slot 1 with generation 0 is the root, FUSE_ROOT_ID.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/nfs/nfs.h"

#define NODES_MAX (1u << 23)
#define NODES_ROOT 1

struct node_stamp { // which state of a file something was based on; size and both times must agree
    struct timespec mtime, ctime;
    uint64_t size;
    bool valid;
};

struct nodes;

int nodes_new(const struct nfs_fh *root, struct nodes **ret, struct err *err) must_check;
// In the memory file `fd`, which stays the caller's: a new table, or (`root` NULL) the one that a former process left,
// in whatever moment it ended. -EPROTO when that is of another layout.
int nodes_open(int fd, const struct nfs_fh *root, struct nodes **ret, struct err *err) must_check;
uint64_t nodes_layout(void); // differs when the memory file is laid out differently
struct nodes *nodes_free(struct nodes *nodes);
DEFINE_CLEANUP(nodes)

// Finds or makes the node of a handle and adds one to its lookup count.
int nodes_look_up(struct nodes *nodes, const struct nfs_fh *fh, uint64_t *ret_id) must_check;
// Takes `count` lookups back; the node is gone when none is left. The root stays.
void nodes_forget(struct nodes *nodes, uint64_t id, uint64_t count);
// The handle of a live node. -ESTALE for an id that is not known.
int nodes_handle(struct nodes *nodes, uint64_t id, struct nfs_fh *ret) must_check;
// The id of a handle the kernel knows, or 0.
uint64_t nodes_find(struct nodes *nodes, const struct nfs_fh *fh);
size_t nodes_count(struct nodes *nodes);

// The state of the file that the kernel's page cache was filled from; replaced by `now`, the old one is returned.
struct node_stamp nodes_swap_stamp(struct nodes *nodes, uint64_t id, const struct node_stamp *now);
// The state that the kernel's attributes were last told, and whether it is still `now`.
void nodes_tell(struct nodes *nodes, uint64_t id, const struct node_stamp *told);
bool nodes_was_told(struct nodes *nodes, uint64_t id, const struct node_stamp *now);
// The size the kernel goes by: as told, and as its own writes and truncations made it. A write also ends what was learned.
uint64_t nodes_kernel_size(struct nodes *nodes, uint64_t id);
void nodes_kernel_wrote(struct nodes *nodes, uint64_t id, uint64_t end);
void nodes_kernel_truncated(struct nodes *nodes, uint64_t id);
// The whole of the attributes as the origin last told them, for mounts that may answer from them. `now_ns` is when they
// were asked for; nodes_known gives them if that is not before `since_ns` and nothing was changed here meanwhile.
void nodes_learn(struct nodes *nodes, uint64_t id, const struct nfs_attr *attr, int64_t now_ns);
bool nodes_known(struct nodes *nodes, uint64_t id, int64_t since_ns, struct nfs_attr *ret);
// Under which number the kernel knows a cached copy of the file (passthrough), and of which state of the file it is;
// `backing_id` 0: no more. It outlives this process, as the number does in the kernel.
void nodes_set_backing(struct nodes *nodes, uint64_t id, int32_t backing_id, const struct node_stamp *state);
int32_t nodes_backing(struct nodes *nodes, uint64_t id, struct node_stamp *ret);
uint64_t nodes_next_backing(struct nodes *nodes, uint64_t after); // id of the next node that has one; 0: no more
// From now on a lookup of this handle makes another node; whoever holds this one keeps it.
void nodes_retire(struct nodes *nodes, uint64_t id);
bool nodes_is_live(struct nodes *nodes, uint64_t id); // the kernel knows it
bool nodes_is_retired(struct nodes *nodes, uint64_t id);
bool node_stamp_eq(const struct node_stamp *a, const struct node_stamp *b); // both valid and equal

// The last error of written data, and how many there were; 0 and 0 when there was none.
void nodes_set_error(struct nodes *nodes, uint64_t id, int error, unsigned count);
void nodes_error(struct nodes *nodes, uint64_t id, int *ret_error, unsigned *ret_count);

// Changes made through this mount: what the server said before one must not be shown after it.
uint64_t nodes_moment(struct nodes *nodes);
uint64_t nodes_changed(struct nodes *nodes, uint64_t id); // its attributes, or its names; the change's number
bool nodes_changed_since(struct nodes *nodes, const struct nfs_fh *fh, uint64_t moment);
