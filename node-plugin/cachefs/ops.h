// SPDX-License-Identifier: Apache-2.0
// The FUSE operations, by file: what fs_operations (ops.c) names.
#pragma once

#include "node-plugin/cachefs/op.h"

// ops_attr.c
void ops_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void ops_setattr(fuse_req_t req, fuse_ino_t id, struct stat *st, int to_set, struct fuse_file_info *fi);
void ops_readlink(fuse_req_t req, fuse_ino_t id);
void ops_statfs(fuse_req_t req, fuse_ino_t id);
// ops_name.c
void ops_lookup(fuse_req_t req, fuse_ino_t dir, const char *name);
void ops_forget(fuse_req_t req, fuse_ino_t id, uint64_t count);
void ops_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void ops_mknod(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode, dev_t rdev);
void ops_mkdir(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode);
void ops_symlink(fuse_req_t req, const char *target, fuse_ino_t dir, const char *name);
void ops_link(fuse_req_t req, fuse_ino_t id, fuse_ino_t dir, const char *name);
// ops_remove.c
void ops_unlink(fuse_req_t req, fuse_ino_t dir, const char *name);
void ops_rmdir(fuse_req_t req, fuse_ino_t dir, const char *name);
void ops_rename(fuse_req_t req, fuse_ino_t dir, const char *name, fuse_ino_t dir2, const char *name2, unsigned flags);
// ops_open.c
void ops_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void ops_create(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode, struct fuse_file_info *fi);
void ops_release(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
// ops_io.c
void ops_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *fi);
void ops_write(fuse_req_t req, fuse_ino_t id, const char *data, size_t size, off_t offset, struct fuse_file_info *fi);
void ops_flush(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void ops_fsync(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi);
// ops_dir.c
void ops_opendir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void ops_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *fi);
void ops_readdirplus(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *fi);
void ops_releasedir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi);
void ops_fsyncdir(fuse_req_t req, fuse_ino_t id, int datasync, struct fuse_file_info *fi);
// ops_xattr.c: adds the operations that a cached mount has beside those of fs_operations
void ops_add_xattrs(struct fuse_lowlevel_ops *operations);

void op_read_origin(struct op *op); // waits for its turn, then reads op->offset and op->size from the origin

// silly.c: an open file that is unlinked or replaced lives on under a name of the daemon's own
void silly_keep_name(struct op *op, const struct nfs_fh *dir, const char *name, bool link, void (*step)(struct op *op));
void silly_remove(struct inode *inode); // after the last close
// Is `name` of a listing one of these? The server may have told it before it was noted, or after it was removed here:
// `gone` is fs->silly_gone when the listing began.
bool silly_hides(struct fs *fs, const struct nfs_fh *dir, const char *name, uint64_t gone);
void silly_empty_dir(struct op *op, const struct nfs_fh *dir, const struct nfs_fh *parent, void (*step)(struct op *op));

// Opens `op->inode` for a request and registers the handle in fi->fh; `mode` as copy_choose said. On failure nothing is open.
int file_open(struct op *op, const struct nfs_cred *cred, int mode, struct fuse_file_info *fi) must_check;
void file_close(struct fs *fs, struct fuse_file_info *fi);
// The buffer of the request that this thread is working on, if it may be kept (session.c).
void *session_take_buffer(void);
// The number of that request, with FUSE_ABI_UNIQUE_RESEND when a former daemon had it; 0: none.
uint64_t session_request_unique(void);
bool session_request_opens(void); // does it ask for a handle?
