// SPDX-License-Identifier: Apache-2.0
// Removes a directory tree by handles, many calls in flight, like `rm -rf` without ever following a link.
//
// Why:     one REMOVE at a time costs a round trip a file; a volume may hold millions.
// Memory:  that of tree_walk.h and `calls` calls; it grows with the depth of a tree, not with its entries.
// Threads: runs on the caller's; `progress` may be read from any.
// Fails:   -ECANCELED when stopped; -EACCES, -EPERM, -EBUSY… of the first entry that stays, with its path, after
//          everything else was removed. Run again, it goes on with what is left; what is gone already is success.
#pragma once

#include <stdatomic.h>

#include "controller/tree_loop.h"

struct tree_remove_progress {
    atomic_uint_least64_t removed, failed; // entries of any type
};

struct tree_remove_options {
    unsigned calls; // in flight at once; 0: 32
    struct tree_cancel cancel;
};

// `name` in the directory `parent`; not there is 0. A directory that denies us entry is opened with SETATTR when the
// server lets us. `options` and `progress` may be NULL.
int tree_remove(struct nfs_share *share, const struct nfs_fh *parent, const char *name,
                const struct tree_remove_options *options, struct tree_remove_progress *progress,
                struct err *err) must_check;
