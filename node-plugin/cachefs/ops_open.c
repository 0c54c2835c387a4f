// SPDX-License-Identifier: Apache-2.0
// open, create, release.
//
// Close-to-open: an open asks the server for permission and attributes. When they differ from what the kernel was told,
// the kernel's attributes are dropped before the reply (and a name whose file changed its size is looked up once more); when they differ from what its page cache was read under, or
// changed so lately that the times cannot tell, the page cache is dropped with the reply.
#include <errno.h>
#include <fcntl.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "node-plugin/cachefs/again.h"
#include "node-plugin/cachefs/attr.h"
#include "node-plugin/cachefs/copy.h"
#include "node-plugin/cachefs/inode.h"
#include "node-plugin/cachefs/ops.h"
#include "node-plugin/cachefs/warm.h"

#define OPEN_FOR_EXEC 0x20 // FMODE_EXEC of the kernel, in the flags of an open by execve(2)

int file_open(struct op *op, const struct nfs_cred *cred, int mode, struct fuse_file_info *fi) {
    struct file *file = mem_zalloc(sizeof *file);
    if (!file)
        return -ENOMEM;
    file->inode = inode_get(op->fs, op->inode->id, &op->inode->fh);
    unsigned seen = file->inode ? wb_error_now(&file->inode->wb) : 0;
    struct file_record record = {.node = op->inode->id,
                                 .unique = op->unique,
                                 .cred = *cred,
                                 .flags = fi->flags,
                                 .mode = mode,
                                 .error_seen = seen};
    record.created = op->target.len != 0;
    int r = file->inode ? handles_add(&op->fs->files, file, &record, &fi->fh) : -ENOMEM;
    if (r < 0) {
        if (file->inode)
            inode_put(file->inode);
        free(file);
        return r;
    }
    file->cred = *cred;
    file->flags = fi->flags;
    file->mode = mode;
    file->error_seen = seen;
    inode_opened(file->inode);
    return 0;
}

// The disk may have been slower than the origin, so that not all that was read was stored.
static void complete_copy(const struct file *file, const struct nfs_attr *attr) {
    const struct warm_request request = {.kind = WARM_FETCH, .fh = file->inode->fh, .attr = *attr, .cred = file->cred};
    if (warm_start(file->inode->fs, &request) < 0)
        log_debug("a copy stays in part until its next close", LOG_I("bytes", (int64_t)attr->size));
}

void file_close(struct fs *fs, struct fuse_file_info *fi) {
    struct file *file = handles_remove(&fs->files, fi->fh);
    if (!file)
        return;
    struct nfs_attr partial;
    if (copy_closed(file->inode, (enum open_mode)file->mode, &partial))
        complete_copy(file, &partial);
    if (inode_closed(file->inode))
        silly_remove(file->inode);
    inode_put(file->inode);
    free(file);
}

// ---- the parts of an open

static void tell_kernel(struct op *op, uint64_t id, const struct nfs_attr *attr, bool truncated) {
    struct node_stamp now = attr_stamp(attr);
    if (!nodes_was_told(op->fs->nodes, id, &now)) // offset -1: attributes only, so no page is waited for
        (void)fuse_lowlevel_notify_inval_inode(op->fs->session, id, -1, 0);
    if (truncated)
        nodes_kernel_truncated(op->fs->nodes, id);
    // What is read before there may be a copy would stay in the kernel's pages, and the copy be empty for as long.
    now.valid = !attr_is_fresh(attr, clock_wall(op->fs->clock)) && !truncated && copy_is_settled(op->fs, attr);
    struct node_stamp old = nodes_swap_stamp(op->fs->nodes, id, &now);
    op->fi.keep_cache = node_stamp_eq(&old, &now);
}

// Does the kernel go by a size that another client has changed? It appends there, and splices no further (rewalk.h).
// A shorter file it notices when it reads.
static bool is_misled_by_size(struct op *op) {
    struct nfs_attr seen = op->call.attr;
    (void)inode_correct_attr(op->fs, op->id, op->moment, &seen);
    uint64_t known = nodes_kernel_size(op->fs->nodes, op->id);
    return seen.size > known || (seen.size < known && (op->fi.flags & O_APPEND));
}

// A name that the kernel keeps for a second may lead to a file that was replaced meanwhile and lives on: because somebody has
// it open, or under another name. Its ctime changed then, so the name is looked up once more, before anything is done to it.
static bool look_again(struct op *op) {
    struct node_stamp now = attr_stamp(&op->call.attr);
    bool changed = op->fs->copies.trust == TRUST_STRICT && !nodes_was_told(op->fs->nodes, op->id, &now);
    bool misled =
        changed || copy_needs_other_inode(op, &op->call.attr) || (!(op->fi.flags & O_TRUNC) && is_misled_by_size(op));
    return rewalk_send(&op->fs->rewalk, op->pid, op->id, misled, clock_monotonic(op->fs->clock));
}

static void reply_as(struct op *op, enum open_mode mode, int32_t backing_id) {
    int r = file_open(op, &op->cred, mode, &op->fi);
    if (r < 0) {
        (void)copy_closed(op->inode, mode, &op->attr);
        op_reply_error(op, r);
        return;
    }
    // A descriptor that cannot write has nothing to flush at close.
    op->fi.noflush = (op->fi.flags & O_ACCMODE) == O_RDONLY;
    r = mode == OPEN_CACHED ? fuse_reply_open(op->req, &op->fi) : passthrough_reply(op->req, &op->fi, mode, backing_id);
    if (r < 0)
        file_close(op->fs, &op->fi);
    op_end(op);
}

static void choose(struct op *op, bool tried);

static void filled(struct op *op) {
    (void)cached_put(take_ptr(op->object));
    if (op->result == -EINTR)
        op_reply_error(op, op->result);
    else
        choose(op, true);
}

static void choose(struct op *op, bool tried) {
    enum open_mode mode;
    int32_t backing_id = 0;
    int r = copy_choose(op, &op->attr, tried, &mode, &backing_id);
    if (r == -EAGAIN && cached_complete(op->object)) {
        (void)!cached_readable(op->object, true);
        (void)cached_put(take_ptr(op->object));
        choose(op, true);
    } else if (r == -EAGAIN)
        copy_fill(op, filled);
    else if (r < 0)
        op_reply_error(op, r);
    else
        reply_as(op, mode, backing_id);
}

static void reply_open(struct op *op) {
    tell_kernel(op, op->id, &op->call.attr, (op->fi.flags & O_TRUNC) != 0);
    op->inode = op->inode ? op->inode : inode_get(op->fs, op->id, &op->fh);
    op->attr = op->call.attr;
    if (!op->inode)
        op_reply_error(op, -ENOMEM);
    else
        choose(op, false);
}

static void reply_create(struct op *op, const struct nfs_attr *attr) {
    struct fuse_entry_param entry;
    int r = op_fill_entry(op, &op->target, attr, &entry);
    if (r < 0) {
        op_reply_error(op, r);
        return;
    }
    if (op->tries) // the file was there before
        tell_kernel(op, entry.ino, attr, (op->fi.flags & O_TRUNC) != 0);
    op->inode = op->inode ? op->inode : inode_get(op->fs, entry.ino, &op->target);
    enum open_mode mode = OPEN_CACHED;
    int32_t backing_id = 0;
    r = op->inode ? copy_choose(op, attr, true, &mode, &backing_id) : -ENOMEM;
    if (r == 0) {
        // Others read it through the kernel: it was there before, and is to be opened by its name.
        r = mode == OPEN_CACHED ? file_open(op, &op->cred, mode, &op->fi) : -ESTALE;
        if (r < 0)
            (void)copy_closed(op->inode, mode, &op->attr);
    }
    if (r < 0) {
        nodes_forget(op->fs->nodes, entry.ino, 1);
        op_reply_error(op, r);
        return;
    }
    if (fuse_reply_create(op->req, &entry, &op->fi) < 0) {
        file_close(op->fs, &op->fi);
        nodes_forget(op->fs->nodes, entry.ino, 1);
    }
    op_end(op);
}

static void opened(struct op *op) {
    if (op->result < 0)
        op_reply_error(op, op->result);
    else if (op->target.len)
        reply_create(op, &op->call.attr);
    else
        reply_open(op);
}

static const struct nfs_fh *open_fh(const struct op *op) {
    return op->target.len ? &op->target : &op->fh;
}

static void truncate_answered(struct op *op) {
    if (op->result == 0) {
        if (op->inode) {
            wb_truncated(&op->inode->wb, 0);
            copy_changed(op->inode, 0, NULL, 0);
        }
        nodes_changed(op->fs->nodes, op->id);
    }
    if (op->result == 0 && !op->call.has_attr) {
        op_prepare(op, NFS_GETATTR, open_fh(op));
        op_call(op, opened);
        return;
    }
    opened(op);
}

static void truncate_drained(struct op *op) {
    if (op->result < 0) {
        op_reply_error(op, op->result);
        return;
    }
    op_prepare(op, NFS_SETATTR, open_fh(op))->set = (struct nfs_setattr){.mask = NFS_SET_SIZE};
    op_call(op, truncate_answered);
}

static void got_attr(struct op *op) {
    if (op->result == 0 && !op->target.len && (op->call.attr.nlink == 0 || look_again(op))) {
        op_reply_error(op, -ESTALE);
        return;
    }
    if (op->result == 0 && (op->fi.flags & O_TRUNC) && S_ISREG(op->call.attr.mode)) {
        uint64_t id = nodes_find(op->fs->nodes, open_fh(op));
        op->inode = id ? inode_find(op->fs, id) : NULL;
        op_wait_range(op, 0, 0, truncate_drained);
        return;
    }
    opened(op);
}

static bool is_granted(int flags, uint32_t granted) {
    bool write = (flags & O_ACCMODE) != O_RDONLY;
    bool read = (flags & O_ACCMODE) != O_WRONLY;
    if (read && !(granted & R_OK) && !((flags & OPEN_FOR_EXEC) && (granted & X_OK)))
        return false;
    return !(write || (flags & O_TRUNC)) || (granted & W_OK);
}

static void access_answered(struct op *op) {
    if (op->result == 0 && !is_granted(op->fi.flags, op->call.access))
        op->result = -EACCES;
    if (op->result < 0) {
        op_reply_error(op, op->result);
    } else if (op->call.has_attr) {
        got_attr(op);
    } else {
        op_prepare(op, NFS_GETATTR, open_fh(op));
        op_call(op, got_attr);
    }
}

static void ask_access(struct op *op) {
    op_prepare(op, NFS_ACCESS, open_fh(op))->access = R_OK | W_OK | X_OK;
    op_call(op, access_answered);
}

// Where the mount may be behind, the kernel has checked the mode bits, and attributes that are not too old will do.
static bool known_to_be_allowed(struct op *op) {
    struct fs *fs = op->fs;
    bool changes = (op->fi.flags & O_ACCMODE) != O_RDONLY || (op->fi.flags & O_TRUNC);
    if (fs->copies.trust == TRUST_STRICT || changes)
        return false;
    int64_t age = (int64_t)(fs->timeout_s * (double)NS_PER_S);
    return nodes_known(fs->nodes, op->id, clock_monotonic(fs->clock) - age, &op->call.attr);
}

void ops_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi) {
    struct op *op = op_for(req, id);
    if (!op)
        return;
    op->fi = *fi;
    if (known_to_be_allowed(op))
        opened(op);
    else
        ask_access(op);
}

// ---- create

static void existing_looked_up(struct op *op) {
    if (op->result == 0 && op->call.has_attr && !S_ISREG(op->call.attr.mode))
        op->result = S_ISDIR(op->call.attr.mode) ? -EISDIR : -ESTALE; // ESTALE: the kernel walks the path once more
    if (op->result < 0) {
        op_reply_error(op, op->result);
        return;
    }
    op->target = op->call.out_fh;
    if (again_was(op, NFS_CREATE) && op->call.has_attr && op->call.attr.size == 0) {
        opened(op); // this request made it
    } else if (op->fi.flags & O_EXCL) {
        op_reply_error(op, -EEXIST);
    } else {
        op->tries = 1;
        ask_access(op);
    }
}

static void created(struct op *op) {
    if (op->result == -EEXIST && (!(op->fi.flags & O_EXCL) || again_was(op, NFS_CREATE))) { // somebody else was faster
        op_prepare(op, NFS_LOOKUP, &op->fh)->name = op->name;
        op_call(op, existing_looked_up);
        return;
    }
    if (op->result < 0) {
        op_reply_error(op, op->result);
        return;
    }
    op_changed_parent(op);
    op->target = op->call.out_fh;
    if (op->call.has_attr) {
        opened(op);
        return;
    }
    op_prepare(op, NFS_GETATTR, &op->target);
    op_call(op, opened);
}

void ops_create(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode, struct fuse_file_info *fi) {
    struct op *op = op_for(req, dir);
    if (!op)
        return;
    op->fi = *fi;
    int r = op_set_name(op->name, name);
    if (r < 0) {
        op_reply_error(op, r);
        return;
    }
    struct nfs_call *call = op_prepare(op, NFS_CREATE, &op->fh);
    call->name = op->name;
    call->exclusive = true;
    call->set = (struct nfs_setattr){.mask = NFS_SET_MODE, .mode = mode & 07777};
    op_call(op, created);
}

// ---- release

void ops_release(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi) {
    struct fs *fs = fuse_req_userdata(req);
    struct inode *inode = inode_find(fs, id);
    file_close(fs, fi);
    (void)fuse_reply_err(req, 0);
    if (!inode)
        return;
    // Left over when a flush was interrupted, or written by a mapping after the last close.
    struct op *op = wb_clean(&inode->wb) ? NULL : op_new(fs, NULL);
    if (!op) {
        inode_put(inode);
        return;
    }
    op->inode = inode;
    op_wait_sync(op, op_end);
}
