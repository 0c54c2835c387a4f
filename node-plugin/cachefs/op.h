// SPDX-License-Identifier: Apache-2.0
// The life of one operation: start, steps, interrupt, reply.
//
// Every op_reply_* and op_end ends the op: it must not be touched afterwards.
#pragma once

#include "node-plugin/cachefs/fs.h"

// A new operation for a request; NULL after the request was answered with ENOMEM. With `req` NULL: own work.
struct op *op_new(struct fs *fs, fuse_req_t req) must_check;
// op_new for a request about node `id`, with its handle in op->fh; answers ESTALE when the node is not known.
struct op *op_for(fuse_req_t req, fuse_ino_t id) must_check;
int op_set_name(char *target, const char *name) must_check; // -ENAMETOOLONG

// Clears op->call and fills what all calls have: operation, handle, the op's credentials.
struct nfs_call *op_prepare(struct op *op, enum nfs_op operation, const struct nfs_fh *fh);
// Submits op->call; `step` runs when it was answered, with op->result set.
void op_call(struct op *op, void (*step)(struct op *op));
// Waits for written data: for [offset, offset+len) (len 0: all) to reach the server, or for stable storage.
void op_wait_range(struct op *op, uint64_t offset, uint64_t len, void (*step)(struct op *op));
void op_wait_sync(struct op *op, void (*step)(struct op *op));
// For other waits, around what may call op_resume at once on another thread.
void op_begin_wait(struct op *op, void (*step)(struct op *op));
void op_wait_run(struct wb_wait *wait, int result); // wb_wait.run of op->wait
void op_end_wait(struct op *op);                    // it was not begun after all
void op_resume(struct op *op, int result);          // ends OP_WAITING; does nothing when an interrupt already did

// Keeps the attributes of node `id` that op->call asked for, where the mount may answer from them.
void op_learn(struct op *op, uint64_t id, const struct nfs_fh *fh, const struct nfs_attr *attr);
// The change that op->call asked of directory op->id is done.
void op_changed_parent(struct op *op);

void op_end(struct op *op);                     // without a reply
void op_reply_error(struct op *op, int result); // 0 or -errno
void op_reply_data(struct op *op, const void *data, size_t size);
// Gives the kernel a lookup of `fh`.
void op_reply_entry(struct op *op, const struct nfs_fh *fh, const struct nfs_attr *attr);
int op_fill_entry(struct op *op, const struct nfs_fh *fh, const struct nfs_attr *attr, struct fuse_entry_param *ret);

void op_release(struct op *op); // a reference that somebody else than the op itself held
// Takes a waiting op out of whatever it waits in; false: it is being resumed, or cannot be taken out.
bool op_leave_queues(struct op *op);

// The watcher thread.
int watch_start(struct fs *fs, struct err *err) must_check;
void watch_stop(struct fs *fs);
void watch_interrupt(struct fs *fs, uint64_t op_number);
void watch_work(struct fs *fs); // there is something to look after once a second
