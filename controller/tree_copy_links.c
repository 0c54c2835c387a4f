// SPDX-License-Identifier: Apache-2.0
// Hard links: the first name of a file is copied, each further one is linked to that copy.
#include <errno.h>
#include <string.h>

#include "controller/tree_copy_engine.h"
#include "lib/base/mem.h"

#define LINKS_MAX 100000
#define BUCKETS 4096
#define ATTEMPTS_MAX 4

struct copy_link {
    struct copy_link *next; // in the bucket
    uint64_t fileid, fsid;
    uint32_t seen, names; // of `names` links
    bool whole, vanished;
    struct copy_file *waiters;
    struct nfs_fh *to;
};

static struct copy_link **bucket_of(struct copier *copier, const struct nfs_attr *attr) {
    return &copier->links[(attr->fileid ^ (attr->fileid >> 12)) % BUCKETS];
}

static struct copy_link *find(struct copier *copier, const struct nfs_attr *attr) {
    for (struct copy_link *link = copier->links ? *bucket_of(copier, attr) : NULL; link; link = link->next)
        if (link->fileid == attr->fileid && link->fsid == attr->fsid)
            return link;
    return NULL;
}

static void forget(struct copier *copier, struct copy_link *link) {
    struct nfs_attr key = {.fileid = link->fileid};
    struct copy_link **at = bucket_of(copier, &key);
    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    copier->link_count--;
    free(link->to);
    free(link);
}

static void remember(struct copy_file *file) {
    struct copier *copier = file->copier;
    if (copier->link_count >= LINKS_MAX) {
        atomic_fetch_add(&copier->progress->links_split, 1);
        return;
    }
    if (!copier->links)
        copier->links = mem_array(BUCKETS, sizeof *copier->links);
    struct copy_link *link = copier->links ? mem_zalloc(sizeof *link) : NULL;
    if (!link) {
        tree_loop_no_memory(&copier->loop);
        return;
    }
    struct copy_link **bucket = bucket_of(copier, &file->attr);
    *link = (struct copy_link){.next = *bucket, .fileid = file->attr.fileid, .fsid = file->attr.fsid};
    link->names = file->attr.nlink;
    link->seen = 1;
    *bucket = link;
    copier->link_count++;
    file->link = link;
}

static void linked(struct tree_call *call);

static void send_link(struct copy_file *file, const struct nfs_fh *whole) {
    struct tree_call *call = copy_file_call(file, NFS_LINK, file->name);
    if (!call)
        return;
    call->nfs.fh2 = call->nfs.fh;
    call->nfs.fh = *whole;
    tree_loop_submit(call, linked, file);
}

static void other_removed(struct tree_call *call) {
    struct copy_file *file = call->owner;
    if (call->nfs.result < 0 && !copy_is_gone(call->nfs.result))
        copy_file_fail(file, "replace", call->nfs.result);
    else
        send_link(file, &file->to);
}

// Something has this name already: our link of an earlier attempt, or else it is replaced.
static void other_found(struct tree_call *call) {
    struct copy_file *file = call->owner;
    if (call->nfs.result < 0 && !copy_is_gone(call->nfs.result)) {
        copy_file_fail(file, "look up the copy of", call->nfs.result);
        return;
    }
    if (call->nfs.result == 0 && nfs_fh_eq(&call->nfs.out_fh, &file->to)) {
        atomic_fetch_add(&file->copier->progress->skipped, 1);
        copy_file_end(file);
        return;
    }
    if (call->nfs.result == 0 && S_ISDIR(call->nfs.attr.mode)) {
        copy_file_fail(file, "link", -EEXIST);
        return;
    }
    struct tree_call *again = copy_file_call(file, NFS_REMOVE, file->name);
    if (again)
        tree_loop_submit(again, other_removed, file);
}

static void linked(struct tree_call *call) {
    struct copy_file *file = call->owner;
    int r = call->nfs.result;
    if (r == 0) {
        atomic_fetch_add(&file->copier->progress->files, 1);
        copy_file_end(file);
    } else if (r == -EEXIST && file->attempts++ < ATTEMPTS_MAX) {
        struct tree_call *look = copy_file_call(file, NFS_LOOKUP, file->name);
        if (look)
            tree_loop_submit(look, other_found, file);
    } else if (r == -EMLINK || r == -EPERM || r == -EOPNOTSUPP || r == -EXDEV) { // no link: a file of its own
        atomic_fetch_add(&file->copier->progress->links_split, 1);
        copy_file_make(file);
    } else {
        copy_file_fail(file, "link", r);
    }
}

static void use(struct copy_link *link, struct copy_file *file) {
    if (link->vanished) {
        atomic_fetch_add(&file->copier->progress->vanished, 1);
        copy_file_end(file);
        return;
    }
    file->to = *link->to;
    send_link(file, link->to);
}

bool copy_link_begin(struct copy_file *file) {
    struct copy_link *link = find(file->copier, &file->attr);
    if (!link) {
        remember(file);
        return false;
    }
    link->seen++;
    if (link->whole) {
        use(link, file);
        if (link->seen >= link->names && !file->copier->links_kept)
            forget(file->copier, link);
    } else {
        file->next_waiter = link->waiters;
        link->waiters = file;
    }
    return true;
}

void copy_link_whole(struct copy_file *file) {
    struct copy_link *link = take_ptr(file->link);
    if (!link)
        return;
    link->whole = true;
    link->vanished = file->vanished;
    link->to = mem_alloc(sizeof *link->to);
    if (!link->to) {
        tree_loop_no_memory(&file->copier->loop);
        return;
    }
    *link->to = file->to;
    while (link->waiters) {
        struct copy_file *waiter = link->waiters;
        link->waiters = waiter->next_waiter;
        use(link, waiter);
    }
    if (link->seen >= link->names && !file->copier->links_kept)
        forget(file->copier, link);
}

void copy_links_done(struct copier *copier) {
    for (size_t i = 0; copier->links && i < BUCKETS; i++)
        for (struct copy_link *link; (link = copier->links[i]);) {
            copier->links[i] = link->next;
            free(link->to);
            free(link);
        }
    free(copier->links);
}
