// SPDX-License-Identifier: Apache-2.0
// The background work on trees that copy.h promises: copies of volumes and snapshots, removal of what is in trash/.
//
//     copy     under the lock "copy-<name>" of the target share, renewed while it runs: tree_copy into work/<name>, then
//              the order's `finish`. What fails for good (no space, no permission, source gone) goes to trash/; what
//              fails for now is tried again, and goes on from what is there.
//     removal  without a lock: two controllers that remove one tree do no harm (tree_remove.h)
//
// Owns:    its threads and jobs; every job holds a reference to its shares.
// Threads: any.
#pragma once

#include "controller/copy.h"

struct tree_worker;
struct tree_worker_options {
    unsigned remove_workers, copy_workers; // trees at once; 0: 4 and 2
    unsigned calls;                        // in flight of each tree; 0: 32
    size_t buffer_bytes;                   // of each copy; 0: 16 MiB
};

int tree_worker_new(const struct tree_worker_options *options, struct tree_worker **ret, struct err *err) must_check;
// Stops what runs within about two seconds, also with a frozen server; it goes on in the next process.
struct tree_worker *tree_worker_free(struct tree_worker *worker);
DEFINE_CLEANUP(tree_worker)
struct tree_work tree_worker_ops(struct tree_worker *worker);

// A share was opened: in the background, everything in its trash/ is queued for removal.
void tree_worker_share_opened(struct tree_worker *worker, struct share *share);

// Puts <dir>/<name> out of sight: renames it to a new name in trash/ and has it removed. Not there: 0.
int tree_work_discard(const struct tree_work *work, struct share *share, enum share_dir dir, const char *name,
                      int64_t deadline_ns, struct err *err) must_check;
