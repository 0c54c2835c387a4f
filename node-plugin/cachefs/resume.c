// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/resume.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "node-plugin/cachefs/copy.h"
#include "node-plugin/cachefs/dir.h"
#include "node-plugin/cachefs/inode.h"
#include "node-plugin/cachefs/ops.h"

#define LOOK_NS (10 * NS_PER_S)

// ---- written data

static int restore_piece(struct fs *fs, uint32_t index) {
    const struct piece_record *record = slots_at(&fs->pieces, index);
    struct inode *inode = record->len ? inode_get(fs, record->node, &record->fh) : NULL;
    int r = inode ? wb_restore(&inode->wb, index) : record->len ? -ENOMEM : -EINVAL;
    if (inode)
        inode_put(inode);
    if (r == -EINVAL) { // cut to nothing by a truncation
        slots_give(&fs->pieces, index);
        r = 0;
    }
    return r;
}

// ---- names of unlinked files

// Was the name made? Nobody heard the server's answer.
static bool is_kept(struct fs *fs, const struct silly_record *record) {
    if (record->kept)
        return true;
    struct nfs_call call = {.op = NFS_LOOKUP,
                            .fh = record->dir,
                            .name = record->name,
                            .cred = &record->cred,
                            .deadline_ns = clock_monotonic(fs->clock) + LOOK_NS};
    int r = nfs_run(fs->share, &call);
    return r < 0 ? r != -ENOENT : nfs_fh_eq(&call.out_fh, &record->fh);
}

static int restore_silly(struct fs *fs, uint32_t index) {
    struct silly_record *record = slots_at(&fs->sillies, index);
    if (!is_kept(fs, record)) {
        slots_give(&fs->sillies, index);
        return 0;
    }
    struct inode *inode = inode_get(fs, record->node, &record->fh);
    if (!inode)
        return -ENOMEM;
    record->kept = 1;
    inode->silly = true;
    inode->silly_dir = record->dir;
    inode->silly_cred = record->cred;
    memcpy(inode->silly_name, record->name, sizeof inode->silly_name);
    inode->silly_record = index;
    fs->silly_count++;
    inode_put(inode); // stays: it has a silly name
    return 0;
}

// ---- handles

static int restore_file(struct fs *fs, uint64_t handle) {
    const struct file_record *record = handles_record(&fs->files, handle);
    struct nfs_fh fh;
    int r = nodes_handle(fs->nodes, record->node, &fh);
    if (r < 0) { // the kernel forgot the node, so it cannot know the handle
        handles_drop(&fs->files, handle);
        return 0;
    }
    struct file *file = mem_zalloc(sizeof *file);
    struct inode *inode = file ? inode_get(fs, record->node, &fh) : NULL;
    r = inode ? handles_restore(&fs->files, handle, file) : -ENOMEM;
    if (r < 0) {
        if (inode)
            inode_put(inode);
        free(file);
        return r;
    }
    *file = (struct file){.inode = inode,
                          .cred = record->cred,
                          .flags = record->flags,
                          .mode = record->mode,
                          .error_seen = record->error_seen};
    copy_restore(inode, (enum open_mode)record->mode);
    inode_opened(inode);
    return 0;
}

static int restore_dir(struct fs *fs, uint64_t handle) {
    struct dir_record *record = handles_record(&fs->dirs, handle);
    struct nfs_fh fh;
    struct dir *dir = NULL;
    if (nodes_handle(fs->nodes, record->node, &fh) < 0) {
        handles_drop(&fs->dirs, handle);
        return 0;
    }
    int r = dir_new(fs, &fh, &record->cred, &dir);
    if (r == 0)
        r = handles_restore(&fs->dirs, handle, dir);
    if (r < 0) {
        if (dir)
            dir_put(dir);
        return r;
    }
    dir_resume(dir, record);
    return 0;
}

static int each_slot(struct fs *fs, struct slots *slots, int (*restore)(struct fs *fs, uint32_t index)) {
    int r = 0;
    for (uint32_t i = slots_next(slots, 0); i && r == 0; i = slots_next(slots, i))
        r = restore(fs, i);
    return r;
}

static int each_handle(struct fs *fs, struct handles *handles, int (*restore)(struct fs *fs, uint64_t handle)) {
    int r = 0;
    for (uint64_t handle = handles_next(handles, 0); handle && r == 0; handle = handles_next(handles, handle))
        r = restore(fs, handle);
    return r;
}

int resume_state(struct fs *fs, struct err *err) {
    fs->life = fs->state->head->restarts + fs->state->head->handovers;
    fs->resumed_ns = clock_monotonic(fs->clock);
    int r = each_slot(fs, &fs->pieces, restore_piece);
    if (r == 0)
        r = each_slot(fs, &fs->sillies, restore_silly);
    if (r == 0)
        r = each_handle(fs, &fs->files, restore_file);
    if (r == 0)
        r = each_handle(fs, &fs->dirs, restore_dir);
    if (r == 0)
        copy_resume(fs);
    return r < 0 ? err_set(err, r, "cannot take over the mount's state: %s", err_name(r)) : 0;
}

// ---- afterwards

static void sync_inode(struct inode *inode) {
    struct op *op = wb_clean(&inode->wb) ? NULL : op_new(inode->fs, NULL);
    if (!op)
        return;
    inode_hold(inode);
    op->inode = inode;
    op_wait_sync(op, op_end);
}

void resume_work(struct fs *fs) {
    // Files that nobody has open have no close to come that would send their data or remove their name.
    for (uint32_t i = slots_next(&fs->pieces, 0); i; i = slots_next(&fs->pieces, i)) {
        struct inode *inode = inode_find(fs, ((struct piece_record *)slots_at(&fs->pieces, i))->node);
        if (!inode)
            continue;
        sync_inode(inode);
        inode_put(inode);
    }
    for (uint32_t i = slots_next(&fs->sillies, 0); i; i = slots_next(&fs->sillies, i)) {
        struct inode *inode = inode_find(fs, ((struct silly_record *)slots_at(&fs->sillies, i))->node);
        if (!inode)
            continue;
        inode_opened(inode);
        if (inode_closed(inode))
            silly_remove(inode);
        inode_put(inode);
    }
    wb_kick(&fs->wb);
    watch_work(fs);
}

static uint64_t file_of(struct fs *fs, uint64_t unique) {
    uint64_t handle = handles_next(&fs->files, 0);
    while (handle && ((struct file_record *)handles_record(&fs->files, handle))->unique != unique)
        handle = handles_next(&fs->files, handle);
    return handle;
}

static uint64_t dir_of(struct fs *fs, uint64_t unique) {
    uint64_t handle = handles_next(&fs->dirs, 0);
    while (handle && ((struct dir_record *)handles_record(&fs->dirs, handle))->unique != unique)
        handle = handles_next(&fs->dirs, handle);
    return handle;
}

void resume_request(struct op *op) {
    struct fs *fs = op->fs;
    struct fuse_file_info fi = {.fh = file_of(fs, op->unique)};
    if (fi.fh) {
        const struct file_record *record = handles_record(&fs->files, fi.fh);
        uint64_t created = record->created ? record->node : 0;
        file_close(fs, &fi);
        if (created)
            nodes_forget(fs->nodes, created, 1);
    }
    uint64_t handle = dir_of(fs, op->unique);
    struct dir *dir = handle ? handles_remove(&fs->dirs, handle) : NULL;
    if (dir)
        dir_put(dir);
}
