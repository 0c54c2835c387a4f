// SPDX-License-Identifier: Apache-2.0
// Volumes of the class "shared" at the controller: directories on shares, remembered by records.
//
//     create   check all; MKDIR the directory; exclusive creation of the record           (volume_create.c)
//              from a source: record "copying", copy in the background, RENAME into place  (volume_copy.c)
//     destroy  under the record's lock: RENAME the directory to trash/ or archived-…, remove the record
//     others   read, change and replace the record under its lock
//
// Why:     each step is one atomic call at the server, in an order that the next call can pick up after any crash.
//          A crash in create leaves at most a directory, which the next create of that volume uses; a crash in destroy
//          leaves at most a record without its directory, which the next destroy removes.
// Owns:    borrows the shares and the tree work, which must outlive it.
// Threads: any; the generic RPC path keeps two calls for one volume apart, the lock on the share other controllers.
#pragma once

#include "controller/copy.h"
#include "controller/share.h"
#include "csi/volume.h"

#define VOLUME_BYTES_DEFAULT (INT64_C(1) << 30) // when a request names no size: 1 GiB
#define VOLUME_BYTES_MIN (INT64_C(1) << 20)     // smaller requests get this; a limit below it is refused

struct volume_node { // --node NAME=MAX
    char *name;
    int64_t max_volumes; // 0: no limit
};

struct volumes_options {
    struct shares *shares;
    struct tree_work work;
    const struct clock *clock;       // NULL: clock_system
    const struct volume_node *nodes; // borrowed; none: any node is taken, with `max_volumes_per_node`
    size_t node_count;
    int64_t max_volumes_per_node; // 0: no limit
    int default_on_delete;        // enum on_delete
    uint32_t default_permissions; // 0: none
};

struct volumes;
int volumes_new(const struct volumes_options *options, struct volumes **ret, struct err *err) must_check;
struct volumes *volumes_free(struct volumes *volumes);
DEFINE_CLEANUP(volumes)

extern const struct volume_ops volume_ops;            // `self` is a struct volumes
extern const char *const volume_mutable_parameters[]; // NULL-terminated

// Starts the copies of volumes again that a former controller left unfinished. It lists the share's volumes: minutes on
// a slow share, so it runs on a thread of its own.
int volumes_resume(struct volumes *volumes, struct share *share, int64_t deadline_ns, struct err *err) must_check;
