// SPDX-License-Identifier: Apache-2.0
// opendir, readdir, readdirplus, releasedir, fsyncdir.
//
// Positions: 1 is behind ".", 2 behind "..", index + 3 behind entry `index` of the handle's listing.
#include <errno.h>
#include <string.h>

#include "node-plugin/cachefs/attr.h"
#include "node-plugin/cachefs/dir.h"
#include "node-plugin/cachefs/inode.h"
#include "node-plugin/cachefs/ops.h"

#define DOTS 2
#define UNKNOWN_INO 0xffffffffu
#define REPLY_MAX ((size_t)256 << 10)

static void open_dir(struct op *op, struct dir *dir) {
    struct dir_record record = {.node = op->id, .unique = op->unique, .cred = op->cred};
    int r = handles_add(&op->fs->dirs, dir, &record, &op->fi.fh);
    if (r < 0) {
        dir_put(dir);
        op_reply_error(op, r);
        return;
    }
    dir_keep(dir, handles_record(&op->fs->dirs, op->fi.fh));
    if (fuse_reply_open(op->req, &op->fi) < 0) {
        (void)handles_remove(&op->fs->dirs, op->fi.fh);
        dir_put(dir);
    }
    op_end(op);
}

static void first_page_came(struct op *op) {
    struct dir *dir = take_ptr(op->dir);
    int r = op->result < 0 ? op->result : dir_result(dir, 0);
    if (r == 0) {
        open_dir(op, dir);
        return;
    }
    dir_put(dir);
    op_reply_error(op, r);
}

// The first page is fetched here, so that a refusal is the answer to opendir(3), where programs expect it.
void ops_opendir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi) {
    struct op *op = op_for(req, id);
    if (!op)
        return;
    op->fi = *fi;
    // The kernel keeps the listing and drops it when the directory's times change.
    bool kept = op->fs->copies.trust != TRUST_STRICT;
    op->fi.cache_readdir = op->fi.keep_cache = kept;
    int r = dir_new(op->fs, &op->fh, &op->cred, &op->dir);
    if (r < 0)
        op_reply_error(op, r);
    else if (kept)
        open_dir(op, take_ptr(op->dir));
    else if (dir_want(op->dir, op, 0, true, first_page_came))
        op_resume(op, 0);
}

void ops_releasedir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi) {
    (void)id;
    struct fs *fs = fuse_req_userdata(req);
    struct dir *dir = handles_remove(&fs->dirs, fi->fh);
    (void)fuse_reply_err(req, 0);
    if (dir)
        dir_put(dir);
}

// ---- filling a reply

static size_t add(struct op *op, bool plus, const char *name, const struct fuse_entry_param *entry, uint64_t position) {
    char *at = (char *)op->buf + op->done;
    size_t room = op->size - op->done;
    size_t used = plus ? fuse_add_direntry_plus(op->req, at, room, name, entry, (off_t)position)
                       : fuse_add_direntry(op->req, at, room, name, &entry->attr, (off_t)position);
    return used <= room ? used : 0;
}

static bool add_dot(struct op *op, bool plus, uint64_t position) {
    struct fuse_entry_param entry = {.attr.st_mode = S_IFDIR, .attr.st_ino = UNKNOWN_INO};
    uint64_t fileid = dir_fileid(op->dir);
    if (position == 1 && fileid)
        entry.attr.st_ino = fileid;
    size_t used = add(op, plus, position == 1 ? "." : "..", &entry, position);
    op->done += used;
    return used > 0;
}

static bool with_attr(struct op *op, const struct nfs_dirent *entry, uint64_t index, struct fuse_entry_param *ret) {
    struct fs *fs = op->fs;
    uint64_t moment;
    return entry->has_attr && entry->has_fh && dir_is_current(op->dir, index, &moment, &op->moment) &&
           !nodes_changed_since(fs->nodes, &entry->fh, moment) && op_fill_entry(op, &entry->fh, &entry->attr, ret) == 0;
}

static bool add_entry(struct op *op, bool plus, const struct nfs_dirent *entry, uint64_t index) {
    struct fuse_entry_param param;
    bool looked_up = plus && with_attr(op, entry, index, &param);
    if (!looked_up)
        param = (struct fuse_entry_param){.attr.st_ino = entry->fileid, .attr.st_mode = entry->attr.mode};
    size_t used = add(op, plus, entry->name, &param, index + DOTS + 1);
    if (!used && looked_up)
        nodes_forget(op->fs->nodes, param.ino, 1);
    op->done += used;
    return used > 0;
}

static void fill(struct op *op) {
    bool plus = op->flags, room = true;
    uint64_t position = op->offset, cookie = 0, index;
    struct nfs_dirent entry;
    while (room && position < DOTS)
        room = add_dot(op, plus, ++position);
    for (index = position - DOTS; position >= DOTS && dir_entry(op->dir, index, &entry); index++) {
        if (!silly_hides(op->fs, dir_handle(op->dir), entry.name, dir_silly_gone(op->dir)))
            room = room && add_entry(op, plus, &entry, index);
        if (!room)
            break;
        cookie = entry.cookie;
    }
    dir_told(op->dir, index, cookie);
}

static void page_there(struct op *op) {
    struct dir *dir = op->dir;
    uint64_t index = op->offset > DOTS ? op->offset - DOTS : 0;
    int r = op->result < 0 ? op->result : dir_result(dir, index);
    if (r == 0) {
        op->buf = bufs_get(&op->fs->bufs);
        r = op->buf ? 0 : -ENOMEM;
    }
    op->dir = NULL;
    if (r < 0) {
        op_reply_error(op, r);
        return;
    }
    op->dir = dir;
    fill(op);
    op->dir = NULL;
    if (op->offset >= DOTS)
        dir_given(dir, index); // what was given out before this request
    op_reply_data(op, op->buf, op->done);
}

static void read_dir(fuse_req_t req, size_t size, off_t offset, const struct fuse_file_info *fi, bool plus) {
    struct op *op = op_new(fuse_req_userdata(req), req);
    if (!op)
        return;
    op->dir = handles_get(&op->fs->dirs, fi->fh);
    if (!op->dir) {
        op_reply_error(op, -EBADF);
        return;
    }
    op->size = size < REPLY_MAX ? size : REPLY_MAX;
    op->offset = (uint64_t)offset;
    op->flags = plus;
    if (offset == 0 && dir_started(op->dir))
        dir_rewind(op->dir);
    watch_work(op->fs);
    if (dir_want(op->dir, op, op->offset > DOTS ? op->offset - DOTS : 0, plus, page_there))
        op_resume(op, 0);
}

void ops_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *fi) {
    (void)id;
    read_dir(req, size, offset, fi, false);
}

void ops_readdirplus(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *fi) {
    (void)id;
    read_dir(req, size, offset, fi, true);
}

static void dir_synced(struct op *op) {
    op_reply_error(op, op->result);
}

// NFS changes names on stable storage before it answers (RFC 1813 section 4.8); a mounted file system has to be asked.
void ops_fsyncdir(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi) {
    struct fs *fs = fuse_req_userdata(req);
    (void)datasync;
    (void)fi;
    if (nfs_share_info(fs->share)->version != 0) {
        (void)fuse_reply_err(req, 0);
        return;
    }
    struct op *op = op_for(req, id);
    if (!op)
        return;
    op_prepare(op, NFS_COMMIT, &op->fh);
    op_call(op, dir_synced);
}
