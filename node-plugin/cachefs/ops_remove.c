// SPDX-License-Identifier: Apache-2.0
// unlink, rmdir, rename: names that go away, also under open files.
#include <errno.h>
#include <stdio.h>

#include "node-plugin/cachefs/again.h"
#include "node-plugin/cachefs/inode.h"
#include "node-plugin/cachefs/ops.h"

static void changed(struct op *op) {
    op_changed_parent(op);
    if (op->id2)
        nodes_changed(op->fs->nodes, op->id2);
    if (op->target.len) {
        uint64_t id = nodes_find(op->fs->nodes, &op->target);
        if (id)
            nodes_changed(op->fs->nodes, id); // links, change time
    }
}

// "There is none", to a request that a former daemon had sent: it was that one.
static void take_for_done(struct op *op, enum nfs_op operation) {
    if (op->result == -ENOENT && again_was(op, operation))
        op->result = 0;
}

static void name_answered(struct op *op) {
    take_for_done(op, op->call.op);
    if (op->result == 0)
        changed(op);
    op_reply_error(op, op->result);
}

// A file that must live on under another name: open here, and this is its last one.
static bool lives_on(struct op *op) {
    if (op->call.result < 0 || S_ISDIR(op->call.attr.mode) || (op->call.has_attr && op->call.attr.nlink > 1))
        return false;
    op->target = op->call.out_fh;
    op->inode = inode_find_open(op->fs, &op->target);
    return op->inode != NULL;
}

// ---- unlink

static void unlink_looked_up(struct op *op) {
    if (op->result < 0) {
        take_for_done(op, NFS_REMOVE);
        take_for_done(op, NFS_RENAME); // to its silly name
        name_answered(op);
        return;
    }
    if (lives_on(op)) {
        silly_keep_name(op, &op->fh, op->name, false, name_answered);
        return;
    }
    op->target = op->call.out_fh;
    op_prepare(op, NFS_REMOVE, &op->fh)->name = op->name;
    op_call(op, name_answered);
}

void ops_unlink(fuse_req_t req, fuse_ino_t dir, const char *name) {
    struct op *op = op_for(req, dir);
    if (!op)
        return;
    int r = op_set_name(op->name, name);
    if (r == 0 && inode_is_silly_name(op->fs, &op->fh, name))
        r = -EBUSY; // as other NFS clients answer
    if (r < 0) {
        op_reply_error(op, r);
        return;
    }
    bool look = inode_any_open(op->fs);
    op_prepare(op, look ? NFS_LOOKUP : NFS_REMOVE, &op->fh)->name = op->name;
    op_call(op, look ? unlink_looked_up : name_answered);
}

// ---- rmdir

static void rmdir_answered(struct op *op);

static void rmdir_again(struct op *op) {
    if (op->result < 0) {
        op_reply_error(op, op->result == -EINTR ? -EINTR : -ENOTEMPTY);
        return;
    }
    op_prepare(op, NFS_RMDIR, &op->fh)->name = op->name;
    op_call(op, rmdir_answered);
}

static void rmdir_looked_up(struct op *op) {
    if (op->result < 0) {
        op_reply_error(op, op->result);
        return;
    }
    op->target = op->call.out_fh;
    silly_empty_dir(op, &op->target, &op->fh, rmdir_again);
}

// Did it hold what is left of unlinked files when the server looked? (`offset`: fs->silly_gone before it was asked)
static bool held_silly(const struct op *op) {
    return op->fs->silly_count > 0 || op->fs->silly_gone != op->offset;
}

static void rmdir_answered(struct op *op) {
    bool full = op->result == -ENOTEMPTY || op->result == -EEXIST;
    if (full && held_silly(op) && op->tries++ == 0) {
        op_prepare(op, NFS_LOOKUP, &op->fh)->name = op->name;
        op_call(op, rmdir_looked_up);
        return;
    }
    op->result = full ? -ENOTEMPTY : op->result;
    name_answered(op);
}

void ops_rmdir(fuse_req_t req, fuse_ino_t dir, const char *name) {
    struct op *op = op_for(req, dir);
    int r = op ? op_set_name(op->name, name) : 0;
    if (r < 0) {
        op_reply_error(op, r);
    } else if (op) {
        op->offset = op->fs->silly_gone;
        op_prepare(op, NFS_RMDIR, &op->fh)->name = op->name;
        op_call(op, rmdir_answered);
    }
}

// ---- rename

static void do_rename(struct op *op) {
    struct nfs_call *call = op_prepare(op, NFS_RENAME, &op->fh);
    call->fh2 = op->fh2;
    call->name = op->name;
    call->name2 = op->name2;
    op_call(op, name_answered);
}

static void target_moved(struct op *op) {
    if (op->result < 0 && op->result != -ENOENT)
        op_reply_error(op, op->result);
    else
        do_rename(op);
}

static void target_linked(struct op *op) {
    bool no_links = op->result == -EOPNOTSUPP || op->result == -EPERM || op->result == -EMLINK;
    if (no_links) // then there is a moment without the name
        silly_keep_name(op, &op->fh2, op->name2, false, target_moved);
    else
        target_moved(op);
}

static void target_looked_up(struct op *op) {
    if (op->result < 0 && op->result != -ENOENT)
        op_reply_error(op, op->result);
    else if (lives_on(op)) // a second name first: the rename itself then stays atomic
        silly_keep_name(op, &op->fh2, op->name2, true, target_linked);
    else
        do_rename(op);
}

static void remove_source(struct op *op) {
    op_prepare(op, NFS_REMOVE, &op->fh)->name = op->name;
    op_call(op, name_answered);
}

static void linked_before(struct op *op) {
    if (op->result == 0 && !nfs_fh_eq(&op->call.out_fh, &op->target))
        op->result = -EEXIST;
    if (op->result < 0)
        op_reply_error(op, op->result);
    else
        remove_source(op);
}

static void source_linked(struct op *op) {
    if (op->result == -EEXIST && again_was(op, NFS_LINK)) {
        op_prepare(op, NFS_LOOKUP, &op->fh2)->name = op->name2;
        op_call(op, linked_before);
    } else if (op->result < 0) {
        op_reply_error(op, op->result);
    } else {
        remove_source(op);
    }
}

static void source_looked_up(struct op *op) {
    take_for_done(op, NFS_REMOVE);
    if (op->call.result < 0 && op->result == 0) {
        name_answered(op);
        return;
    }
    if (op->result == 0 && (!op->call.has_attr || S_ISDIR(op->call.attr.mode)))
        op->result = -EINVAL; // NFS cannot do it in one step; a check beforehand would be a lie
    if (op->result < 0) {
        op_reply_error(op, op->result);
        return;
    }
    op->target = op->call.out_fh;
    struct nfs_call *call = op_prepare(op, NFS_LINK, &op->target); // fails when the name is there
    call->fh2 = op->fh2;
    call->name = op->name2;
    op_call(op, source_linked);
}

static void rename_plain(struct op *op) {
    if (inode_any_open(op->fs)) {
        op_prepare(op, NFS_LOOKUP, &op->fh2)->name = op->name2;
        op_call(op, target_looked_up);
    } else {
        do_rename(op);
    }
}

// Before the target is looked at, which may be the source by now.
static void source_seen_again(struct op *op) {
    take_for_done(op, NFS_RENAME);
    if (op->result < 0)
        op_reply_error(op, op->result);
    else if (op->call.result < 0)
        name_answered(op);
    else
        rename_plain(op);
}

void ops_rename(fuse_req_t req, fuse_ino_t dir, const char *name, fuse_ino_t dir2, const char *name2, unsigned flags) {
    struct op *op = op_for(req, dir);
    if (!op)
        return;
    op->id2 = dir2;
    int r = op_set_name(op->name, name);
    if (r == 0)
        r = op_set_name(op->name2, name2);
    if (r == 0)
        r = nodes_handle(op->fs->nodes, dir2, &op->fh2);
    if (r == 0 && (flags & ~(unsigned)RENAME_NOREPLACE))
        r = -EINVAL;
    if (r < 0) {
        op_reply_error(op, r);
    } else if (flags & RENAME_NOREPLACE) {
        op_prepare(op, NFS_LOOKUP, &op->fh)->name = op->name;
        op_call(op, source_looked_up);
    } else if (again_was(op, NFS_RENAME)) {
        op_prepare(op, NFS_LOOKUP, &op->fh)->name = op->name;
        op_call(op, source_seen_again);
    } else {
        rename_plain(op);
    }
}
