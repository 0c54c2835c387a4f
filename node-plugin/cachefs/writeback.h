// SPDX-License-Identifier: Apache-2.0
// Written data between write(2) and stable storage: many WRITEs in flight, none reordered, none lost.
//
// Why:     one write(2) at a time over NFS is one round trip each. Here a write is acknowledged once it is in a bounded
//          buffer, as the kernel's NFS client does; errors come out at the next write, fsync or close. Data stays here
//          until the server said it is on stable storage, so that a restarted server (its verifier changed) gets it
//          again.
//          What was acknowledged stands in memory that outlives the daemon (spool.h, a piece_record each), so that its
//          successor sends it again, in the same order; WRITEs may be repeated.
// Owns:    the written bytes, from wb_write until they are committed or refused by the server.
// Threads: any. `run` of a wait is called without any lock of this module, on any thread, also from within wb_*.
// Fails:   an error of the server is remembered per file (wb_error) and makes further writes wait for the server's
//          answer until one succeeds.
// Order:   the mount's lock is a leaf; nfs_submit is called without it.
//
//     wb_write ──► QUEUED ──pump──► SENT ──reply──► KEPT ──COMMIT, same verifier──► gone
//                    ▲                                │
//                    └────────────── other verifier ──┘          (a reply "committed" skips KEPT)
//
// A QUEUED piece is sent unless an older piece that overlaps it is still on its way. The youngest small piece is held
// back to grow, until something waits for it, it is large, or a tick has passed.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/nfs/nfs.h"
#include "node-plugin/cachefs/bufs.h"
#include "node-plugin/cachefs/slots.h"
#include "node-plugin/cachefs/spool.h"

struct wb_piece;

enum wb_wait_kind { WB_RANGE, WB_SYNC, WB_ROOM, WB_THROUGH };
struct wb_wait {
    void (*run)(struct wb_wait *wait, int result);
    // private
    struct wb_wait *prev, *next;
    enum wb_wait_kind kind;
    bool linked;
    uint64_t seq, offset, len;
    int result;
};

struct wb_list {
    struct wb_piece *head, *tail;
};

struct wb_mount {
    pthread_mutex_t lock;
    struct nfs_share *share;
    struct bufs *bufs;     // of requests, in the spool
    struct slots *records; // of pieces
    size_t budget, used;   // bytes; `used` counts buffers, not payload
    uint32_t write_max;    // bytes of one WRITE
    struct wb *files;      // that hold data
    struct wb_wait *room_head, *room_tail;
    uint64_t answers; // WRITEs answered so far
    bool stopping;
};

struct wb { // one file; embedded in its owner
    struct wb_mount *mount;
    struct nfs_fh fh;
    void (*hold)(struct wb *wb);    // holds data from now on: the owner must stay; under the lock; may be NULL
    void (*release)(struct wb *wb); // no data left; without lock; may be NULL
    void (*failed)(struct wb *wb);  // error and error_seq changed; under the lock; may be NULL
    uint64_t node;                  // for the records
    struct wb_list active, kept;
    size_t kept_bytes;
    unsigned in_flight;
    uint64_t next_seq;
    uint64_t end; // largest end of the writes since the file was last clean
    struct wb_wait *waits;
    uint64_t answered; // mount->answers when the last WRITE was answered
    bool committing, refused, aged, listed;
    struct nfs_call commit;
    struct nfs_cred commit_cred;
    int error;
    unsigned error_seq;
    struct wb *prev, *next;
};

struct wb_write {
    uint64_t offset;
    size_t len;
    const void *data;
    void *
        buf; // of mount->bufs that holds `data`, or NULL: data is copied. A wb_write that accepts takes it (NULL then).
    const struct nfs_cred *cred;
    bool through; // wait for the server's answer
    bool stable;  // and for stable storage
};

// `bufs` lie in an spool; `records` are of struct piece_record.
void wb_mount_init(struct wb_mount *mount, struct nfs_share *share, struct bufs *bufs, struct slots *records,
                   size_t budget);
void wb_mount_done(struct wb_mount *mount);
void wb_init(struct wb *wb, struct wb_mount *mount, const struct nfs_fh *fh);

// 1: accepted; 0: taken over, wait->run comes when the server answered (through); -EAGAIN: no room, nothing was taken,
// wait->run comes when it is worth trying again; -ENOMEM.
int wb_write(struct wb *wb, struct wb_write *write, struct wb_wait *wait) must_check;
// True: no write on its way touches the range (len 0: the whole file). False: wait->run comes when that is so.
bool wb_wait_range(struct wb *wb, struct wb_wait *wait, uint64_t offset, uint64_t len);
// True: all data is on stable storage. False: wait->run comes when it is, or was refused (see wb_error).
bool wb_sync(struct wb *wb, struct wb_wait *wait);
// Takes a wait back. True: its `run` will not come. What was written goes on all the same.
bool wb_unwait(struct wb *wb, struct wb_wait *wait);

// The error that was met since *seen, once per holder of `seen`; 0 when there is none.
int wb_error(struct wb *wb, unsigned *seen);
unsigned wb_error_now(struct wb *wb); // what `seen` starts with
bool wb_clean(struct wb *wb);         // nothing waits to be sent or committed
// May attributes that were asked for at `since` (wb_moment) not show all writes? Then *ret_end is the least size.
bool wb_busy(struct wb *wb, uint64_t since, uint64_t *ret_end);
uint64_t wb_moment(struct wb_mount *mount);
// The file now ends at `size`: data kept for sending again is cut there.
void wb_truncated(struct wb *wb, uint64_t size);

// What a former daemon left: its record becomes data of the file, to be sent once wb_kick is called. In any order.
// -EINVAL for a record that cannot be true.
int wb_restore(struct wb *wb, uint32_t record) must_check;
void wb_kick(struct wb_mount *mount);

// About once a second while wb_mount_used > 0: what is held back to grow is sent.
void wb_tick(struct wb_mount *mount);
size_t wb_mount_used(struct wb_mount *mount);
// Starts to send and commit everything; for the end of a mount.
void wb_sync_all(struct wb_mount *mount);
