// SPDX-License-Identifier: Apache-2.0
// One work of warm.h, done: from a file or directory, or a path that is still to be looked up, to its end.
//
// Threads: warm_tree_run is one thread's; `figures`, `fh` and `cancel` are under the lock given to warm_tree_init.
#pragma once

#include "node-plugin/cachefs/walk.h"
#include "node-plugin/cachefs/warm.h"
#include "node-plugin/cachefs/warm_file.h"

#define WARM_FILES 8u // at a time

struct warm_tree {
    struct fs *fs;
    enum warm_kind kind;
    struct nfs_fh fh; // empty while the path is not looked up
    struct nfs_attr attr;
    struct nfs_cred cred;
    char *path; // allocated; NULL: fh is given
    struct bell bell;
    bool cancel;
    struct warm_figures figures; // as others see them
    enum warm_state ended;       // set by warm_tree_run

    // of the thread, while it runs
    struct warm_figures now;
    struct warm_file *files; // WARM_FILES of them
    struct walk *walk, *counting;
    bool walked, answered;
    unsigned patience;
    struct nfs_call call;
};

void warm_tree_init(struct warm_tree *tree, struct fs *fs, pthread_mutex_t *lock, enum warm_kind kind,
                    const struct nfs_cred *cred);
void warm_tree_done(struct warm_tree *tree);
void warm_tree_run(struct warm_tree *tree);    // sets `ended`; figures.state stays WARM_RUNNING
void warm_tree_cancel(struct warm_tree *tree); // with the lock held
