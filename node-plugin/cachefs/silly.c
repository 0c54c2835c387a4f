// SPDX-License-Identifier: Apache-2.0
// An open file whose last name goes away gets a name of the daemon's own, removed at the last close ("silly rename", as
// every NFS client does it: the server knows nothing of open files).
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "node-plugin/cachefs/inode.h"
#include "node-plugin/cachefs/ops.h"

#define PREFIX ".nfs"
#define NAME_LEN (sizeof PREFIX - 1 + 16 + 8)

static struct silly_record *record_at(struct fs *fs, uint32_t index) {
    return slots_at(&fs->sillies, index);
}

// Written down before the server is asked: a later daemon looks whether the name was made. False: no room.
static bool write_down(struct op *op, const struct nfs_fh *dir) {
    struct slots *sillies = &op->fs->sillies;
    op->silly_record = slots_take(sillies);
    if (!op->silly_record)
        return false;
    struct silly_record *record = record_at(op->fs, op->silly_record);
    record->node = op->inode->id;
    record->fh = op->inode->fh;
    record->dir = *dir;
    record->cred = op->cred;
    (void)snprintf(record->name, sizeof record->name, "%s", op->text);
    slots_publish(sillies, op->silly_record);
    return true;
}

static void cross_out(struct fs *fs, uint32_t *index) {
    if (*index)
        slots_give(&fs->sillies, *index);
    *index = 0;
}

static void name_kept(struct op *op) {
    struct fs *fs = op->fs;
    struct inode *inode = op->inode;
    bool closed = false;
    if (op->result < 0)
        cross_out(fs, &op->silly_record);
    if (op->result == 0) {
        record_at(fs, op->silly_record)->kept = 1;
        LOCK_SCOPE(&fs->lock);
        fs->silly_count -= inode->silly; // of a name that went away behind our back
        cross_out(fs, &inode->silly_record);
        inode->silly_record = op->silly_record;
        inode->silly = true;
        inode->silly_dir = op->call.op == NFS_LINK ? op->call.fh2 : op->call.fh;
        inode->silly_cred = op->cred;
        (void)snprintf(inode->silly_name, sizeof inode->silly_name, "%s", op->text);
        fs->silly_count++;
        closed = inode->opens == 0;
        inode->silly_removing = closed;
    }
    fs->silly_making--;
    if (closed)
        silly_remove(inode);
    op->then(op);
}

void silly_keep_name(struct op *op, const struct nfs_fh *dir, const char *name, bool link, void (*then)(struct op *)) {
    struct fs *fs = op->fs;
    uint32_t number;
    {
        LOCK_SCOPE(&fs->lock);
        number = fs->silly_next++;
    }
    free(op->text);
    op->text = mem_printf(PREFIX "%016" PRIx64 "%08" PRIx32, op->inode->id, number);
    op->then = then;
    if (!op->text || !write_down(op, dir)) {
        op->result = -ENOMEM;
        then(op);
        return;
    }
    struct nfs_call *call = op_prepare(op, link ? NFS_LINK : NFS_RENAME, link ? &op->inode->fh : dir);
    call->fh2 = *dir;
    call->name = link ? op->text : name;
    call->name2 = link ? NULL : op->text;
    fs->silly_making++;
    op_call(op, name_kept);
}

bool silly_hides(struct fs *fs, const struct nfs_fh *dir, const char *name, uint64_t gone) {
    if (strncmp(name, PREFIX, sizeof PREFIX - 1) != 0 || strlen(name) != NAME_LEN)
        return false;
    // In the order in which a name goes through them, so that it is not missed on its way from one to the next.
    return fs->silly_making > 0 || inode_is_silly_name(fs, dir, name) || fs->silly_gone != gone;
}

static void resume_all(struct op *waiters) {
    while (waiters) {
        struct op *waiter = waiters;
        waiters = waiter->queue_next;
        op_resume(waiter, 0);
    }
}

static void removed(struct op *op) {
    struct fs *fs = op->fs;
    struct op *waiters;
    if (op->result < 0 && op->result != -ENOENT)
        log_debug("name of an unlinked file stays", LOG_S("name", op->inode->silly_name),
                  LOG_S("error", err_name(op->result)));
    {
        LOCK_SCOPE(&fs->lock);
        op->inode->silly = false;
        cross_out(fs, &op->inode->silly_record);
        fs->silly_count--;
        fs->silly_gone++;
        waiters = take_ptr(fs->silly_head);
    }
    resume_all(waiters);
    op_end(op);
}

void silly_remove(struct inode *inode) {
    struct op *op = op_new(inode->fs, NULL);
    if (!op)
        return; // the name stays behind; nothing is lost
    op->inode = inode_find(inode->fs, inode->id);
    op->cred = inode->silly_cred;
    op_prepare(op, NFS_REMOVE, &inode->silly_dir)->name = op->inode->silly_name;
    op_call(op, removed);
}

static void moved_up(struct op *op) {
    struct fs *fs = op->fs;
    struct inode *inode = op->inode;
    struct op *waiters;
    bool closed;
    {
        LOCK_SCOPE(&fs->lock);
        if (op->result == 0) {
            inode->silly_dir = op->fh;
            if (inode->silly_record)
                record_at(fs, inode->silly_record)->dir = op->fh; // should it tear: a name that stays behind
        }
        inode->silly_moving = false;
        fs->silly_making--;
        closed = inode->opens == 0;
        inode->silly_removing = closed;
        waiters = take_ptr(fs->silly_head);
    }
    if (closed)
        silly_remove(inode);
    resume_all(waiters);
    inode_put(take_ptr(op->inode));
    if (op->result < 0)
        op->then(op);
    else
        silly_empty_dir(op, &op->target, &op->fh, op->then);
}

static void looked_again(struct op *op) {
    if (op->result < 0)
        op->then(op);
    else
        silly_empty_dir(op, &op->target, &op->fh, op->then);
}

// True: the name is being removed or moved, and `op` is resumed after that. False: it is `op` that moves it.
static bool wait_or_begin_move(struct op *op, struct inode *inode) {
    op_begin_wait(op, looked_again);
    {
        LOCK_SCOPE(&op->fs->lock);
        if (!inode->silly || inode->silly_removing || inode->silly_moving) {
            op->queue_next = op->fs->silly_head;
            if (inode->silly)
                op->fs->silly_head = op;
            else
                op->queue_next = NULL;
        } else {
            op->state = OP_RUNNING;
            inode->silly_moving = true;
            op->fs->silly_making++;
            return false;
        }
        if (inode->silly)
            return true;
    }
    op_resume(op, 0);
    return true;
}

// A directory that holds nothing but such names can be removed: they move to its parent (op->fh), which the caller may
// write to, as it is about to remove the directory from there.
void silly_empty_dir(struct op *op, const struct nfs_fh *dir, const struct nfs_fh *parent, void (*then)(struct op *)) {
    op->then = then;
    op->result = 0;
    struct inode *inode = inode_find_silly(op->fs, dir);
    if (!inode) {
        then(op);
        return;
    }
    if (wait_or_begin_move(op, inode)) {
        inode_put(inode);
        return;
    }
    op->inode = inode;
    free(op->text);
    op->text = mem_strdup(inode->silly_name);
    if (!op->text) {
        op->result = -ENOMEM;
        moved_up(op);
        return;
    }
    struct nfs_call *call = op_prepare(op, NFS_RENAME, dir);
    call->fh2 = *parent;
    call->name = call->name2 = op->text;
    op_call(op, moved_up);
}
