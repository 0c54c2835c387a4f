// SPDX-License-Identifier: Apache-2.0
// What volumes ask of the background work on trees: copies and removals. Implemented by tree_work.c; tests have a fake.
//
// Why:     CreateVolume from a source may take hours; it answers ABORTED "copying: 43 %" while the copy goes on, and
//          the next call, or the next controller, finds it running or whole.
// Owns:    an order that was taken holds references to its shares until it ended; `release` is then called.
// Threads: any. `finish` and `release` run on a worker thread.
#pragma once

#include "controller/share.h"

struct copy_order {
    const char *name; // "v-<key>" or "s-<key>": the directory in work/, and with `target` the copy's identity
    struct share *source, *target;
    struct nfs_fh source_dir;
    // The tree work/<name> on `target` is whole and on stable storage: put it in its place and make its record ready.
    // Called again by the next attempt when it failed or the process died, so each step must bear repetition
    // (work/<name> may be in its place already).
    int (*finish)(void *arg, struct share *target, const char *name, struct err *err);
    void (*release)(void *arg); // may be NULL
    void *arg;
    uint64_t *ret_bytes; // bytes of the files of the whole tree, set before `finish`; may be NULL, else part of `arg`
};

struct copy_progress {
    uint64_t bytes_done, bytes_total; // total 0: not known yet
    uint64_t files_done;
    bool elsewhere; // another controller holds the copy's lock
};

struct tree_work_ops {
    // Starts in the background. 0 also when this copy runs already (the order is then released at once).
    // Holds the lock "copy-<name>" on `target` while it runs; on failure `release` was called as well.
    int (*copy_start)(void *self, const struct copy_order *order, struct err *err);
    // Waits for the end. 0: whole and finished. -EAGAIN: goes on; *ret tells how far. -ENOENT: no such copy here.
    // Anything else: how it failed (told once; the copy is then forgotten).
    int (*copy_wait)(void *self, struct share *target, const char *name, int64_t deadline_ns, struct copy_progress *ret,
                     struct err *err);
    // Ends a copy early and forgets it (its volume or snapshot is deleted). What is in work/<name> goes to trash/.
    // -EAGAIN: another controller is at it.
    int (*copy_cancel)(void *self, struct share *target, const char *name, int64_t deadline_ns, struct err *err);
    // trash/<name> appeared: remove it in the background, in parallel with others. Never fails: what is forgotten here
    // is found again when the share is opened next.
    void (*trash_added)(void *self, struct share *share, const char *name);
};
struct tree_work {
    const struct tree_work_ops *ops;
    void *self;
};
