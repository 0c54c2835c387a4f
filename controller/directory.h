// SPDX-License-Identifier: Apache-2.0
// One directory of a share, read page by page, from its start again when the server lost the reader's place.
//
// Why:     a server may forget its cookies when a directory changes (NFS3ERR_BAD_COOKIE, NFS4ERR_NOT_SAME: -EBADE).
//          Whoever lists must bear it, and none must repeat how. nfs-ganesha answers NFS3ERR_NOENT when an entry goes
//          while it lists, a code that READDIR does not have (RFC 1813 3.3.16): begun again as well.
// Owns:    the page at hand, until the next one is asked for or directory_done.
// Threads: one at a time.
// Fails:   -EAGAIN when the place was lost DIRECTORY_RESTARTS times; else as share_call.
#pragma once

#include "controller/share.h"

#define DIRECTORY_RESTARTS 8

struct directory {
    struct share *share; // borrowed
    const char *what;    // for messages, as in share_call
    struct nfs_call page;
    unsigned restarts;
    bool begun;
};

// Reads nothing yet. Set directory.page.want_attr, and page.deadline_ns anew before each page where it is to move.
void directory_init(struct directory *ret, struct share *share, const struct nfs_fh *fh, const char *what,
                    int64_t deadline_ns);
// 1: page.entries holds page.entry_count of them, which may be 0. 0: the end. Else -errno. After a restart, entries
// that were given come once more, and those removed meanwhile do not: the caller must bear both.
int directory_next(struct directory *directory, struct err *err) must_check;
void directory_done(struct directory *directory);
