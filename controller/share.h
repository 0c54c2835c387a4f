// SPDX-License-Identifier: Apache-2.0
// One NFS share as the controller sees it: a connection, and the handles of the directories below `.stowage/`.
//
//     .stowage/format         {"version":1}; a newer version is refused
//     .stowage/volumes        <key>.json, one record a volume        (record.h, store.h)
//     .stowage/snapshots      <key>.json        .stowage/groups      <key>.json
//     .stowage/snapshot-data  <key>/, the tree of a snapshot
//     .stowage/work           trees that are not whole yet (copy.h)
//     .stowage/trash          trees to be removed in the background
//     .stowage/tmp            records on their way to their name
//     .stowage/locks          leases (lock.h)
//     .stowage/shared         marks of directories that more than one volume may use (volume_dir.h)
//
// Why:     everything works by handle: a rename or a symlink put in the way cannot lead elsewhere.
// Owns:    a `struct share` is reference-counted; it closes its connection when the last reference goes.
// Threads: any; a share's members do not change once it is open (its store has its own lock).
// Fails:   messages name server and share. A server that does not answer is -EHOSTUNREACH within the deadline.
// Order:   the registry's lock is never held around an NFS call.
#pragma once

#include <stdatomic.h>

#include "csi/shared_volume.h"
#include "csi/volume.h"
#include "lib/base/clock.h"
#include "lib/nfs/nfs.h"

#define SHARE_LAYOUT_NAME ".stowage"
#define SHARE_LAYOUT_VERSION 1

enum share_dir {
    SHARE_DIR_VOLUMES,
    SHARE_DIR_SNAPSHOTS,
    SHARE_DIR_GROUPS,
    SHARE_DIR_SNAPSHOT_DATA,
    SHARE_DIR_WORK,
    SHARE_DIR_TRASH,
    SHARE_DIR_TMP,
    SHARE_DIR_LOCKS,
    SHARE_DIR_SHARED,
    SHARE_DIR_COUNT
};

struct store; // store.h: the records' cache of one share

struct share {
    struct share_location location;
    char text[CSI_ID_MAX + 1]; // the location as in ids: "10.0.0.5/exports/data"
    struct nfs_share *nfs;
    const struct clock *clock;
    struct nfs_fh root, layout; // the export, and .stowage
    struct nfs_fh dirs[SHARE_DIR_COUNT];
    struct store *store;
    atomic_uint references;
    atomic_bool stale; // a layout directory is gone: the registry opens the share anew
};

struct share *share_ref(struct share *share);
struct share *share_free(struct share *share); // drops one reference; accepts NULL; returns NULL
DEFINE_CLEANUP(share)

// Runs one call (nfs_run). A failure is put into `err` with the share's name and what was done:
// "cannot make directory 'x' on 10.0.0.5/data: Permission denied (...)" — `what` is "make directory 'x'".
// -ENOENT and -EEXIST pass without a message: the caller knows what they mean. ESTALE of a layout directory marks the
// share as stale (-ESTALE → try again with a share from shares_get).
int share_call(struct share *share, struct nfs_call *call, const char *what, struct err *err) must_check;

// The time by which NFS calls of an RPC must end, so that the answer still reaches the caller: a tenth of what is left,
// at most one second, is kept back.
int64_t share_deadline(const struct call_context *ctx);

// From the root down the components of a resolved subDir. -ENOENT, or -ENOTDIR when something on the way is no
// directory (symbolic links are not followed). `ret_attr` may be NULL.
int share_walk(struct share *share, const char *sub_dir, int64_t deadline_ns, struct nfs_fh *ret,
               struct nfs_attr *ret_attr, struct err *err) must_check;
// The handle of the directory that holds the last component of `sub_dir`, and that component (inside `sub_dir`).
int share_walk_parent(struct share *share, const char *sub_dir, int64_t deadline_ns, struct nfs_fh *ret,
                      const char **ret_name, struct err *err) must_check;

// The server's clock in seconds since 1970, from the attributes of a file made just now in tmp/.
int share_server_now(struct share *share, int64_t deadline_ns, int64_t *ret_s, struct err *err) must_check;

// ---- the registry -------------------------------------------------------------------------------------------

struct shares;
struct origins; // origins.h
struct shares_options {
    const struct clock *clock; // NULL: clock_system
    const char *state_dir;     // where shares.json remembers them; NULL: not remembered
    unsigned connections;      // of each share
    struct nfs_cred cred;
    // Opens a connection; NULL: nfs_share_open. Tests give the fake.
    int (*open)(void *arg, const struct nfs_options *options, struct nfs_share **ret, struct err *err);
    void *open_arg;
    struct origins *origins; // of locations that name one; NULL: none
    // Called once after a share was opened (again), before its first use: resumes background work. It must not wait.
    void (*opened)(void *arg, struct share *share);
    void *opened_arg;
};

int shares_new(const struct shares_options *options, struct shares **ret, struct err *err) must_check;
struct shares *shares_free(struct shares *shares);
DEFINE_CLEANUP(shares)

// Makes a share known without opening it (--share).
int shares_add(struct shares *shares, const struct share_location *location, struct err *err) must_check;
// The open share; opened now if it is not. `create`: an unknown share is remembered and its layout is made;
// otherwise a share without a layout is -ENOENT (there can be no object of ours on it).
// Two RPCs that open the same share at the same time open it once.
int shares_get(struct shares *shares, const struct share_location *location, bool create, int64_t deadline_ns,
               struct share **ret, struct err *err) must_check;
// The locations of all known shares, sorted by their text; to be released with shares_locations_done.
int shares_locations(struct shares *shares, struct share_location **ret, size_t *ret_count) must_check;
// How many records of a kind all open shares have in their caches; how many shares are open.
size_t shares_count_records(struct shares *shares, enum shared_kind kind);
size_t shares_count_open(struct shares *shares);
void shares_locations_done(struct share_location *locations, size_t count);
