// SPDX-License-Identifier: Apache-2.0
// Files in use: open, with written data on the way, or unlinked while open.
//
// Order: fs->lock inside; not to be called with it held.
#pragma once

#include "node-plugin/cachefs/fs.h"

// The inode of a node, made when there is none; one more reference. NULL when out of memory.
struct inode *inode_get(struct fs *fs, uint64_t id, const struct nfs_fh *fh) must_check;
struct inode *inode_find(struct fs *fs, uint64_t id) must_check; // with a reference; NULL when not in use
void inode_hold(struct inode *inode);                            // one more reference
void inode_put(struct inode *inode);
// Puts some of what is kept of closed files when the cache wants room. False: nothing is kept.
bool inode_make_room(struct fs *fs);
void inode_forgotten(struct fs *fs, uint64_t id); // by the kernel: what is kept of a closed file goes
void inode_opened(struct inode *inode);
// The last close of an unlinked file: true; the caller removes its silly name. One that is being moved goes after that.
bool inode_closed(struct inode *inode) must_check;

// Makes attributes asked for at `moment` show what was written here since: true when they can be kept by the kernel.
bool inode_correct_attr(struct fs *fs, uint64_t id, uint64_t moment, struct nfs_attr *attr);

// Frees inodes that lingered long enough; true: some are left.
bool inode_drop_unused(struct fs *fs);
void inode_drop_all(struct fs *fs);

bool inode_any_open(struct fs *fs);
// An open inode with this handle, with a reference.
struct inode *inode_find_open(struct fs *fs, const struct nfs_fh *fh) must_check;
bool inode_is_silly_name(struct fs *fs, const struct nfs_fh *dir, const char *name);
// An unlinked open file whose name stands in `dir`, with a reference; its removal may be under way.
struct inode *inode_find_silly(struct fs *fs, const struct nfs_fh *dir) must_check;
