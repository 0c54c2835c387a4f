// SPDX-License-Identifier: Apache-2.0
// Copies a directory tree by handles, many calls in flight, within one memory budget.
//
//     kept      types, contents, holes, symbolic and hard links, modes with setuid, setgid and sticky, owners (when the
//               server lets us), access and modification times; directories get theirs last
//     resumed   a file in the destination with the source's size and modification time is whole: the time is set last, after its data is on stable storage. Everything else is copied again.
//     holes     of a file that stores fewer bytes than it is long, blocks of 64 KiB zeros are not written. NFSv3 cannot
//               tell where the holes are, so they are read; but a file of 1 MiB and more that stores nothing, also
//               after its first block was read (which brings back what a tiered file system moved away), is one hole.
//     moving    a file is copied up to the length it had when its copy began; it gets the times it had then, so that a
//               resumed copy takes it again. What vanishes before its end is left out. A tree that is written to while
//               it is copied gives a copy whose files are of different moments.
//     memory    `buffer_bytes` of data, 100,000 hard-linked files whose links are not all met yet (further ones become
//               separate files and are counted in `links_split`), and what tree_walk.h says.
// Threads: runs on the caller's; `progress` may be read from any.
// Fails:   with the first failure and its path, leaving what was copied so far: run again, or remove it.
//          -ECANCELED when stopped, -ENOSPC and -EDQUOT from the server, -ENOENT when the source itself is gone,
//          -EEXIST when the destination holds something of another type.
#pragma once

#include <stdatomic.h>

#include "controller/tree_loop.h"

struct tree_copy_progress {
    atomic_uint_least64_t bytes, files, dirs; // done; bytes of contents, holes too, a hard-linked file once
    atomic_uint_least64_t bytes_found;        // of the files met so far
    atomic_bool all_found;                    // every directory was read: bytes_found is the total
    atomic_uint_least64_t skipped, vanished, links_split, resent; // files
};

struct tree_copy_options {
    unsigned calls;      // in flight at once; 0: 32
    unsigned files;      // at once; 0: 32
    size_t buffer_bytes; // of all data in flight; 0: 16 MiB; at least one chunk is always used
    struct tree_cancel cancel;
};

// The directory `from_dir` to the new directory `name` in `to_parent`; what is there already is completed.
// `options` and `progress` may be NULL.
int tree_copy(struct nfs_share *from, const struct nfs_fh *from_dir, struct nfs_share *to,
              const struct nfs_fh *to_parent, const char *name, const struct tree_copy_options *options,
              struct tree_copy_progress *progress, struct err *err) must_check;
