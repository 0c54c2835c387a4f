// SPDX-License-Identifier: Apache-2.0
// getattr, setattr, readlink, statfs.
#include <errno.h>

#include "node-plugin/cachefs/attr.h"
#include "node-plugin/cachefs/copy.h"
#include "node-plugin/cachefs/inode.h"
#include "node-plugin/cachefs/ops.h"

// A directory in which a name was just made or removed: the kernel asks before it goes on, and the reply told it.
static bool reply_known(struct op *op) {
    struct parent known;
    struct stat st;
    if (!parents_take(&op->fs->parents, op->id, &known))
        return false;
    int64_t left = known.told_ns + (int64_t)(FS_TIMEOUT_S * (double)NS_PER_S) - clock_monotonic(op->fs->clock);
    if (left <= 0 || nodes_changed_since(op->fs->nodes, &op->fh, known.change))
        return false;
    attr_to_stat(&known.attr, &st);
    struct node_stamp told = attr_stamp(&known.attr);
    nodes_tell(op->fs->nodes, op->id, &told);
    (void)fuse_reply_attr(op->req, &st, (double)left / NS_PER_S);
    op_end(op);
    return true;
}

static void reply_attr(struct op *op) {
    struct nfs_attr attr = op->call.attr;
    struct stat st;
    bool settled = inode_correct_attr(op->fs, op->id, op->moment, &attr);
    attr_to_stat(&attr, &st);
    struct node_stamp told = attr_stamp(&attr);
    told.valid = settled;
    nodes_tell(op->fs->nodes, op->id, &told);
    if (settled) {
        op_learn(op, op->id, &op->fh, &attr);
        copy_saw(op->fs, op->id, &attr);
    }
    (void)fuse_reply_attr(op->req, &st, settled ? op->fs->timeout_s : 0);
    op_end(op);
}

static void attr_answered(struct op *op) {
    if (op->result < 0)
        op_reply_error(op, op->result);
    else
        reply_attr(op);
}

static void getattr_drained(struct op *op) {
    if (op->result < 0) {
        op_reply_error(op, op->result);
        return;
    }
    op_prepare(op, NFS_GETATTR, &op->fh);
    op_call(op, attr_answered);
}

// A read of a passed file makes the kernel ask for the access time; on a mount that may be behind, nobody is asked.
static bool reply_learned(struct op *op) {
    struct fs *fs = op->fs;
    struct nfs_attr attr;
    struct stat st;
    if (fs->copies.trust == TRUST_STRICT || (op->inode && !wb_clean(&op->inode->wb)))
        return false;
    int64_t now = clock_monotonic(fs->clock), age = (int64_t)(fs->timeout_s * (double)NS_PER_S);
    if (!nodes_known(fs->nodes, op->id, now - age, &attr))
        return false;
    attr_to_stat(&attr, &st);
    (void)fuse_reply_attr(op->req, &st, fs->timeout_s);
    op_end(op);
    return true;
}

// Times and size are the server's, so what was written here goes there first (the kernel's NFS client does the same).
void ops_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi) {
    (void)fi;
    struct op *op = op_for(req, id);
    if (!op || reply_known(op))
        return;
    op->inode = inode_find(op->fs, id);
    if (reply_learned(op))
        return;
    op_wait_range(op, 0, 0, getattr_drained);
}

static void setattr_answered(struct op *op) {
    nodes_changed(op->fs->nodes, op->id);
    if (op->result == 0 && op->inode && (op->set.mask & NFS_SET_SIZE)) {
        wb_truncated(&op->inode->wb, op->set.size);
        copy_changed(op->inode, op->set.size, NULL, 0);
    }
    if (op->result == 0 && !op->call.has_attr) { // a server may leave them out
        op_prepare(op, NFS_GETATTR, &op->fh);
        op_call(op, attr_answered);
        return;
    }
    attr_answered(op);
}

static void setattr_drained(struct op *op) {
    if (op->result < 0) {
        op_reply_error(op, op->result);
        return;
    }
    op_prepare(op, op->set.mask ? NFS_SETATTR : NFS_GETATTR, &op->fh)->set = op->set;
    op_call(op, op->set.mask ? setattr_answered : attr_answered);
}

void ops_setattr(fuse_req_t req, fuse_ino_t id, struct stat *st, int to_set, struct fuse_file_info *fi) {
    struct op *op = op_for(req, id);
    if (!op)
        return;
    attr_from_fuse(st, to_set, &op->set);
    const struct file *file = fi && (to_set & FUSE_SET_ATTR_SIZE) ? handles_get(&op->fs->files, fi->fh) : NULL;
    if (file) // ftruncate: the permission is that of the open file
        op->cred = file->cred;
    op->inode = inode_find(op->fs, id);
    op_wait_range(op, 0, 0, setattr_drained);
}

static void readlink_answered(struct op *op) {
    if (op->result < 0) {
        op_reply_error(op, op->result);
        return;
    }
    (void)fuse_reply_readlink(op->req, op->call.text);
    op_end(op);
}

void ops_readlink(fuse_req_t req, fuse_ino_t id) {
    struct op *op = op_for(req, id);
    if (!op)
        return;
    op_prepare(op, NFS_READLINK, &op->fh);
    op_call(op, readlink_answered);
}

static void statfs_answered(struct op *op) {
    struct statvfs st;
    if (op->result < 0) {
        op_reply_error(op, op->result);
        return;
    }
    attr_to_statvfs(&op->call.fsstat, &st);
    (void)fuse_reply_statfs(op->req, &st);
    op_end(op);
}

void ops_statfs(fuse_req_t req, fuse_ino_t id) {
    struct op *op = op_for(req, id ? id : NODES_ROOT);
    if (!op)
        return;
    op_prepare(op, NFS_FSSTAT, &op->fh);
    op_call(op, statfs_answered);
}
