// SPDX-License-Identifier: Apache-2.0
// What outlives the daemon of a mount: the memory files that the keeper holds, and the layout of what is in them.
//
// Why:     a daemon that crashed or is upgraded is followed by another, which must know all that the kernel and the
//          programs were told: open handles, written data that is not yet on stable storage, names under which unlinked
//          files live on, calls that were under way. It is written down before the reply that makes it known.
// Owns:    the mapping of the tables. The descriptors are the keeper's and the daemon's.
// Threads: any; each table has its lock (slots.h).
// Fails:   -EPROTO when the memory was laid out by a version that this one does not understand.
//
// No pointers in here, and nothing that means something to one process only. Whoever changes a record raises
// STATE_LAYOUT; sizes are part of the version by themselves (state_version).
#pragma once

#include <stdatomic.h>

#include "lib/base/err.h"
#include "lib/nfs/nfs.h"
#include "node-plugin/cachefs/slots.h"

#define STATE_LAYOUT 2
#define STATE_INIT_MAX 512 // bytes of an INIT request
#define STATE_PORTS 16     // most connections to the server

enum state_fd { STATE_FUSE, STATE_TABLES, STATE_NODES, STATE_SPOOL, STATE_FD_COUNT };
enum state_region { STATE_HEAD, STATE_FILES, STATE_DIRS, STATE_CALLS, STATE_SILLY, STATE_PIECES, STATE_REGION_COUNT };

struct state_head {
    char version[64];
    atomic_uint ready;              // the mount was reported as ready: from here on a daemon is followed by another
    atomic_uint init_size;          // of `init`, the kernel's INIT request
    uint32_t max_read, max_write;   // bytes, as agreed with the kernel
    uint32_t restarts, handovers;   // of daemons, so far
    int64_t ended_ns;               // CLOCK_MONOTONIC, when the last daemon ended or stopped reading
    int64_t stall_max_ns;           // longest time without a daemon that reads requests
    atomic_uint ports[STATE_PORTS]; // where the connections to the server come from
    uint8_t init[STATE_INIT_MAX];
};

struct file_record { // an open file
    struct slot slot;
    uint64_t node;
    uint64_t unique; // of the request that opened it
    struct nfs_cred cred;
    int32_t flags, mode; // mode: enum open_mode
    uint32_t created;    // the request that opened it also looked the node up
    uint32_t error_seen; // when it was opened: an error met later may be told once more by a later daemon
};

struct dir_place { // where a listing goes on
    uint64_t index, cookie;
    uint8_t verifier[8];
};
struct dir_record { // an open directory
    struct slot slot;
    uint64_t node;
    uint64_t unique;
    struct nfs_cred cred;
    atomic_uint latest;        // which of the places was written last
    struct dir_place place[2]; // of the last two replies: the latest may not have reached the reader
};

struct call_record { // a request that changes something other than data, once a call for it is on its way
    struct slot slot;
    uint64_t unique;
    uint32_t life;             // number of the daemon that worked on it last
    atomic_uint submitted;     // bits of enum nfs_op; taken back when the server refused
    atomic_uint latest;        // which operation `sent` belongs to
    atomic_uint_fast64_t sent; // nfs_call.sent
};

struct silly_record { // an unlinked open file
    struct slot slot;
    uint64_t node;
    struct nfs_fh fh, dir;
    struct nfs_cred cred;
    char name[40];
    atomic_uint kept; // the server said so; before that it may or may not be
};

struct piece_record { // written data that was acknowledged and is not known to be on stable storage
    struct slot slot;
    uint64_t node;
    struct nfs_fh fh;
    struct nfs_cred cred;
    uint64_t seq; // order within the file
    uint64_t offset;
    atomic_uint_fast64_t block; // granule << 32 | number of granules, in the spool
    uint32_t start;             // of the data, in the block
    atomic_uint len;
    uint32_t stable;
    atomic_uint_fast64_t sent; // nfs_call.sent of its WRITE; 0: not sent yet
    atomic_uint kept;          // the server has it, not on stable storage, and gave `verifier`
    uint8_t verifier[8];
};

struct state {
    int fds[STATE_FD_COUNT];
    struct state_head *head;
    bool resumed; // by a daemon before this one
    bool own_fds;
};

// The version of the layout, as text: `stowage-cachefs --state-version` prints it, so that a keeper can ask a program
// before it hands over to it.
void state_version(char ret[static 64]);
// Maps the tables of `fds` (made by the keeper, empty at first); with `fds` NULL: memory files of its own.
int state_open(const int *fds, bool resume, struct state **ret, struct err *err) must_check;
struct state *state_free(struct state *state);
DEFINE_CLEANUP(state)

void *state_region(const struct state *state, enum state_region region, size_t *ret_bytes, size_t *ret_record);
