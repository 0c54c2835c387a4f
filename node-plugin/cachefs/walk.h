// SPDX-License-Identifier: Apache-2.0
// All files below a directory of the share, page by page, depth first.
//
// Why:     what is done to a tree must not need a mount, nor memory for more than a page of it and the directories on the way.
// Owns:    the pages, and a stack of at most WALK_STACK_MAX directories. When that is full, the rest of a page is read once
//          more later.
// Threads: one; only the answers come on the threads of the NFS connections, where they ring the bell.
// Fails:   a directory that cannot be read is counted and left out. One that is gone is left out silently.
//          In a directory that changes while it is read, a file may come twice.
#pragma once

#include <pthread.h>

#include "lib/nfs/nfs.h"

#define WALK_STACK_MAX 16384u // directories; 2.5 MiB

// Wakes the one thread that waits for many things.
struct bell {
    pthread_mutex_t *lock; // outlives all who ring
    pthread_cond_t cond;
    bool rung;
};
void bell_ring(struct bell *bell, bool *flag); // sets the flag and rings, under the lock

struct walk;
struct walk_file { // a regular file; the name is valid until the next walk_next
    struct nfs_fh fh;
    struct nfs_attr attr;
    int64_t asked_ns; // when the server was asked for the attributes, CLOCK_MONOTONIC
    const char *name;
};
enum walk_result { WALK_FILE, WALK_WAIT, WALK_END }; // WALK_WAIT: the bell rings when it is time to ask again

// `cred` and `bell` must outlive the walk.
int walk_new(struct nfs_share *share, const struct nfs_cred *cred, struct bell *bell, const struct nfs_fh *dir,
             struct walk **ret) must_check;
struct walk *walk_free(struct walk *walk); // ends what is on its way
DEFINE_CLEANUP(walk)
enum walk_result walk_next(struct walk *walk, struct walk_file *ret) must_check;
// Directories left out so far, and why the last one was (-errno).
unsigned walk_failures(const struct walk *walk, int *ret_error);
