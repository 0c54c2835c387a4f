// SPDX-License-Identifier: Apache-2.0
// read, write, flush, fsync.
#include <errno.h>
#include <fcntl.h>

#include "node-plugin/cachefs/copy.h"
#include "node-plugin/cachefs/inode.h"
#include "node-plugin/cachefs/ops.h"

static struct op *op_for_file(fuse_req_t req, const struct fuse_file_info *fi) {
    struct op *op = op_new(fuse_req_userdata(req), req);
    if (!op)
        return NULL;
    op->file = handles_get(&op->fs->files, fi->fh);
    if (!op->file) {
        op_reply_error(op, -EBADF);
        return NULL;
    }
    inode_hold(op->file->inode);
    op->inode = op->file->inode;
    op->cred = op->file->cred;
    return op;
}

// ---- read: at most FS_READS_MAX in flight, the others wait their turn

static void read_more(struct op *op);

static bool take_turn(struct op *op) {
    struct fs *fs = op->fs;
    LOCK_SCOPE(&fs->lock);
    if (fs->reads < FS_READS_MAX) {
        fs->reads++;
        return true;
    }
    op->queue_next = NULL;
    *(fs->read_tail ? &fs->read_tail->queue_next : &fs->read_head) = op;
    fs->read_tail = op;
    return false;
}

static void pass_turn(struct fs *fs) {
    struct op *next;
    {
        LOCK_SCOPE(&fs->lock);
        next = fs->read_head;
        if (next) {
            fs->read_head = next->queue_next;
            if (!fs->read_head)
                fs->read_tail = NULL;
        } else {
            fs->reads--;
        }
    }
    if (next)
        op_resume(next, 0);
}

static void read_reply(struct op *op) {
    struct fs *fs = op->fs;
    if (op->result < 0 && op->done == 0)
        op_reply_error(op, op->result);
    else
        op_reply_data(op, op->buf, op->done);
    pass_turn(fs);
}

static void read_answered(struct op *op) {
    if (op->result == 0)
        op->done += op->call.count;
    if (op->result < 0 || op->call.eof || op->call.count == 0 || op->done >= op->size)
        read_reply(op);
    else
        read_more(op);
}

static void read_more(struct op *op) {
    size_t left = op->size - op->done;
    struct nfs_call *call = op_prepare(op, NFS_READ, &op->inode->fh);
    call->offset = op->offset + op->done;
    call->count = (uint32_t)(left < op->fs->read_max ? left : op->fs->read_max);
    call->data = (uint8_t *)op->buf + op->done;
    call->want_attr = false;
    op_call(op, read_answered);
}

static void my_turn(struct op *op) {
    if (op->result < 0) { // interrupted while waiting: it had no turn
        op_reply_error(op, op->result);
        return;
    }
    op->buf = bufs_get(&op->fs->bufs);
    if (op->buf) {
        read_more(op);
        return;
    }
    op->result = -ENOMEM;
    read_reply(op);
}

void op_read_origin(struct op *op) {
    op_begin_wait(op, my_turn);
    if (take_turn(op))
        op_resume(op, 0);
}

static void read_drained(struct op *op) {
    if (op->result < 0) {
        op_reply_error(op, op->result);
        return;
    }
    op->object = op->file->mode == OPEN_CACHED ? copy_for_read(op->inode, op->offset, op->size) : NULL;
    if (op->object)
        copy_read(op);
    else
        op_read_origin(op);
}

void ops_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *fi) {
    (void)id;
    struct op *op = op_for_file(req, fi);
    if (!op)
        return;
    watch_work(op->fs);
    op->size = size < NFS_IO_MAX ? size : NFS_IO_MAX;
    op->offset = (uint64_t)offset;
    op_wait_range(op, op->offset, op->size, read_drained);
}

// ---- write

static void write_step(struct op *op);

static void try_write(struct op *op) {
    op_begin_wait(op, write_step);
    int r = wb_write(&op->inode->wb, &op->write, &op->wait);
    if (r == 0 || r == -EAGAIN)
        return; // op may be gone already
    op->wait.kind = WB_THROUGH;
    op_resume(op, r < 0 ? r : 0);
}

static void write_step(struct op *op) {
    if (op->result < 0) {
        op_reply_error(op, op->result);
    } else if (op->wait.kind == WB_ROOM) {
        try_write(op);
    } else {
        nodes_kernel_wrote(op->fs->nodes, op->inode->id, op->write.offset + op->size);
        (void)fuse_reply_write(op->req, op->size);
        op_end(op);
    }
}

void ops_write(fuse_req_t req, fuse_ino_t id, const char *data, size_t size, off_t offset, struct fuse_file_info *fi) {
    (void)id;
    struct op *op = op_for_file(req, fi);
    if (!op)
        return;
    watch_work(op->fs);
    int error = wb_error(&op->inode->wb, &op->file->error_seen);
    if (error) {
        op_reply_error(op, error);
        return;
    }
    op->size = size;
    copy_changed(op->inode, (uint64_t)offset, data, size);
    op->write = (struct wb_write){.offset = (uint64_t)offset,
                                  .len = size,
                                  .data = data,
                                  .buf = session_take_buffer(),
                                  .cred = &op->cred,
                                  .through = (fi->flags & O_DIRECT) && !fi->writepage,
                                  .stable = (fi->flags & O_DSYNC) && !fi->writepage};
    try_write(op);
}

// ---- flush and fsync: on stable storage, or an error

static void sync_done(struct op *op) {
    int error = wb_error(&op->inode->wb, &op->file->error_seen);
    op_reply_error(op, op->result < 0 ? op->result : error);
}

static void sync_file(fuse_req_t req, const struct fuse_file_info *fi) {
    struct op *op = op_for_file(req, fi);
    if (op)
        op_wait_sync(op, sync_done);
}

void ops_flush(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi) {
    (void)id;
    sync_file(req, fi);
}

void ops_fsync(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi) {
    (void)id;
    (void)datasync;
    sync_file(req, fi);
}
