// SPDX-License-Identifier: Apache-2.0
// A pool: a directory of this node in which local volumes live, with their records beside them.
//
//     <directory>/.stowage/lock             held by the node plugin that serves the pool
//     <directory>/.stowage/records/<key>.json
//     <directory>/.stowage/data/<key>       the image of a volume or snapshot; ".<key>.new": one that is being made
//     <directory>/.stowage/retained/        what volumes with onDelete: retain left
//
// Order:   data before its record when something is made, the record before its data when it is removed: so data without
//          a record was never promised to anybody and is removed at the start, unless a record that cannot be read bears
//          its name.
// Threads: any; one call an object at a time.
// Fails:   -ENODEV: the pool's directory is missing or cannot be used (told by `broken`, again at each use).
#pragma once

#include <pthread.h>

#include "node-plugin/local/allocation.h"

struct local_pool {
    const struct allocation *allocation;
    char *name, *directory;
    char *data, *retained; // paths
    char *pattern;         // of whole disks (glob(7)); NULL otherwise
    bool wipe;             // whole disks that hold something and that nobody uses may be erased and taken
    int records_fd, data_fd, lock_fd;
    bool reflink;          // can its file system share blocks between files?
    const char *fs_type;   // of pools whose volumes are directories: "ext4" or "xfs"
    pthread_mutex_t *lock; // of steps that choose something of the pool: a project, a disk
    struct err broken;     // code 0: in order
};

// "NAME=KIND:/DIRECTORY", or "NAME=device[+wipe]:/PATTERN", as --pool has it: -EINVAL with the remedy. Nothing is looked at.
// `state_dir`: below it whole disks have their records.
int local_pool_parse(const char *text, const char *state_dir, struct local_pool **ret, struct err *err) must_check;
int local_pool_check(const char *text, struct err *err); // for the flag's table
struct local_pool *local_pool_free(struct local_pool *pool);
DEFINE_CLEANUP(local_pool)

// Makes its folders, takes its lock, hands every readable record to `take`, removes what was never promised. A pool that
// cannot be opened is `broken`, and logged.
void local_pool_open(struct local_pool *pool, int (*take)(const struct local_record *record, void *arg), void *arg);
int local_pool_ready(const struct local_pool *pool, struct err *err) must_check; // 0, or -ENODEV with what is wrong

int local_pool_save(const struct local_pool *pool, const struct local_record *record, struct err *err) must_check;
// Is there a record, readable or not?
bool local_pool_has_record(const struct local_pool *pool, const char *id);
int local_pool_forget(const struct local_pool *pool, const char *id, struct err *err) must_check;

// Calls `fn` for every name in a folder; stops at the first failure.
int local_pool_each(int folder, int (*fn)(struct local_pool *pool, const char *name, void *arg),
                    struct local_pool *pool, void *arg) must_check;

// Moves the data of a volume to `retained`, where nothing is yet: one of the same name may be there from before. None: 0.
int local_pool_retain(const struct local_pool *pool, const char *id, struct err *err) must_check;

struct local_space { // of the pool's file system, in bytes
    int64_t total, available;
};
int local_pool_space(const struct local_pool *pool, struct local_space *ret, struct err *err) must_check;

// The part of an id between its kind and its pool: names of files. False: no such id.
bool local_key(const char *id, char ret[static HASH_ID_LEN + 1]);
const char *local_pool_of(const char *id); // NULL: no such id
