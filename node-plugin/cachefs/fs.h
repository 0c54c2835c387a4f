// SPDX-License-Identifier: Apache-2.0
// One mounted share: what every FUSE operation works on.
//
// Why:     a FUSE request becomes an `op`, which makes one NFS call after the other, each step a function that runs
// when
//          the call before it is answered; no thread waits for the server.
// Owns:    `fs` owns everything below it; an op owns its names and buffers until it replied.
// Threads: requests start on the reader threads and go on on the threads of the NFS connections. `lock` guards the
//          lists of ops and inodes; an op's own members belong to whoever runs its current step.
// Order:   fs->lock before the locks of nodes, handles, creds, bufs and writeback; none is held around nfs_submit,
//          nfs_cancel or a FUSE reply.
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "lib/base/clock.h"
#include "lib/cache/cache.h"
#include "lib/nfs/nfs.h"
#include "node-plugin/cachefs/bufs.h"
#include "node-plugin/cachefs/creds.h"
#include "node-plugin/cachefs/fetch.h"
#include "node-plugin/cachefs/handles.h"
#include "node-plugin/cachefs/init_flags.h"
#include "node-plugin/cachefs/nodes.h"
#include "node-plugin/cachefs/parents.h"
#include "node-plugin/cachefs/readahead.h"
#include "node-plugin/cachefs/rewalk.h"
#include "node-plugin/cachefs/spool.h"
#include "node-plugin/cachefs/state.h"
#include "node-plugin/cachefs/writeback.h"

#define FS_TIMEOUT_S 1.0                // attributes and names, in the kernel
#define FS_DIRTY_MAX ((size_t)64 << 20) // written data not yet on stable storage
#define FS_READS_MAX 64u                // READs of at most 1 MiB in flight
#define FS_INODE_BUCKETS 8192u
#define FS_KEPT_MAX 8192u // closed files whose cached copy stays open, so that the next open need not look for it

// What node-group volumes keep beside a shared mount: where, how far it is trusted, how much of it.
enum copy_trust { TRUST_STRICT, TRUST_TTL, TRUST_IMMUTABLE };
struct copy_options {
    struct cache *cache;
    enum copy_trust trust;
    int64_t ttl_ns;        // with TRUST_TTL
    uint64_t memory_limit; // of the node
    bool passthrough;      // use it where the kernel has it
    int64_t settle_s; // a file that changed later may be growing: its readers want to see that, and passed ones cannot
    char *dir, *volume; // the cache's directory and the volume's tag in it, for figures; the caller's
};

struct copy {                     // of a file in use; see copy.h
    struct cached *object;        // NULL: none
    struct cache_version version; // which it is of
    int32_t backing_id;           // under which the kernel knows it; 0: it does not
    bool changed;                 // not the file's version any more: kept for those who have it open through the kernel
    unsigned cached, passed;      // opens, by what the kernel was told
};

struct inode {    // a file that is open or holds written data
    struct wb wb; // first: found from it
    struct fs *fs;
    struct inode *next; // in its bucket
    uint64_t id;
    struct nfs_fh fh;
    unsigned refs, opens;                // under fs->lock
    atomic_uint holds;                   // the write-back has data of it
    int64_t linger_until;                // kept that long after the last use, see inode_put
    struct copy copy;                    // under fs->copy_lock
    struct fetch *fetches;               // on their way, under the fetcher's lock
    struct inode *kept_prev, *kept_next; // closed, but its copy stays open
    bool kept;
    // silly rename: the name under which an unlinked open file lives on
    bool silly, silly_removing, silly_moving; // moving: to the parent of its directory, which is about to go
    struct nfs_fh silly_dir;
    struct nfs_cred silly_cred;
    char silly_name[40];
    uint32_t silly_record; // of fs->sillies; 0: none
};

struct file { // what a FUSE file handle stands for
    struct inode *inode;
    struct nfs_cred cred; // of the opener: permission was checked at open, as on any POSIX file system
    unsigned error_seen;
    int flags;
    int mode;                   // enum open_mode
    struct readahead readahead; // under fs->copy_lock
};

enum op_state { OP_RUNNING, OP_CALLING, OP_WAITING };

struct op {
    struct fs *fs;
    fuse_req_t req; // NULL: the daemon's own work
    struct op *prev, *next;
    uint64_t number;
    pid_t pid;
    unsigned refs;
    unsigned submits; // threads inside nfs_submit: until they are out, the call cannot be cancelled
    enum op_state state;
    bool interrupted, watched, by_ioctl;
    void (*step)(struct op *op); // runs when the call or the wait is over; op->result tells how it went
    int result;
    struct nfs_call call;
    struct nfs_cred cred;
    struct wb_wait wait;
    struct fetch_wait fetch_wait;
    struct cached *object; // the copy that this operation works on
    struct op *queue_next; // waiting for room to read, or for a silly file to go

    // what the operations keep between their steps
    struct inode *inode;
    struct file *file;
    struct dir *dir;
    uint64_t unique; // of the request, without FUSE_ABI_UNIQUE_RESEND; 0: own work
    uint64_t id, id2, moment;
    uint64_t
        changes; // nodes_moment when a call that changes something was made, or any on a mount that keeps attributes
    int64_t asked_ns;
    struct nfs_fh fh, fh2, target;
    struct fuse_file_info fi;
    struct nfs_attr attr; // as an open found them
    struct nfs_setattr set;
    uint64_t offset;
    size_t size, done;
    void *buf; // of fs->bufs
    struct wb_write write;
    void (*then)(struct op *op); // where a part shared by several operations goes on
    unsigned flags, tries;
    uint32_t silly_record; // of fs->sillies, being made
    uint32_t call_record;  // of fs->calls
    unsigned before;       // bits of enum nfs_op that a former daemon had submitted for it
    unsigned before_op;    // the latest of them
    uint64_t before_sent;  // its number on the wire; 0: none
    int error;
    char name[NFS_NAME_MAX + 1], name2[NFS_NAME_MAX + 1];
    char *text;
};

struct fs {
    struct nfs_share *share;
    struct fuse_session *session;
    bool replaying;          // INIT of a former daemon: what is answered goes nowhere
    struct init_flags *init; // what was agreed with the kernel; the session's
    const struct clock *clock;
    struct state *state; // what outlives this process
    bool own_state;
    uint32_t life;      // number of this daemon
    int64_t resumed_ns; // when it took over; 0: it did not, or what came of that is over
    struct nodes *nodes;
    struct handles files, dirs;          // of struct file_record, dir_record
    struct slots calls, sillies, pieces; // of struct call_record, silly_record, piece_record
    struct spool spool;
    struct creds creds;
    struct parents parents;
    struct rewalk rewalk;
    struct bufs bufs;     // for answers
    struct bufs requests; // in the spool: written data stays where the kernel put it
    struct wb_mount wb;
    struct copy_options copies;
    struct fetcher *fetcher;   // NULL: no cache
    struct warmer *warmer;     // likewise
    pthread_mutex_t copy_lock; // before the lock of nodes, and fs->lock
    int device;                // /dev/fuse, the session's
    double timeout_s;          // names and attributes, in the kernel
    double absent_s;           // names that are not there
    bool read_only;
    uint32_t read_max;

    pthread_mutex_t lock;
    pthread_cond_t idle; // ops went to zero
    struct op *ops;
    size_t op_count;
    uint64_t next_op;
    struct inode *inodes[FS_INODE_BUCKETS];
    size_t open_count;                    // inodes with opens > 0
    size_t linger_count;                  // inodes without use
    struct inode *kept_first, *kept_last; // the one used last comes first
    size_t kept_count;
    atomic_size_t silly_count; // changed under the lock
    uint32_t silly_next;
    atomic_uint silly_making;        // names that the server may hold where no inode says so yet
    atomic_uint_fast64_t silly_gone; // names removed so far
    unsigned reads;                  // in flight
    struct op *read_head, *read_tail, *silly_head;

    // the watcher: interrupted requests, ageing writes, unused memory
    pthread_mutex_t watch_lock;
    pthread_cond_t watch_wake;
    pthread_t watcher;
    bool watching, watch_stop, watch_work;
    uint64_t interrupted[64];
    size_t interrupted_count;
};

struct fs_options {
    struct nfs_share *share;           // stays the caller's, and must outlive fs_free
    const struct nfs_fh *root;         // not needed with a state that is taken over
    const struct copy_options *copies; // its cache stays the caller's likewise; NULL: none
    struct state *state; // likewise; NULL: nothing outlives this process. What another daemon left is taken over
    bool read_only;
};
int fs_new(const struct fs_options *options, struct fs **ret, struct err *err) must_check;
// After the last request; what is still in flight must have been ended (nfs_share_free).
struct fs *fs_free(struct fs *fs);
DEFINE_CLEANUP(fs)
size_t fs_op_count(struct fs *fs); // in flight
// Ends warm-ups; waits until all written data is on stable storage and the daemon's own work is done, at most until `deadline_ns`.
bool fs_drain(struct fs *fs, int64_t deadline_ns);

extern const struct fuse_lowlevel_ops fs_operations;
