// SPDX-License-Identifier: Apache-2.0
// Leases on a share, so that two controllers at once do no harm: `.stowage/locks/<name>`.
//
//     take     exclusive CREATE; -EAGAIN when the file is there and younger than the lease
//     renew    SETATTR mtime to the server's time, by handle: -ESTALE when somebody broke the lock
//     break    a file older than LOCK_LEASE_S, by the server's clock (a file made just now in tmp/ tells it), is
//              renamed to tmp/, and the lock is taken again
//     release  REMOVE, sent once, only while the lease surely runs; otherwise the file is left to be broken. When the
//              reply is lost, what is there now is removed only if it is this very file
//
// Why:     one round trip to take, one to release; nobody's clock but the server's decides.
// Owns:    a lock belongs to the thread or job that took it; it holds a reference to its share.
#pragma once

#include "controller/share.h"

#define LOCK_LEASE_S 30
#define LOCK_WAIT_S 3 // calls hold a lock for milliseconds: who waits longer waits for a dead one

struct lock;
// `name`: a component of at most 100 bytes; records use "v-<key>", "s-<key>", "g-<key>", copies "copy-…".
int lock_take(struct share *share, const char *name, int64_t deadline_ns, struct lock **ret,
              struct err *err) must_check;
// Like lock_take, but gives a holder that is at work a while to finish: half of the time left, at most LOCK_WAIT_S.
int lock_wait(struct share *share, const char *name, int64_t deadline_ns, struct lock **ret,
              struct err *err) must_check;
// Long jobs call it at least every 10 s. -ESTALE: lost; stop without touching anything more.
int lock_renew(struct lock *lock, int64_t deadline_ns, struct err *err) must_check;
// False once the lease may have run out by the local monotonic clock: no change may be made any more.
bool lock_held(const struct lock *lock);
// Removes a lock file that was found to be stale, if it still is this one; -EAGAIN when another has its name now.
int lock_break(struct share *share, const char *name, uint64_t stale_fileid, int64_t deadline_ns,
               struct err *err) must_check;
struct lock *lock_free(struct lock *lock); // releases; accepts NULL; at most 2 s
DEFINE_CLEANUP(lock)
