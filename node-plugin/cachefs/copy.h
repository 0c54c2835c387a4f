// SPDX-License-Identifier: Apache-2.0
// The cached copy of a file that is in use: which one, and how each open of the file may see it.
//
// Why:     the kernel reads a complete copy by itself (passthrough), but allows one way of reading an inode at a time: beside a
//          cached open no open can be passed through, beside a passed one none can be cached or name another copy (it
//          answers EIO; tests/integration/test_passthrough_modes.c). So the way is chosen here for each open, under one lock.
// Threads: any. fs->copy_lock guards `struct copy`; it may be held around lib/cache and the ioctls of passthrough.h.
//
// | open for | copy | others have it open | this open |
// |---|---|---|---|
// | reading | complete, of the version the origin shows | nobody, or passed | passed |
// | reading | complete or not | cached | cached |
// | reading | small, not complete | nobody | it is fetched first |
// | reading | another version | passed | the name is looked up anew and gives a new inode (-ESTALE); without a name: attended |
// | reading | on a disk that does not answer | passed | the same |
// | writing only | any | passed | attended: written to the origin, and to the copy that the others see |
// | reading and writing | any | passed | a new inode, as above: a shared mapping of it would change the copy alone |
// | writing | any | nobody, or cached | cached |
#pragma once

#include "node-plugin/cachefs/passthrough.h"

// How to answer an open of op->inode with these attributes. 0: as *ret_mode says, counted (copy_closed takes it back);
// -EAGAIN: op->object is to be fetched first, or when it is complete, read a little, unless that was `tried`; -ESTALE: not without another inode.
// Would this open be better off with another inode (the rows "new inode")? Then a lookup of the name gives one from now on.
bool copy_needs_other_inode(struct op *op, const struct nfs_attr *attr);
int copy_choose(struct op *op, const struct nfs_attr *attr, bool tried, enum open_mode *ret_mode, int32_t *ret_id);
// True: this was the last open of a file of which the larger part has been fetched. Nobody reads it here any more, so the kernel's
// pages would hide what is missing for good, and the copy would never be handed to the kernel. *ret_partial: its version.
bool copy_closed(struct inode *inode, enum open_mode mode, struct nfs_attr *ret_partial);
// May a file with these attributes have a copy? Not while it may still be growing (--cache-settle). On a mount without a cache: true.
bool copy_is_settled(const struct fs *fs, const struct nfs_attr *attr);
// The copy that a read of [offset, offset+size) may be served from, with a reference; NULL: the origin is to be asked.
struct cached *copy_for_read(struct inode *inode, uint64_t offset, size_t size);

// The file is being changed here: `data` is written at `offset`; NULL: it is cut.
void copy_changed(struct inode *inode, uint64_t offset, const void *data, size_t len);
// The origin showed these attributes: another version is not served any longer.
void copy_saw(struct fs *fs, uint64_t id, const struct nfs_attr *attr);
// What was fetched for `object` shows that the origin has another version.
void copy_outdated(struct inode *inode, struct cached *object);
bool copy_is_version(const struct cached *object, const struct nfs_attr *attr);
// For the successor of a daemon: an open that the former one answered, and once all are known, their copies.
void copy_restore(struct inode *inode, enum open_mode mode);
void copy_resume(struct fs *fs);
// Before the inode goes.
void copy_done(struct inode *inode);
// The copy of a file that nobody needs to have open, with a reference. -EAGAIN: the file is changing, or in use as another
// version; -ENOSPC and the like as cache_get says.
int copy_take(struct inode *inode, const struct nfs_attr *attr, struct cached **ret) must_check;
// The same without making one: -ENOENT.
int copy_peek(struct fs *fs, const struct nfs_fh *fh, const struct nfs_attr *attr, struct cached **ret) must_check;
// What is kept of a closed file, so that the next open finds it at once, goes. False: the file is open.
bool copy_close_idle(struct fs *fs, const struct nfs_fh *fh);
enum copy_use { COPY_CLOSED, COPY_BY_DAEMON, COPY_BY_KERNEL };
enum copy_use copy_use(struct fs *fs, const struct nfs_fh *fh); // who reads the file for those who have it open
// Can the kernel read files of the cache? Tried with a file of its own; the reason when not.
int copy_probe(struct fs *fs, int fd, struct err *err) must_check;

// copy_read.c: op->object holds the copy; answers the read.
void copy_read(struct op *op);
// Fetches all of op->object, then goes on with `step`; op->result 0 also when it could not be stored.
void copy_fill(struct op *op, void (*step)(struct op *op));
