// SPDX-License-Identifier: Apache-2.0
// A directory as one open handle sees it: pages of the server's listing, fetched ahead of the reader.
//
// Why:     FUSE asks for a few kilobytes at a time; the server gives a megabyte. Positions are indexes into what this
//          handle has seen, so seekdir and telldir are exact however the server numbers its entries.
// Owns:    its pages until dir_free. A page whose entries were all given out shrinks to numbers and names.
// Threads: any; one lock inside, a leaf. `step` of a waiting op runs on the thread of the NFS connection.
// Fails:   the error of a page is given to whoever asks for an entry of it or behind it.
#pragma once

#include "node-plugin/cachefs/fs.h"

#define DIR_AHEAD 2 // pages fetched beyond the one that is read

struct dir;
int dir_new(struct fs *fs, const struct nfs_fh *fh, const struct nfs_cred *cred, struct dir **ret) must_check;
void dir_put(struct dir *dir); // the handle is closed; what is in flight ends first

// The handle's record in shared memory: written before each reply, so that a later daemon can go on with the listing.
void dir_keep(struct dir *dir, struct dir_record *record);
// A handle that a former daemon had given out: goes on where its record says.
void dir_resume(struct dir *dir, struct dir_record *record);
// A reply ends before entry `index`; `cookie` is the server's, of the entry before it (0: not known).
void dir_told(struct dir *dir, uint64_t index, uint64_t cookie);

// Starts over: what was seen so far is forgotten (rewinddir).
void dir_rewind(struct dir *dir);
// True: entry `index` is there, or the end is known, or an error was met (dir_result). Otherwise `op` waits and is
// resumed when that is so.
bool dir_want(struct dir *dir, struct op *op, uint64_t index, bool plus, void (*step)(struct op *op));
bool dir_leave(struct op *op);
int dir_result(struct dir *dir, uint64_t index); // 0, or why there is no entry `index`

// Copies entry `index`; false at the end of what is there. Its name is valid until dir_given or dir_rewind.
bool dir_entry(struct dir *dir, uint64_t index, struct nfs_dirent *ret);
// Entries below `index` were given out: their pages need no attributes any more.
void dir_given(struct dir *dir, uint64_t index);
const struct nfs_fh *dir_handle(const struct dir *dir);
uint64_t dir_silly_gone(struct dir *dir);   // fs->silly_gone when the listing began
uint64_t dir_fileid(const struct dir *dir); // of the directory itself; 0 when the server did not say
// May the attributes of entry `index` still be shown? Not a second later, nor after a change made here.
bool dir_is_current(struct dir *dir, uint64_t index, uint64_t *ret_moment, uint64_t *ret_write_moment);
bool dir_started(struct dir *dir); // was it read before, so that position 0 means to start over?
