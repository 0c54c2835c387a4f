// SPDX-License-Identifier: Apache-2.0
// The parts of tree_copy: directories (tree_copy.c), one file's way from entry to times (tree_copy_file.c), its bytes
// (tree_copy_data.c) and hard links (tree_copy_links.c). Included by these only.
#pragma once

#include "controller/tree_copy.h"
#include "controller/tree_walk.h"

struct copy_link;
struct copy_file;
struct copy_chunk;

struct copier {
    struct tree_loop loop; // first: a call leads here
    struct tree_walk walk;
    struct nfs_share *from, *to;
    struct nfs_fh to_parent;
    struct tree_copy_progress *progress;
    struct copy_file *files;                    // all that are begun
    struct copy_file *ready_first, *ready_last; // those with bytes left to be read
    struct copy_chunk *chunks;                  // all buffers
    unsigned file_count, file_limit;
    size_t buffer_used, buffer_limit;
    uint32_t chunk;           // bytes of one READ and WRITE
    bool owners_denied;       // the server does not let us give files away
    struct copy_link **links; // hash table by fileid
    size_t link_count;
    bool links_kept; // a directory was listed again: names may be met twice, so none is known to be the last
};

struct copy_dir {
    struct tree_dir dir; // first
    struct nfs_fh to;
    struct nfs_attr attr;
    bool resumed; // was there before: its entries may be too
    bool again;   // listed from its start once more, or below one that is: what is whole was counted
};

struct copy_file { // an entry on its way; a directory until it was made
    struct copier *copier;
    struct copy_dir *dir; // NULL: the tree's root
    char *name;
    char *target; // of a symbolic link
    struct copy_file *older, *newer;
    struct nfs_fh from, to;
    struct nfs_attr attr;
    struct copy_link *link;        // the hard link whose first file this is
    struct copy_file *next_waiter; // of the same hard link
    struct copy_file *ready_next;
    uint64_t next, size;  // the next byte to read, and where the contents end
    uint64_t written_end; // behind the last byte that was written
    unsigned chunks;      // in flight
    unsigned attempts;
    uint8_t verifier[8];
    bool has_verifier, resend; // unstable bytes were written; some of them were lost by the server
    bool sparse, probing;      // has holes; may be nothing but a hole
    bool queued;               // in the list of those with bytes left
    bool vanished, owner_set;
};

static inline struct copier *copier_of(const struct tree_call *call) {
    return (struct copier *)call->loop;
}
static inline bool copy_is_gone(int code) {
    return code == -ENOENT || code == -ESTALE;
}

// tree_copy.c
void copy_dir_open(struct copy_file *file, bool resumed); // it was made, or was there: takes `file`

// tree_copy_file.c
void copy_file_begin(struct copier *copier, struct copy_dir *dir, const char *name, const struct nfs_fh *from,
                     const struct nfs_attr *attr);
void copy_file_make(struct copy_file *file);      // create it, as a file of its own
void copy_file_data_done(struct copy_file *file); // all its bytes were read and written
void copy_file_end(struct copy_file *file);       // it is over: its directory is left
void copy_file_free(struct copy_file *file);      // without leaving its directory
void copy_file_fail(struct copy_file *file, const char *what, int code);
struct tree_call *copy_file_call(struct copy_file *file, enum nfs_op op, const char *name); // in its new directory
// What every entry gets in the end. `mask` names what to set besides the times.
struct nfs_setattr copy_set(const struct copier *copier, const struct nfs_attr *attr);

// tree_copy_data.c
void copy_data_begin(struct copy_file *file);
bool copy_data_step(struct copier *copier); // starts one READ; false: none wanted, or no memory left in the budget
void copy_data_done(struct copier *copier); // frees the buffers

// tree_copy_links.c
// True when `file` is a further link of a file met before: it is linked, now or when that one is whole.
bool copy_link_begin(struct copy_file *file);
void copy_link_whole(struct copy_file *file); // the first file of a hard link is whole, or vanished
void copy_links_done(struct copier *copier);
