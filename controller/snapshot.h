// SPDX-License-Identifier: Apache-2.0
// Snapshots of volumes of the class "shared": whole copies of their directories on the same share.
//
//     create   record "copying" ──tree_copy──▶ work/s-<key> ──RENAME──▶ snapshot-data/<key> ──▶ record "ready"
//     destroy  under the record's lock: RENAME snapshot-data/<key> to trash/, remove the record
//     groups   a record that names its member snapshots, then the members, one of each volume
//
// Why:     NFS has no snapshots; a copy that is put in place by one rename is never seen half, also after a crash.
// Owns:    borrows the shares and the tree work, which must outlive it.
// Threads: any; the generic RPC path keeps two calls for one snapshot apart, the lock on the share other controllers.
// Limits:  files are copied one after another while the volume may be in use: each file is as it was at some moment of
//          the copy (tree_copy.h). The members of a group are of different moments, too.
//          size_bytes: bytes of all files, holes too, but at most the volume's capacity: what a restored volume needs.
//          A size of 0: not known yet.
#pragma once

#include "controller/copy.h"
#include "controller/share.h"
#include "csi/volume.h"

struct snapshots_options {
    struct shares *shares;
    struct tree_work work;
    const struct clock *clock; // NULL: clock_system
    unsigned wait_ms;          // how long create waits for a copy before it answers "not ready"; 0: 5000
};

struct snapshots;
int snapshots_new(const struct snapshots_options *options, struct snapshots **ret, struct err *err) must_check;
struct snapshots *snapshots_free(struct snapshots *snapshots);
DEFINE_CLEANUP(snapshots)

extern const struct snapshot_ops snapshot_ops; // `self` is a struct snapshots

// Starts the copies again that a former controller left unfinished; like volumes_resume.
int snapshots_resume(struct snapshots *snapshots, struct share *share, int64_t deadline_ns, struct err *err) must_check;
