// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/inode.h"

#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "node-plugin/cachefs/copy.h"
#include "node-plugin/cachefs/op.h"

// An answer that shows an older size may still be on its way when the last write is done and the file closed. As long
// as the inode is remembered, such an answer is corrected.
#define LINGER_NS (3 * NS_PER_S)
#define ROOM_LEAST 64u // kept files whose copies are closed at a time, so that the cache can give them up

static struct inode **bucket_of(struct fs *fs, uint64_t id) {
    return &fs->inodes[(uint32_t)id % FS_INODE_BUCKETS];
}

static struct inode *find(struct fs *fs, uint64_t id) {
    struct inode *inode = *bucket_of(fs, id);
    while (inode && inode->id != id)
        inode = inode->next;
    return inode;
}

static void unkeep(struct inode *inode) {
    struct fs *fs = inode->fs;
    *(inode->kept_prev ? &inode->kept_prev->kept_next : &fs->kept_first) = inode->kept_next;
    *(inode->kept_next ? &inode->kept_next->kept_prev : &fs->kept_last) = inode->kept_prev;
    inode->kept_prev = inode->kept_next = NULL;
    inode->kept = false;
    fs->kept_count--;
}

static void keep(struct inode *inode) {
    struct fs *fs = inode->fs;
    inode->kept = true;
    inode->kept_next = fs->kept_first;
    *(fs->kept_first ? &fs->kept_first->kept_prev : &fs->kept_last) = inode;
    fs->kept_first = inode;
    fs->kept_count++;
}

static void ref(struct inode *inode) {
    if (inode->refs++)
        return;
    if (inode->kept)
        unkeep(inode);
    else
        inode->fs->linger_count--;
}

static void wb_hold(struct wb *wb) { // the caller holds a reference, so it cannot be gone
    struct inode *inode = (struct inode *)(void *)wb;
    atomic_fetch_add(&inode->holds, 1);
}
static void wb_release(struct wb *wb) {
    struct inode *inode = (struct inode *)(void *)wb;
    (void)atomic_fetch_sub(&inode->holds, 1);
    watch_work(inode->fs);
}

static void wb_failed(struct wb *wb) {
    struct inode *inode = (struct inode *)(void *)wb;
    nodes_set_error(inode->fs->nodes, inode->id, wb->error, wb->error_seq);
    log_warning("written data was refused; its programs are told", LOG_S("error", err_name(wb->error)),
                LOG_I("node", inode->id), LOG_I("errors_of_the_file", wb->error_seq));
}

struct inode *inode_get(struct fs *fs, uint64_t id, const struct nfs_fh *fh) {
    LOCK_SCOPE(&fs->lock);
    struct inode *inode = find(fs, id);
    if (!inode) {
        inode = mem_zalloc(sizeof *inode);
        if (!inode)
            return NULL;
        inode->fs = fs;
        inode->id = id;
        inode->fh = *fh;
        wb_init(&inode->wb, &fs->wb, fh);
        inode->wb.hold = wb_hold;
        inode->wb.release = wb_release;
        inode->wb.failed = wb_failed;
        inode->wb.node = id;
        nodes_error(fs->nodes, id, &inode->wb.error, &inode->wb.error_seq);
        inode->next = *bucket_of(fs, id);
        *bucket_of(fs, id) = inode;
        fs->linger_count++;
    }
    ref(inode);
    return inode;
}

struct inode *inode_find(struct fs *fs, uint64_t id) {
    LOCK_SCOPE(&fs->lock);
    struct inode *inode = find(fs, id);
    if (inode)
        ref(inode);
    return inode;
}

void inode_hold(struct inode *inode) {
    LOCK_SCOPE(&inode->fs->lock);
    ref(inode);
}

static bool wrote_lately(const struct inode *inode) {
    return inode->wb.next_seq > 1 || inode->silly;
}

static void unlink_inode(struct fs *fs, struct inode *inode) {
    struct inode **at = bucket_of(fs, inode->id);
    while (*at != inode)
        at = &(*at)->next;
    *at = inode->next;
    if (inode->kept)
        unkeep(inode);
    else
        fs->linger_count--;
}

// Without the lock: its copy is closed, which the disk may take its time for.
static struct inode *inode_free(struct inode *inode) {
    if (inode) {
        copy_done(inode);
        free(inode);
    }
    return NULL;
}

void inode_put(struct inode *inode) {
    struct fs *fs = inode->fs;
    bool lingers = false, kept = false;
    struct inode *drop = NULL;
    {
        LOCK_SCOPE(&fs->lock);
        if (--inode->refs)
            return;
        lingers = wrote_lately(inode);
        if (!lingers && inode->copy.object && nodes_is_live(fs->nodes, inode->id)) {
            keep(inode);
            kept = true;
            drop = fs->kept_count > FS_KEPT_MAX ? fs->kept_last : NULL;
        } else {
            fs->linger_count++;
            inode->linger_until = clock_monotonic(fs->clock) + LINGER_NS;
            drop = lingers ? NULL : inode;
        }
        if (drop)
            unlink_inode(fs, drop);
    }
    (void)inode_free(drop);
    if (lingers || kept)
        watch_work(fs);
}

// Those that were not used for longest, and at least some.
static struct inode *take_kept(struct fs *fs, size_t *count) {
    LOCK_SCOPE(&fs->lock);
    if (*count == SIZE_MAX)
        *count = fs->kept_count / 4 > ROOM_LEAST ? fs->kept_count / 4 : ROOM_LEAST;
    struct inode *inode = *count ? fs->kept_last : NULL;
    if (inode) {
        --*count;
        unlink_inode(fs, inode);
    }
    return inode;
}

bool inode_make_room(struct fs *fs) {
    struct inode *inode;
    if (fs->copies.cache && cache_wants_room(fs->copies.cache))
        for (size_t count = SIZE_MAX; (inode = take_kept(fs, &count));)
            (void)inode_free(inode);
    LOCK_SCOPE(&fs->lock);
    return fs->kept_count > 0;
}

void inode_forgotten(struct fs *fs, uint64_t id) {
    struct inode *drop = NULL;
    if (!fs->copies.cache || nodes_is_live(fs->nodes, id))
        return;
    {
        LOCK_SCOPE(&fs->lock);
        struct inode *inode = find(fs, id);
        if (inode && inode->kept) {
            unlink_inode(fs, inode);
            drop = inode;
        }
    }
    (void)inode_free(drop);
}

void inode_opened(struct inode *inode) {
    LOCK_SCOPE(&inode->fs->lock);
    if (inode->opens++ == 0)
        inode->fs->open_count++;
}

bool inode_closed(struct inode *inode) {
    LOCK_SCOPE(&inode->fs->lock);
    if (--inode->opens)
        return false;
    inode->fs->open_count--;
    if (!inode->silly || inode->silly_removing || inode->silly_moving)
        return false;
    inode->silly_removing = true;
    return true;
}

bool inode_correct_attr(struct fs *fs, uint64_t id, uint64_t moment, struct nfs_attr *attr) {
    LOCK_SCOPE(&fs->lock);
    struct inode *inode = find(fs, id);
    if (!inode)
        return true;
    if (inode->silly && attr->nlink)
        attr->nlink--; // the silly name is not one for the user
    uint64_t end;
    if (!wb_busy(&inode->wb, moment, &end))
        return true;
    if (attr->size < end)
        attr->size = end;
    return false;
}

bool inode_drop_unused(struct fs *fs) {
    struct inode *drop = NULL;
    bool left;
    {
        LOCK_SCOPE(&fs->lock);
        int64_t now = clock_monotonic(fs->clock);
        for (size_t i = 0; i < FS_INODE_BUCKETS && fs->linger_count; i++)
            for (struct inode *inode = fs->inodes[i], *next; inode; inode = next) {
                next = inode->next;
                if (inode->refs || inode->kept || atomic_load(&inode->holds) || inode->linger_until >= now)
                    continue;
                unlink_inode(fs, inode);
                inode->next = drop;
                drop = inode;
            }
        left = fs->linger_count > 0;
    }
    for (struct inode *inode = drop, *next; inode; inode = next) {
        next = inode->next;
        (void)inode_free(inode);
    }
    return left;
}

void inode_drop_all(struct fs *fs) {
    for (size_t i = 0; i < FS_INODE_BUCKETS; i++)
        while (fs->inodes[i]) {
            struct inode *inode = fs->inodes[i];
            fs->inodes[i] = inode->next;
            (void)inode_free(inode);
        }
}

bool inode_any_open(struct fs *fs) {
    LOCK_SCOPE(&fs->lock);
    return fs->open_count > 0;
}

struct inode *inode_find_open(struct fs *fs, const struct nfs_fh *fh) {
    uint64_t id = nodes_find(fs->nodes, fh);
    LOCK_SCOPE(&fs->lock);
    struct inode *inode = id ? find(fs, id) : NULL;
    if (!inode || !inode->opens)
        return NULL;
    ref(inode);
    return inode;
}

static struct inode *next_silly(struct fs *fs, const struct nfs_fh *dir, const char *name) {
    for (size_t i = 0; i < FS_INODE_BUCKETS && fs->silly_count; i++)
        for (struct inode *inode = fs->inodes[i]; inode; inode = inode->next)
            if (inode->silly && nfs_fh_eq(&inode->silly_dir, dir) && (!name || strcmp(inode->silly_name, name) == 0))
                return inode;
    return NULL;
}

bool inode_is_silly_name(struct fs *fs, const struct nfs_fh *dir, const char *name) {
    LOCK_SCOPE(&fs->lock);
    return next_silly(fs, dir, name) != NULL;
}

struct inode *inode_find_silly(struct fs *fs, const struct nfs_fh *dir) {
    LOCK_SCOPE(&fs->lock);
    struct inode *inode = next_silly(fs, dir, NULL);
    if (inode)
        ref(inode);
    return inode;
}
