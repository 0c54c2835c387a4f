// SPDX-License-Identifier: Apache-2.0
// NFS by file handle: one share, any number of operations in flight, no mount.
//
// Why:     the controller and the FUSE daemon work on handles, never on paths, so that a rename or a symlink put
//          in the way by somebody else cannot lead them elsewhere (RFC 1813 for v3, RFC 7530 for v4.0).
// Owns:    a call and its buffers stay the caller's; they must live until `done` was called or nfs_cancel returned.
// Threads: nfs_submit and nfs_cancel from any thread. `done` runs on a connection's own thread: it must not block
//          and must not call nfs_run or nfs_cancel; it may submit further calls.
// Fails:   `call->result` is 0 or -errno (NFS status translated in lib/nfs); -ETIMEDOUT when the deadline passed,
//          -ECANCELED after nfs_cancel or nfs_share_close, -ESTALE for a dead handle.
// Order:   no lock of the caller may be held around nfs_cancel that `done` takes.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

#define NFS_FH_MAX 128           // NFS4_FHSIZE; v3 uses up to 64
#define NFS_GROUPS_MAX 16        // AUTH_SYS (RFC 5531 appendix A)
#define NFS_NAME_MAX 255         // bytes of one component
#define NFS_IO_MAX (1024 * 1024) // bytes of one READ or WRITE at most; the server's own limit may be lower

struct nfs_fh {
    uint8_t len;
    uint8_t data[NFS_FH_MAX];
};

struct nfs_cred {
    uint32_t uid, gid;
    uint32_t group_count;
    uint32_t groups[NFS_GROUPS_MAX];
};

struct nfs_attr {
    uint32_t mode; // type and permissions as in st_mode
    uint32_t nlink, uid, gid;
    uint64_t size, used; // bytes
    uint64_t fsid, fileid;
    uint32_t rdev_major, rdev_minor;
    struct timespec atime, mtime, ctime;
};

enum nfs_set { // which members of `struct nfs_setattr` count
    NFS_SET_MODE = 1 << 0,
    NFS_SET_UID = 1 << 1,
    NFS_SET_GID = 1 << 2,
    NFS_SET_SIZE = 1 << 3,
    NFS_SET_ATIME = 1 << 4,
    NFS_SET_MTIME = 1 << 5,
    NFS_SET_ATIME_NOW = 1 << 6, // the server's clock
    NFS_SET_MTIME_NOW = 1 << 7,
};
struct nfs_setattr {
    unsigned mask;
    uint32_t mode, uid, gid;
    uint64_t size;
    struct timespec atime, mtime;
};

struct nfs_dirent {
    uint64_t fileid, cookie;
    bool has_attr, has_fh;
    struct nfs_attr attr;
    struct nfs_fh fh;
    const char *name; // inside the block that holds the entries
};

struct nfs_fsstat { // bytes and files of the file system under a handle (FSSTAT; v4 space_*, files_*)
    uint64_t total_bytes, free_bytes, avail_bytes;
    uint64_t total_files, free_files, avail_files;
};

enum nfs_op {
    NFS_GETATTR,  // fh                                  → attr
    NFS_SETATTR,  // fh, set                             → attr
    NFS_LOOKUP,   // fh, name                            → out_fh, attr          (".." is refused: -EINVAL)
    NFS_ACCESS,   // fh, access (R_OK|W_OK|X_OK)         → access granted
    NFS_READLINK, // fh                                  → text (malloc'd, the caller's)
    NFS_READ,     // fh, offset, data+count              → count, eof, attr when given
    NFS_WRITE,    // fh, offset, data+count, stable      → count, verifier, attr when given
    NFS_COMMIT,   // fh, offset 0, count 0 = all         → verifier
    NFS_CREATE,   // fh, name, set, exclusive            → out_fh, attr   exclusive: -EEXIST when there (GUARDED);
                  //                                       otherwise an existing file is opened, its size kept
    NFS_MKDIR,    // fh, name, set                       → out_fh, attr
    NFS_SYMLINK,  // fh, name, target, set               → out_fh, attr
    NFS_MKNOD,    // fh, name, set (type in mode), rdev  → out_fh, attr   FIFO, socket, character, block
    NFS_LINK,     // fh (file), fh2 (directory), name    → attr of the file
    NFS_REMOVE,   // fh, name
    NFS_RMDIR,    // fh, name
    NFS_RENAME,   // fh, name, fh2, name2
    NFS_READDIR, // fh, cookie, verifier, want_attr     → entries, entry_count, eof, verifier   ("." and ".." left out)
    NFS_FSSTAT,  // fh                                  → fsstat
    NFS_OP_COUNT
};

struct nfs_call {
    // in
    enum nfs_op op;
    bool exclusive, stable, want_attr;
    bool once; // never sent again after the connection was lost: -ECONNRESET, and it may have been done
    const struct nfs_cred *cred; // NULL: the share's default
    // For a process that goes on with what another had asked: where the call's number on the wire is written before it
    // is sent (NULL: nowhere), and the number of the very same call of then (0: none). The server's duplicate request
    // cache then answers what it did the first time, or knows the first one, should it still come, for a duplicate.
    atomic_uint_fast64_t *sent;
    uint64_t again;
    struct nfs_fh fh, fh2;
    const char *name, *name2, *target;
    struct nfs_setattr set;
    uint32_t rdev_major, rdev_minor;
    uint64_t offset;
    void *data; // READ writes here, WRITE reads from here
    uint32_t access;
    int64_t deadline_ns; // absolute CLOCK_MONOTONIC; 0 or DEADLINE_NONE: waits as long as the share is open
    void (*done)(struct nfs_call *call);
    void *arg;
    // in and out
    uint32_t count;      // bytes; how many were moved, which may be fewer, at most NFS_IO_MAX
    uint64_t cookie;     // READDIR: where to go on (the last entry's cookie)
    uint8_t verifier[8]; // READDIR: zero at the start; WRITE and COMMIT: changes when the server lost its memory
    // out
    int result;
    bool eof, has_attr, committed; // committed: a WRITE that is already on stable storage
    struct nfs_fh out_fh;
    struct nfs_attr attr;
    bool has_dir_attr; // CREATE, MKDIR, SYMLINK, MKNOD, REMOVE, RMDIR: the directory afterwards, when the reply told it
    struct nfs_attr dir_attr;
    char *text;
    struct nfs_dirent *entries; // one malloc'd block, the caller's
    size_t entry_count;
    struct nfs_fsstat fsstat;
    void *priv, *link; // the backend's
};

struct nfs_info {
    int version;                  // 3 or 4; 0: no NFS (posix_share.h)
    uint32_t read_max, write_max; // bytes; at most NFS_IO_MAX
    struct nfs_fh root;
    const char *server, *path;
};

struct nfs_share;

// The seam: real (lib/nfs), in memory (tests/fakes/fake_nfs), and a decorator that fails or dies at the n-th call.
struct nfs_backend {
    void (*submit)(struct nfs_share *share, struct nfs_call *call);
    void (*cancel)(struct nfs_share *share, struct nfs_call *call);
    const struct nfs_info *(*info)(struct nfs_share *share);
    void (*close)(struct nfs_share *share);
};
struct nfs_share { // the first member of every backend's own struct
    const struct nfs_backend *backend;
};

struct nfs_options {
    const char *server;   // host name, IPv4, or IPv6 in brackets or not
    const char *path;     // exported path, "/..."
    int version;          // 3 or 4; 0: 3, then 4 when the server has no v3
    uint16_t nfs_port;    // 0: 2049 for v4, the port mapper's answer for v3
    uint16_t mount_port;  // v3; 0: the port mapper's answer
    unsigned connections; // 1..16; 0: 1
    bool soft;            // a call without a deadline fails with -ETIMEDOUT after 60 s instead of waiting on
    struct nfs_cred cred; // default credentials
    int64_t deadline_ns;  // for connecting; absolute CLOCK_MONOTONIC; 0: 10 s from now
    // `connections` of them, where the connections come from, kept up to date as long as the share is open: a server
    // knows a repeated call (nfs_call.again) by its number and by this. NULL: any, and told to nobody.
    atomic_uint *local_ports;
};

// Connects and looks up the export. Errors name server and share and the remedy:
// -EHOSTUNREACH/-ECONNREFUSED/-ETIMEDOUT (server), -ENOENT (no such export), -EACCES (export not allowed).
// Later losses of the connection are repaired in the background, with the calls in flight sent again.
// A server that was restarted meanwhile may refuse what it has done already: REMOVE, RMDIR, RENAME and LINK sent twice
// succeed when what they asked for is so; exclusive CREATE, MKDIR, SYMLINK and MKNOD may give -EEXIST for the caller's own.
int nfs_share_open(const struct nfs_options *options, struct nfs_share **ret, struct err *err) must_check;

static inline const struct nfs_info *nfs_share_info(struct nfs_share *share) {
    return share->backend->info(share);
}
// Ends every call in flight with -ECANCELED, closes the connections, frees. Accepts NULL, returns NULL.
static inline struct nfs_share *nfs_share_free(struct nfs_share *share) {
    if (share)
        share->backend->close(share);
    return NULL;
}
DEFINE_CLEANUP(nfs_share)

static inline void nfs_submit(struct nfs_share *share, struct nfs_call *call) {
    share->backend->submit(share, call);
}
// After it returns, `done` was called or never will be, and no buffer of the call is touched any more. A call that was
// still in flight ends without `done`, with the result -ECANCELED; what it asked for may still happen on the server.
static inline void nfs_cancel(struct nfs_share *share, struct nfs_call *call) {
    share->backend->cancel(share, call);
}

// Submits and waits until done, or until call->deadline_ns (then -ETIMEDOUT, and the call is cancelled).
// Works with every backend. Returns call->result.
int nfs_run(struct nfs_share *share, struct nfs_call *call);

// fh equality; the text of an operation ("LOOKUP") for logs and errors.
bool nfs_fh_eq(const struct nfs_fh *a, const struct nfs_fh *b);
const char *nfs_op_name(enum nfs_op op);
bool nfs_op_changes(enum nfs_op op); // does it change the share?

// For backends. Is the call fit to be sent? -EINVAL for a name that is empty, ".", ".." or holds '/', or a handle,
// target or buffer that is missing or too long; -ENAMETOOLONG above NFS_NAME_MAX.
int nfs_call_check(const struct nfs_call *call) must_check;
void nfs_call_reset(struct nfs_call *call); // clears the out members, before it is sent
