// SPDX-License-Identifier: Apache-2.0
// Open files, kept for the next call: a sequential reader opens once and keeps its read-ahead.
//
// Why:     a call names a file by handle, and opening it each time would cost more than a small read.
// Owns:    a bounded number of descriptors. One is opened for one caller, whose permission was checked then; it is closed
//          after some seconds without use, and when its file is removed here.
// Threads: any. A directory's descriptor has a position and is one thread's at a time.
//          A file with unsynced writes is synced before it goes, so that an error of theirs is not lost with it.
// Fails:   -EISDIR, -EINVAL for what is no regular file, -ENOTDIR; -EACCES.
#pragma once

#include <stdatomic.h>

#include "lib/nfs/posix/share.h"

enum posix_file_kind { POSIX_FILE_READ, POSIX_FILE_DIRECT, POSIX_FILE_WRITE, POSIX_FILE_DIR };

struct posix_file {
    int fd;
    enum posix_file_kind kind;
    atomic_ulong written, synced; // WRITEs; how many of them the last fsync has seen
    // the cache's
    struct posix_file *next; // the most lately used first
    unsigned refs;
    bool listed;
    int64_t used_ns;
    uint64_t ino;
    struct nfs_fh fh;
    struct nfs_cred cred;
};

struct posix_files;
int posix_files_new(unsigned limit, struct posix_files **ret) must_check;
struct posix_files *posix_files_free(struct posix_files *files);

// -EOPNOTSUPP: POSIX_FILE_DIRECT where there is no direct I/O.
int posix_file_get(struct posix_worker *worker, const struct nfs_fh *fh, enum posix_file_kind kind,
                   struct posix_file **ret) must_check;
void posix_file_put(struct posix_worker *worker, struct posix_file *file); // accepts NULL
// Keeps what was opened otherwise (a new file). Takes `fd`.
void posix_file_keep(struct posix_worker *worker, const struct nfs_fh *fh, enum posix_file_kind kind, int fd);
// Those with unsynced writes to a file, at most `max`, held.
size_t posix_files_dirty(struct posix_worker *worker, const struct nfs_fh *fh, struct posix_file **ret, size_t max);
// The file's last name is gone.
void posix_files_drop(struct posix_worker *worker, uint64_t ino);
// fsync(2). The kernel tells an error once a descriptor, and not at all to descriptors that are opened later; so whoever hears
// of one changes the share's verifier before anybody else's fsync of this file can succeed.
int posix_file_sync(struct posix_worker *worker, struct posix_file *file) must_check;
int posix_fd_sync(struct posix_worker *worker, const struct nfs_fh *fh, int fd) must_check;
// Closes what was not used lately. True: something is left.
bool posix_files_trim(struct posix_worker *worker);

// May the thread's user do that, R_OK, W_OK or X_OK?
bool posix_may(int fd, int mode);
