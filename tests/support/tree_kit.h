// SPDX-License-Identifier: Apache-2.0
// Makes and describes trees on an NFS share, for tests of what works on trees. A failing call fails the test.
#pragma once

#include "lib/nfs/nfs.h"

struct nfs_fh kit_mkdir(struct nfs_share *share, const struct nfs_fh *parent, const char *name);
struct nfs_fh kit_file(struct nfs_share *share, const struct nfs_fh *parent, const char *name, const char *text);
// `blocks` blocks of 64 KiB that hold a pattern of their own, from `offset` on, in a file of `size` bytes.
struct nfs_fh kit_sparse(struct nfs_share *share, const struct nfs_fh *parent, const char *name, uint64_t size,
                         uint64_t offset, unsigned blocks);
void kit_link(struct nfs_share *share, const struct nfs_fh *file, const struct nfs_fh *dir, const char *name);
void kit_symlink(struct nfs_share *share, const struct nfs_fh *dir, const char *name, const char *target);
void kit_set(struct nfs_share *share, const struct nfs_fh *fh, const struct nfs_setattr *set);
struct nfs_attr kit_attr(struct nfs_share *share, const struct nfs_fh *fh);
// 0, or -ENOENT: is it there?
int kit_lookup(struct nfs_share *share, const struct nfs_fh *dir, const char *name, struct nfs_fh *ret);
int kit_unlink(struct nfs_share *share, const struct nfs_fh *dir, const char *name);
// Modes with setuid and sticky, owners, times, links across directories, a FIFO and a device, an empty directory,
// names of 255 bytes and of UTF-8, a sparse file and one of several chunks.
void kit_odd_tree(struct nfs_share *share, const struct nfs_fh *dir);
// One line per entry, sorted: path, type, mode, owner, size, time, contents, and which names are one file.
// To be freed; equal texts mean equal trees.
char *kit_describe(struct nfs_share *share, const struct nfs_fh *dir);
size_t kit_entries(struct nfs_share *share, const struct nfs_fh *dir); // of one directory
