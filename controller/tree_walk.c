// SPDX-License-Identifier: Apache-2.0
#include "controller/tree_walk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"

#define RESTARTS_MAX 4 // a server that forgets its cookies is asked again from the start this often

static size_t page_size(const struct tree_dir *dir) {
    return dir->count * (sizeof *dir->page + 32);
}

static void page_drop(struct tree_dir *dir) {
    dir->walk->page_bytes -= page_size(dir);
    free(dir->page);
    dir->page = NULL;
    dir->count = dir->next = 0;
}

static void busy_add(struct tree_dir *dir) {
    struct tree_walk *walk = dir->walk;
    dir->busy = true;
    dir->busy_newer = NULL;
    dir->busy_older = walk->busy_newest;
    if (walk->busy_newest)
        walk->busy_newest->busy_newer = dir;
    else
        walk->busy_oldest = dir;
    walk->busy_newest = dir;
}

static void busy_remove(struct tree_dir *dir) {
    struct tree_walk *walk = dir->walk;
    if (!dir->busy)
        return;
    dir->busy = false;
    *(dir->busy_newer ? &dir->busy_newer->busy_older : &walk->busy_newest) = dir->busy_older;
    *(dir->busy_older ? &dir->busy_older->busy_newer : &walk->busy_oldest) = dir->busy_newer;
}

int tree_walk_open(struct tree_walk *walk, struct tree_dir *dir, struct tree_dir *parent, const char *name) {
    dir->walk = walk;
    dir->parent = parent;
    dir->name = mem_strdup(name);
    if (!dir->name) {
        walk->ops->free(dir);
        tree_loop_no_memory(walk->loop);
        return -ENOMEM;
    }
    dir->older = walk->newest;
    if (dir->older)
        dir->older->newer = dir;
    walk->newest = dir;
    walk->open++;
    busy_add(dir);
    return 0;
}

static void dir_free(struct tree_dir *dir) {
    struct tree_walk *walk = dir->walk;
    busy_remove(dir);
    page_drop(dir);
    *(dir->newer ? &dir->newer->older : &walk->newest) = dir->older;
    if (dir->older)
        dir->older->newer = dir->newer;
    walk->open--;
    free(dir->name);
    walk->ops->free(dir);
}

void tree_walk_close(struct tree_dir *dir) {
    struct tree_dir *parent = dir->parent;
    dir_free(dir);
    if (parent)
        tree_walk_leave(parent);
}

void tree_walk_done(struct tree_walk *walk) {
    while (walk->newest)
        dir_free(walk->newest);
}

static void end_if_over(struct tree_dir *dir) {
    if (dir->busy || dir->pending || dir->ended)
        return;
    dir->ended = true;
    dir->walk->ops->end(dir);
}

static void start_again(struct tree_dir *dir) {
    page_drop(dir);
    dir->cookie = 0;
    memset(dir->verifier, 0, sizeof dir->verifier);
    dir->page_eof = false;
}

// Only with nothing pending: an entry that is still at work must not meet itself.
static void go_back(struct tree_dir *dir) {
    dir->lost = false;
    start_again(dir);
    if (dir->walk->ops->again(dir))
        dir->restarts = 0;
}

void tree_walk_leave(struct tree_dir *dir) {
    dir->pending--;
    if (dir->lost && !dir->pending)
        go_back(dir);
    else
        end_if_over(dir);
}

void tree_walk_rescan(struct tree_dir *dir) {
    start_again(dir);
    dir->ended = false;
    busy_add(dir);
}

// Keeps the pages within their limit: the oldest directories, whose turn comes last, give theirs up.
static void pages_limit(struct tree_walk *walk, const struct tree_dir *keep) {
    for (struct tree_dir *dir = walk->busy_oldest; dir && walk->page_bytes > TREE_PAGE_BYTES; dir = dir->busy_newer)
        if (dir != keep && dir->page) {
            page_drop(dir);
            dir->page_eof = false;
        }
}

static void exhausted(struct tree_dir *dir) {
    page_drop(dir);
    if (!dir->page_eof)
        return;
    busy_remove(dir);
    end_if_over(dir);
}

static void page_read(struct tree_call *call) {
    struct tree_dir *dir = call->owner;
    struct tree_walk *walk = dir->walk;
    struct nfs_call *nfs = &call->nfs;
    dir->reading = false;
    if (nfs->result < 0) {
        // -ENOENT is nfs-ganesha's for an entry that went while it listed: the directory may well be there.
        bool lost_place = nfs->result == -ENOENT || (dir->cookie && nfs->result != -ETIMEDOUT &&
                                                     nfs->result != -ECANCELED && nfs->result != -ESTALE);
        if (lost_place && dir->restarts++ < RESTARTS_MAX) {
            dir->lost = true;
            if (!dir->pending)
                go_back(dir);
            return;
        }
        dir->page_eof = walk->ops->unreadable(dir, nfs->result == -EBADE ? -EAGAIN : nfs->result);
        if (dir->page_eof)
            exhausted(dir);
        return;
    }
    dir->page = take_ptr(nfs->entries);
    dir->count = nfs->entry_count;
    dir->next = 0;
    dir->page_eof = nfs->eof;
    if (!dir->count)
        dir->cookie = nfs->cookie; // a page of "." and ".." alone
    memcpy(dir->verifier, nfs->verifier, sizeof dir->verifier);
    walk->page_bytes += page_size(dir);
    pages_limit(walk, dir);
    if (!dir->count)
        exhausted(dir);
}

static void read_page(struct tree_dir *dir) {
    struct tree_call *call = tree_loop_call(dir->walk->loop, dir->walk->share, NFS_READDIR, &dir->fh, NULL);
    if (!call)
        return;
    call->nfs.cookie = dir->cookie;
    call->nfs.want_attr = true;
    memcpy(call->nfs.verifier, dir->verifier, sizeof dir->verifier);
    dir->reading = true;
    tree_loop_submit(call, page_read, dir);
}

bool tree_walk_step(struct tree_walk *walk) {
    if (walk->loop->result)
        return false;
    for (struct tree_dir *dir = walk->busy_newest; dir; dir = dir->busy_older) {
        if (dir->reading || dir->lost)
            continue;
        if (!dir->page) {
            read_page(dir);
            return true;
        }
        struct nfs_dirent *entry = &dir->page[dir->next++];
        dir->cookie = entry->cookie;
        dir->pending++;
        walk->ops->entry(dir, entry);
        if (dir->next == dir->count)
            exhausted(dir);
        return true;
    }
    return false;
}

const char *tree_walk_reason(int code) {
    return code == -EAGAIN ? "it changes faster than the server can list it; try again" : err_name(code);
}

const char *tree_path(const struct tree_dir *dir, const char *name, char buf[static TREE_PATH_MAX]) {
    static const char cut[] = "\xe2\x80\xa6/";
    size_t at = TREE_PATH_MAX - 1;
    buf[at] = '\0';
    const char *part = name ? name : dir->name;
    for (const struct tree_dir *up = name ? dir : dir->parent;; up = up->parent) {
        size_t len = strlen(part);
        size_t slash = buf[at] != '\0' && len;
        if (len + slash + sizeof cut > at) {
            at -= sizeof cut - 1;
            memcpy(buf + at, cut, sizeof cut - 1);
            break;
        }
        at -= len + slash;
        memcpy(buf + at, part, len);
        if (slash)
            buf[at + len] = '/';
        if (!up)
            break;
        part = up->name;
    }
    return buf[at] ? buf + at : ".";
}
