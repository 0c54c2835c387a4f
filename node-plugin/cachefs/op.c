// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/op.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "node-plugin/cachefs/again.h"
#include "node-plugin/cachefs/attr.h"
#include "node-plugin/cachefs/copy.h"
#include "node-plugin/cachefs/dir.h"
#include "node-plugin/cachefs/inode.h"
#include "node-plugin/cachefs/ops.h"
#include "node-plugin/cachefs/resume.h"
#include "node-plugin/cachefs/warm.h"

static void on_interrupt(fuse_req_t req, void *number) {
    watch_interrupt(fuse_req_userdata(req), (uint64_t)(uintptr_t)number);
}

static void op_link(struct op *op) {
    struct fs *fs = op->fs;
    LOCK_SCOPE(&fs->lock);
    op->number = ++fs->next_op;
    op->next = fs->ops;
    if (fs->ops)
        fs->ops->prev = op;
    fs->ops = op;
    fs->op_count++;
}

struct op *op_new(struct fs *fs, fuse_req_t req) {
    struct op *op = mem_alloc(sizeof *op);
    if (!op) {
        if (req)
            (void)fuse_reply_err(req, ENOMEM);
        return NULL;
    }
    memset(op, 0, sizeof *op);
    op->fs = fs;
    op->req = req;
    op->refs = 1;
    op->wait.run = op_wait_run;
    op_link(op);
    if (req) {
        const struct fuse_ctx *ctx = fuse_req_ctx(req);
        op->pid = ctx->pid;
        uint64_t unique = session_request_unique();
        op->unique = unique & ~FUSE_ABI_UNIQUE_RESEND;
        creds_get(&fs->creds, ctx->pid, ctx->uid, ctx->gid, &op->cred);
        if (unique & FUSE_ABI_UNIQUE_RESEND) {
            again_find(op);
            if (session_request_opens())
                resume_request(op);
        }
        fuse_req_interrupt_func(req, on_interrupt, (void *)(uintptr_t)op->number);
    }
    return op;
}

struct op *op_for(fuse_req_t req, fuse_ino_t id) {
    struct op *op = op_new(fuse_req_userdata(req), req);
    if (!op)
        return NULL;
    op->id = id;
    int r = nodes_handle(op->fs->nodes, id, &op->fh);
    if (r < 0) {
        op_reply_error(op, r);
        return NULL;
    }
    return op;
}

int op_set_name(char *target, const char *name) {
    size_t len = strlen(name);
    if (len > NFS_NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(target, name, len + 1);
    return 0;
}

static void op_unref(struct op *op) {
    struct fs *fs = op->fs;
    {
        LOCK_SCOPE(&fs->lock);
        if (--op->refs)
            return;
        *(op->prev ? &op->prev->next : &fs->ops) = op->next;
        if (op->next)
            op->next->prev = op->prev;
        if (--fs->op_count == 0)
            (void)pthread_cond_broadcast(&fs->idle);
    }
    (void)cached_put(op->object);
    bufs_put(&fs->bufs, op->buf);
    bufs_put(&fs->requests, op->write.buf);
    free(op->call.text);
    free(op->call.entries);
    free(op->text);
    free(op);
}

void op_end(struct op *op) {
    again_done(op);
    if (op->inode)
        inode_put(take_ptr(op->inode));
    op_unref(op);
}

// ---- calls

struct nfs_call *op_prepare(struct op *op, enum nfs_op operation, const struct nfs_fh *fh) {
    free(op->call.text);
    free(op->call.entries);
    op->call = (struct nfs_call){.op = operation, .cred = &op->cred, .fh = *fh, .want_attr = true};
    return &op->call;
}

static void call_done(struct nfs_call *call) {
    struct op *op = call->arg;
    {
        LOCK_SCOPE(&op->fs->lock);
        if (op->state != OP_CALLING)
            return; // the watcher already took it on
        op->state = OP_RUNNING;
        op->result = op->interrupted && call->result == -ECANCELED ? -EINTR : call->result;
    }
    again_answered(op);
    op->step(op);
}

void op_call(struct op *op, void (*step)(struct op *op)) {
    bool interrupted;
    op->step = step;
    op->call.done = call_done;
    op->call.arg = op;
    op->moment = wb_moment(&op->fs->wb);
    if (nfs_op_changes(op->call.op))
        again_submitting(op);
    if (nfs_op_changes(op->call.op) || op->fs->copies.trust != TRUST_STRICT) {
        op->changes = nodes_moment(op->fs->nodes);
        op->asked_ns = clock_monotonic(op->fs->clock);
    }
    {
        LOCK_SCOPE(&op->fs->lock);
        interrupted = op->interrupted;
        op->state = interrupted ? OP_RUNNING : OP_CALLING;
        if (!interrupted) {
            op->submits++;
            op->refs++;
        }
    }
    if (interrupted) {
        op->result = -EINTR;
        step(op);
        return;
    }
    nfs_submit(op->fs->share, &op->call);
    {
        LOCK_SCOPE(&op->fs->lock);
        op->submits--;
    }
    op_unref(op);
}

void op_learn(struct op *op, uint64_t id, const struct nfs_fh *fh, const struct nfs_attr *attr) {
    struct fs *fs = op->fs;
    if (fs->copies.trust == TRUST_STRICT || (op->asked_ns && nodes_changed_since(fs->nodes, fh, op->changes)))
        return;
    nodes_learn(fs->nodes, id, attr, op->asked_ns ? op->asked_ns : clock_monotonic(fs->clock));
}

void op_changed_parent(struct op *op) {
    // Another change that was answered meanwhile: nobody knows which of the two the attributes show.
    // The answer to a call that came again may be as old as the first.
    bool alone = !op->before && !nodes_changed_since(op->fs->nodes, &op->fh, op->changes);
    uint64_t change = nodes_changed(op->fs->nodes, op->id);
    if (alone && op->call.has_dir_attr)
        parents_put(&op->fs->parents, op->id, change, op->asked_ns, &op->call.dir_attr);
}

// ---- waits

void op_begin_wait(struct op *op, void (*step)(struct op *op)) {
    LOCK_SCOPE(&op->fs->lock);
    op->step = step;
    op->state = OP_WAITING;
}

void op_end_wait(struct op *op) {
    LOCK_SCOPE(&op->fs->lock);
    op->state = OP_RUNNING;
}

void op_resume(struct op *op, int result) {
    {
        LOCK_SCOPE(&op->fs->lock);
        if (op->state != OP_WAITING)
            return;
        op->state = OP_RUNNING;
    }
    op->result = result;
    op->step(op);
}

void op_wait_run(struct wb_wait *wait, int result) {
    op_resume((struct op *)(void *)((char *)wait - offsetof(struct op, wait)), result);
}

void op_wait_range(struct op *op, uint64_t offset, uint64_t len, void (*step)(struct op *op)) {
    op_begin_wait(op, step);
    if (!op->inode || wb_wait_range(&op->inode->wb, &op->wait, offset, len))
        op_resume(op, 0);
}

void op_wait_sync(struct op *op, void (*step)(struct op *op)) {
    op_begin_wait(op, step);
    if (wb_sync(&op->inode->wb, &op->wait))
        op_resume(op, 0);
}

static bool leave(struct op **at, struct op *op) {
    for (; *at; at = &(*at)->queue_next) {
        if (*at == op) {
            *at = op->queue_next;
            return true;
        }
    }
    return false;
}

bool op_leave_queues(struct op *op) {
    struct fs *fs = op->fs;
    {
        LOCK_SCOPE(&fs->lock);
        if (leave(&fs->read_head, op)) {
            fs->read_tail = fs->read_head;
            while (fs->read_tail && fs->read_tail->queue_next)
                fs->read_tail = fs->read_tail->queue_next;
            return true;
        }
        if (leave(&fs->silly_head, op))
            return true;
    }
    if (op->fetch_wait.run && fetch_unwait(fs, &op->fetch_wait))
        return true;
    if (warm_leave(op))
        return true;
    return op->dir ? dir_leave(op) : op->inode && wb_unwait(&op->inode->wb, &op->wait);
}

void op_release(struct op *op) {
    op_unref(op);
}

// ---- replies

void op_reply_error(struct op *op, int result) {
    if (op->req)
        (void)fuse_reply_err(op->req, result == -ECANCELED ? EIO : -result);
    op_end(op);
}

void op_reply_data(struct op *op, const void *data, size_t size) {
    (void)fuse_reply_buf(op->req, data, size);
    op_end(op);
}

int op_fill_entry(struct op *op, const struct nfs_fh *fh, const struct nfs_attr *attr, struct fuse_entry_param *ret) {
    struct nfs_attr seen = *attr;
    uint64_t id = 0;
    int r = nodes_look_up(op->fs->nodes, fh, &id);
    if (r < 0)
        return r;
    bool settled = inode_correct_attr(op->fs, id, op->moment, &seen);
    *ret = (struct fuse_entry_param){.ino = id, .generation = 1, .entry_timeout = op->fs->timeout_s};
    ret->attr_timeout = settled ? op->fs->timeout_s : 0;
    attr_to_stat(&seen, &ret->attr);
    struct node_stamp told = attr_stamp(&seen);
    told.valid = settled;
    nodes_tell(op->fs->nodes, id, &told);
    if (settled) {
        op_learn(op, id, fh, attr);
        copy_saw(op->fs, id, attr);
    }
    return 0;
}

void op_reply_entry(struct op *op, const struct nfs_fh *fh, const struct nfs_attr *attr) {
    struct fuse_entry_param entry;
    int r = op_fill_entry(op, fh, attr, &entry);
    if (r < 0) {
        op_reply_error(op, r);
        return;
    }
    if (fuse_reply_entry(op->req, &entry) < 0)
        nodes_forget(op->fs->nodes, entry.ino, 1); // the kernel did not take it
    op_end(op);
}
