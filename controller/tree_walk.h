// SPDX-License-Identifier: Apache-2.0
// Walks a directory tree depth first by handles, page by page, with memory that does not grow with the tree.
//
// Why:     removing and copying differ in what they do with an entry, not in how they find it.
// Owns:    its open directories; `struct tree_dir` is the first member of the engine's own struct.
// Threads: the loop's thread.
// Memory:  a directory is open while something below it is unfinished; pages of entries are dropped, deepest kept,
//          above TREE_PAGE_BYTES and read again when their turn comes.
#pragma once

#include "controller/tree_loop.h"

#define TREE_PAGE_BYTES (4u << 20)

struct tree_walk;
struct tree_dir {
    struct tree_walk *walk;
    struct tree_dir *parent;                  // NULL: the root
    struct tree_dir *older, *newer;           // all open directories
    struct tree_dir *busy_older, *busy_newer; // those that still have entries to give
    bool busy, reading, page_eof, ended;
    bool lost; // the server lost our place: read again from the start once every entry was left
    struct nfs_fh fh;
    char *name; // in the parent; "" for the root
    struct nfs_dirent *page;
    size_t count, next;
    uint64_t cookie;
    uint8_t verifier[8];
    size_t pending; // entries begun and not left
    unsigned restarts;
};

struct tree_walk_ops {
    // One entry; its name lives until the call returns. Must lead to one tree_walk_leave(dir), now or later.
    void (*entry)(struct tree_dir *dir, const struct nfs_dirent *entry);
    // The listing broke off (the server lost our place) and begins again: entries that were given come once more, all
    // of them left. True when something went since the last time, so that this is no vain attempt.
    bool (*again)(struct tree_dir *dir);
    // Every entry was given and left. Must lead to tree_walk_rescan or tree_walk_close.
    void (*end)(struct tree_dir *dir);
    // The directory cannot be read: true when it is to be taken as ended, false after tree_loop_fail.
    bool (*unreadable)(struct tree_dir *dir, int code);
    void (*free)(struct tree_dir *dir); // what the engine added, and the struct itself
};

struct tree_walk {
    const struct tree_walk_ops *ops;
    struct tree_loop *loop;
    struct nfs_share *share;
    struct tree_dir *newest, *busy_newest, *busy_oldest;
    size_t page_bytes;
    size_t open;
    void *owner;
};

// Opens `dir` (allocated by the engine with its fh set) below `parent`, whose entry it is. Takes it, also on failure.
// -ENOMEM, and the loop has failed.
int tree_walk_open(struct tree_walk *walk, struct tree_dir *dir, struct tree_dir *parent, const char *name);
// Begins one thing that can be begun: an entry or a page. False: nothing now.
bool tree_walk_step(struct tree_walk *walk);
void tree_walk_leave(struct tree_dir *dir);  // one entry of `dir` is over
void tree_walk_rescan(struct tree_dir *dir); // read it again from its start
void tree_walk_close(struct tree_dir *dir);  // it is over; its parent is left
void tree_walk_done(struct tree_walk *walk); // frees what is still open

const char *tree_walk_reason(int code); // why a directory cannot be read, for messages

// "a/b/name" for messages; a long path keeps its end: "…/b/name". `name` may be NULL: the directory itself.
#define TREE_PATH_MAX 160
const char *tree_path(const struct tree_dir *dir, const char *name, char buf[static TREE_PATH_MAX]);
