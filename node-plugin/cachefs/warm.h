// SPDX-License-Identifier: Apache-2.0
// Work on the cached copies of a file or of a whole tree, in the background: fetch, pin, give up.
//
// Why:     data that is there before a job starts is read at the disk's speed from the first epoch; and who starts that must be
//          able to watch it, to stop it, and to start it again where it stopped.
// Owns:    a record of each work, also for a while after its end; threads, WARM_THREADS at most, from the first work on.
// Threads: any. The work itself is one thread, which waits for nothing but its bell; readers go before it (fetch.h).
// Fails:   files that cannot be fetched are counted, with the last reason; only what would stop every file ends the work
//          (no room in the cache, a directory to start from that is not there).
// Order:   its lock is a leaf.
//
//     warm_start ──► RUNNING ──► DONE | CANCELLED | FAILED ──► forgotten, when WARM_KEPT others came later, or it is started again
#pragma once

#include "node-plugin/cachefs/fs.h"

#define WARM_THREADS 4u
#define WARM_KEPT 64u

enum warm_kind { WARM_FETCH, WARM_PIN, WARM_UNPIN, WARM_EVICT };
enum warm_state { WARM_RUNNING, WARM_DONE, WARM_CANCELLED, WARM_FAILED };

struct warm_figures {
    enum warm_state state;
    uint64_t started;                // numbers those of the mount in their order
    bool counted;                    // `files` and `bytes` are all there are
    uint64_t files, bytes;           // found so far
    uint64_t files_done, bytes_done; // fetched, or there already; pinned; given up
    uint64_t skipped;                // changing or in use; nothing is cached of it, for pins
    uint64_t errors;
    char error[192]; // the last one, or why it failed
};

struct warm_request {
    enum warm_kind kind;
    struct nfs_fh fh;
    struct nfs_attr attr; // of the file or directory
    struct nfs_cred cred; // on whose behalf the origin is asked
    struct op *waiter;    // resumed at the end with 0 or -errno; NULL: nobody waits
};

int warmer_new(struct fs *fs, struct err *err) must_check; // sets fs->warmer
// Ends all work; no more is taken. To be called before the share is closed.
void warmer_stop(struct warmer *warmer);
struct warmer *warmer_free(struct warmer *warmer);

// Started, or going on already. -EAGAIN: too much is being done, -ECANCELED: the mount is ending.
int warm_start(struct fs *fs, const struct warm_request *request) must_check;
// Starts with paths below the root of the volume, separated by commas, as the daemon's own user.
int warm_start_paths(struct fs *fs, const char *paths, struct err *err) must_check;
// By root, by who started it, or by the owner. -EPERM; -ENODATA: nothing is known of one.
int warm_cancel(struct fs *fs, enum warm_kind kind, const struct nfs_fh *fh, uint32_t uid);
// What was started last on exactly this file or directory. False: nothing that is remembered.
bool warm_find(struct fs *fs, enum warm_kind kind, const struct nfs_fh *fh, struct warm_figures *ret) must_check;
unsigned warm_running(struct fs *fs);
bool warm_leave(struct op *op); // the waiter was interrupted; false: it waits for none of this
