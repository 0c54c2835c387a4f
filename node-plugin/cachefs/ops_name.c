// SPDX-License-Identifier: Apache-2.0
// lookup, forget, and what makes a new name: mknod, mkdir, symlink, link.
#include <errno.h>
#include <sys/sysmacros.h>

#include "lib/base/mem.h"
#include "node-plugin/cachefs/again.h"
#include "node-plugin/cachefs/inode.h"
#include "node-plugin/cachefs/ops.h"

static void entry_answered(struct op *op);
static void link_answered(struct op *op);

static struct op *op_for_name(fuse_req_t req, fuse_ino_t dir, const char *name) {
    struct op *op = op_for(req, dir);
    int r = op ? op_set_name(op->name, name) : 0;
    if (r < 0) {
        op_reply_error(op, r);
        return NULL;
    }
    return op;
}

static void got_attr(struct op *op) {
    if (op->result < 0)
        op_reply_error(op, op->result);
    else
        op_reply_entry(op, &op->target, &op->call.attr);
}

// It was made by a former daemon for this very request: what stands there now is the answer, if it is of that kind.
static void made_before(struct op *op) {
    if (op->result == 0 && op->call.has_attr && (op->call.attr.mode & S_IFMT) != op->flags)
        op->result = -EEXIST;
    entry_answered(op);
}

// A call that gave a handle was answered; attributes are asked for when it gave none.
static void entry_answered(struct op *op) {
    if (op->result == -EEXIST && again_was(op, op->call.op)) {
        op_prepare(op, NFS_LOOKUP, &op->fh)->name = op->name;
        op_call(op, made_before);
        return;
    }
    if (op->result < 0) {
        op_reply_error(op, op->result);
        return;
    }
    op->target = op->call.out_fh;
    if (op->flags)
        op_changed_parent(op);
    if (op->call.has_attr) {
        got_attr(op);
        return;
    }
    op_prepare(op, NFS_GETATTR, &op->target);
    op_call(op, got_attr);
}

static void looked_up(struct op *op) {
    if (op->result != -ENOENT || op->fs->absent_s <= 0) {
        entry_answered(op);
        return;
    }
    struct fuse_entry_param absent = {.entry_timeout = op->fs->absent_s}; // the kernel keeps that it is not there
    (void)fuse_reply_entry(op->req, &absent);
    op_end(op);
}

void ops_lookup(fuse_req_t req, fuse_ino_t dir, const char *name) {
    struct op *op = op_for_name(req, dir, name);
    if (!op)
        return;
    op_prepare(op, NFS_LOOKUP, &op->fh)->name = op->name;
    op_call(op, looked_up);
}

void ops_forget(fuse_req_t req, fuse_ino_t id, uint64_t count) {
    struct fs *fs = fuse_req_userdata(req);
    nodes_forget(fs->nodes, id, count);
    inode_forgotten(fs, id);
    fuse_reply_none(req);
}

void ops_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets) {
    struct fs *fs = fuse_req_userdata(req);
    for (size_t i = 0; i < count; i++) {
        nodes_forget(fs->nodes, forgets[i].ino, forgets[i].nlookup);
        inode_forgotten(fs, forgets[i].ino);
    }
    fuse_reply_none(req);
}

static void make(struct op *op, enum nfs_op operation, mode_t mode, mode_t type) {
    op->flags = type;
    struct nfs_call *call = op_prepare(op, operation, &op->fh);
    call->name = op->name;
    call->target = op->text;
    call->set = (struct nfs_setattr){.mask = NFS_SET_MODE, .mode = mode};
    call->exclusive = true;
    call->rdev_major = (uint32_t)(op->offset >> 32);
    call->rdev_minor = (uint32_t)op->offset;
    op_call(op, entry_answered);
}

void ops_mknod(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode, dev_t rdev) {
    struct op *op = op_for_name(req, dir, name);
    if (!op)
        return;
    op->offset = (uint64_t)major(rdev) << 32 | minor(rdev);
    make(op, S_ISREG(mode) ? NFS_CREATE : NFS_MKNOD, S_ISREG(mode) ? mode & 07777 : mode, mode & S_IFMT);
}

void ops_mkdir(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode) {
    struct op *op = op_for_name(req, dir, name);
    if (op)
        make(op, NFS_MKDIR, mode & 07777, S_IFDIR);
}

void ops_symlink(fuse_req_t req, const char *target, fuse_ino_t dir, const char *name) {
    struct op *op = op_for_name(req, dir, name);
    if (!op)
        return;
    op->text = mem_strdup(target);
    if (!op->text)
        op_reply_error(op, -ENOMEM);
    else
        make(op, NFS_SYMLINK, 0777, S_IFLNK);
}

static void linked_before(struct op *op) {
    if (op->result == 0 && !nfs_fh_eq(&op->call.out_fh, &op->fh))
        op->result = -EEXIST;
    link_answered(op);
}

static void link_answered(struct op *op) {
    if (op->result == -EEXIST && op->call.op == NFS_LINK && again_was(op, NFS_LINK)) {
        op_prepare(op, NFS_LOOKUP, &op->fh2)->name = op->name;
        op_call(op, linked_before);
        return;
    }
    if (op->result < 0) {
        op_reply_error(op, op->result);
        return;
    }
    op->target = op->fh;
    nodes_changed(op->fs->nodes, op->id);
    nodes_changed(op->fs->nodes, op->id2);
    if (op->call.has_attr) {
        got_attr(op);
        return;
    }
    op_prepare(op, NFS_GETATTR, &op->target);
    op_call(op, got_attr);
}

void ops_link(fuse_req_t req, fuse_ino_t id, fuse_ino_t dir, const char *name) {
    struct op *op = op_for_name(req, id, name);
    if (!op)
        return;
    op->id2 = dir;
    int r = nodes_handle(op->fs->nodes, dir, &op->fh2);
    if (r < 0) {
        op_reply_error(op, r);
        return;
    }
    struct nfs_call *call = op_prepare(op, NFS_LINK, &op->fh);
    call->fh2 = op->fh2;
    call->name = op->name;
    op_call(op, link_answered);
}
