// SPDX-License-Identifier: Apache-2.0
// How a kind of pool sets space apart for its volumes and snapshots: one row of functions and one file a kind.
//
//     image   a file on a loop device      image.c
//     quota   a directory with a limit     quota.c
//     device  a whole disk                 device.c
//
// Why:     the rest of this folder knows volumes, records and mounts, and no kind by name.
// Threads: any; one call an id at a time.
// Fails:   -errno with a message that names the pool; -ENOSPC when it is full, -ETIMEDOUT at the deadline.
#pragma once

#include <stdatomic.h>

#include "node-plugin/local/record.h"

struct local_pool;

// What is mounted of a volume: its block device, or its directory.
#define ATTACHMENT_PATH_SIZE 4096
struct attachment {
    bool attached; // is there anything that could be mounted?
    bool lost;     // a disk that was there and is not any more: what is mounted of it is nobody's
    bool directory;
    char path[ATTACHMENT_PATH_SIZE];
    unsigned number;      // of a loop device
    uint64_t file_system; // of a directory: st_dev, and from where in `path` its name in that file system is told
    size_t tail;
};

struct data_request {
    const char *id;
    int64_t bytes, limit_bytes; // limit 0: none
    bool full;                  // with all of its space at once
    int64_t deadline_ns;        // absolute CLOCK_MONOTONIC
};

struct data_copy {
    const struct local_pool *pool;
    char from[CSI_ID_MAX + 1], to[CSI_ID_MAX + 1];
    int64_t limit_bytes;       // for allocations that choose the size; 0: none
    int64_t bytes;             // of the copy, at least those of the original; the rest reads as zeros
    int64_t deadline_ns;       // absolute CLOCK_MONOTONIC; DEADLINE_NONE for a copy in the background
    const atomic_bool *cancel; // ends it with -ECANCELED; may be NULL
};

struct allocation {
    const char *name; // as --pool and the parameter `allocation` have it
    bool directory;   // volumes are directories of the pool's file system: nothing is formatted, no block access
    bool whole_disks; // the pool is a pattern that disks match, and has a directory of the node for its records
    bool can_be_full; // serves provisioning: full
    bool
        slow_removal; // as slow as the volume has files: done while its record still stands, in as many calls as it takes

    // Can the pool be served? It has its folders and its lock. -ENODEV with the remedy.
    int (*open)(struct local_pool *pool, struct err *err);
    // At the start: what nobody uses is let go, what a killed process held still goes on.
    void (*recover)(struct local_pool *pool);
    // A name in the pool's data folder: takes away what is there.
    void (*sweep)(const struct local_pool *pool, const char *name);

    // Room for volumes, all and of the largest, where the file system of the pool's directory does not tell; may be NULL.
    int (*room)(const struct local_pool *pool, int64_t *ret_bytes, int64_t *ret_largest, struct err *err);

    bool (*exists)(const struct local_pool *pool, const char *id);
    int64_t (*allocated)(const struct local_pool *pool, const char *id); // bytes it has; 0 when unknown
    int64_t (*size)(const struct local_pool *pool, const char *id);      // NULL: as it was asked for
    // These leave the whole result or nothing that counts. Done already: 0.
    int (*create)(const struct local_pool *pool, const struct data_request *request, struct err *err);
    int (*copy)(const struct data_copy *copy, struct err *err);
    int (*grow)(const struct local_pool *pool, const char *id, int64_t bytes, bool full, struct err *err);
    int (*remove)(const struct local_pool *pool, const char *id, int64_t deadline_ns, struct err *err);
    int (*retain)(const struct local_pool *pool, const char *id, struct err *err);

    // At the node. Not attached: 0.
    int (*find)(const struct local_pool *pool, const char *id, struct attachment *ret, struct err *err);
    // *ret_fd (-1 or to be closed once it is mounted): with autoclear, what keeps the attachment until then.
    int (*attach)(const struct local_pool *pool, const struct local_record *record, bool autoclear,
                  struct attachment *ret, int *ret_fd, struct err *err);
    int (*detach)(const struct attachment *attachment, struct err *err);
    int (*resized)(const struct attachment *attachment, struct err *err); // takes the size that its data has now
};

// By the name's first `len` bytes. NULL: no such kind.
const struct allocation *allocation_named(const char *name, size_t len);
const char *allocation_names(void); // for messages: "image or quota"

// For the files of the kinds: a message that tells a full pool from other failures.
int allocation_complain(const struct local_pool *pool, int code, const char *verb, struct err *err);
