// SPDX-License-Identifier: Apache-2.0
// How to find again what a handle means where the kernel cannot tell: the directory and the name it was seen under.
//
// Why:     FUSE file systems, and processes without CAP_DAC_READ_SEARCH, have no lasting kernel handles; an open descriptor
//          for every file would be too many.
// Owns:    O_PATH descriptors, and a bounded number of entries; the oldest that nobody needs go.
// Threads: any.
// Fails:   -ESTALE: not known, or something else has that name now.
#pragma once

#include <sys/stat.h>

#include "lib/base/cleanup.h"
#include "lib/nfs/nfs.h"

struct posix_table;
struct posix_entry;

struct posix_table_limits {
    size_t entries, descriptors;
};

int posix_table_new(int root_fd, const struct posix_table_limits *limits, struct posix_table **ret) must_check;
struct posix_table *posix_table_free(struct posix_table *table);
void posix_table_root(const struct posix_table *table, struct nfs_fh *ret);

// Takes `fd`. Also when the file has moved there.
int posix_table_learn(struct posix_table *table, const struct nfs_fh *dir, const char *name, int fd,
                      const struct statx *stx, struct nfs_fh *ret) must_check;
// An entry with a descriptor, held until posix_table_put. Where it has none it is opened, as whoever the thread is, and with
// that the file system may be waited for; or -EAGAIN when it `may_open` not.
int posix_table_get(struct posix_table *table, const struct nfs_fh *fh, bool may_open,
                    struct posix_entry **ret) must_check;
// The last name of this object is gone: what keeps it in memory is let go.
void posix_table_forget(struct posix_table *table, const struct statx *stx);
void posix_table_put(struct posix_table *table, struct posix_entry *entry);
int posix_entry_fd(const struct posix_entry *entry);
