// SPDX-License-Identifier: Apache-2.0
// One file of a warm-up: looked at, fetched whole, a window at a time.
//
// Why:     what is complete costs no request; what is fetched goes the way of reads (fetch.h), so that a reader who comes
//          meanwhile waits for the same data, and before everything else.
// Threads: one; answers ring the bell.
#pragma once

#include "node-plugin/cachefs/fs.h"
#include "node-plugin/cachefs/walk.h"

#define WARM_WINDOW (UINT64_C(4) << 20) // bytes of one file on their way: they hold memory of the node

enum warm_file_state {
    WARM_FILE_FREE,
    WARM_FILE_ASKING,   // for its attributes
    WARM_FILE_FETCHING, // waits for the data at `at`
    WARM_FILE_PAUSED,   // no memory now; stepped again a moment later
    WARM_FILE_ENDED,
};

struct warm_file { // zero with fs, bell and cred set: free
    struct fs *fs;
    struct bell *bell;
    const struct nfs_cred *cred;
    enum warm_file_state state;
    struct nfs_fh fh;
    struct nfs_attr attr;
    uint64_t id; // a lookup of the node is held; 0: none
    struct inode *inode;
    struct cached *object;
    uint64_t at; // what lies before is in the cache
    unsigned tries, versions;
    bool answered, came; // under the bell's lock
    struct nfs_call call;
    struct fetch_wait wait;
    int result;
    char name[64]; // its beginning, for an error's text
};

// Each may end it at once (WARM_FILE_ENDED). `result` is then 0: all of it is in the cache, -EAGAIN: it is changing or in
// use as another version, -ENOSPC: the cache has no room, or what the origin or the disk answered.
void warm_file_start(struct warm_file *file, const struct walk_file *found);
void warm_file_step(struct warm_file *file); // after the bell
void warm_file_stop(struct warm_file *file); // ends what is on its way; free afterwards
