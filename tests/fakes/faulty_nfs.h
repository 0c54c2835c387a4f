// SPDX-License-Identifier: Apache-2.0
// A share that fails, dies or stalls on request, around any other share.
//
// Why:     a test fails the n-th call until none fires, kills at every change, or freezes the server at will.
// Owns:    the inner share: closed with the faulty one.
// Threads: any. Calls that are failed or held end on a thread of the decorator's own, never in nfs_submit.
#pragma once

#include <stdbool.h>

#include "lib/nfs/nfs.h"

enum faulty_select { // which calls are counted
    FAULTY_ANY,
    FAULTY_CHANGES, // nfs_op_changes()
    FAULTY_OP,      // the given operation
};

struct nfs_share *faulty_nfs_new(struct nfs_share *inner) must_check; // takes `inner`, also on failure (NULL)

// Fails the n-th selected call from now (1 = the next) with `error` (a negative errno), once; 0 turns it off.
void faulty_nfs_fail(struct nfs_share *share, enum faulty_select select, enum nfs_op op, long n, int error);
// Dies at the n-th changing call from now, as by kill -9: it and all later calls end with -ESHUTDOWN. The n-th itself
// is applied first when `applied`, else never sent. 0 turns it off, and a dead share lives again.
void faulty_nfs_die(struct nfs_share *share, long n, bool applied);
bool faulty_nfs_dead(struct nfs_share *share);
// Called in nfs_submit before each changing call; NULL: none.
void faulty_nfs_hook(struct nfs_share *share, void (*hook)(const struct nfs_call *call, void *arg), void *arg);
// How many selected calls were submitted since the share was made.
long faulty_nfs_count(struct nfs_share *share, enum faulty_select select, enum nfs_op op);
// While held, calls wait (until their deadline, a cancel or the release), as with a frozen server.
void faulty_nfs_hold(struct nfs_share *share, bool hold);
size_t faulty_nfs_held(struct nfs_share *share); // how many wait
