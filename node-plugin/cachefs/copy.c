// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/copy.h"

#include <errno.h>
#include <fcntl.h>

#include "lib/base/log.h"
#include "node-plugin/cachefs/attr.h"
#include "node-plugin/cachefs/inode.h"

#define FILL_AT_OPEN_MAX (UINT64_C(4) << 20) // bytes; larger files are read while they are fetched

static struct cache_version version_of(const struct nfs_attr *attr) {
    return (struct cache_version){.size = attr->size, .mtime = attr->mtime, .ctime = attr->ctime};
}

bool copy_is_version(const struct cached *object, const struct nfs_attr *attr) {
    struct cache_version seen = version_of(attr);
    return cached_is_version(object, &seen);
}

bool copy_is_settled(const struct fs *fs, const struct nfs_attr *attr) {
    const struct timespec *last = attr->mtime.tv_sec > attr->ctime.tv_sec ? &attr->mtime : &attr->ctime;
    return !fs->copies.cache || fs->copies.trust == TRUST_IMMUTABLE ||
           last->tv_sec + fs->copies.settle_s < clock_wall(fs->clock) / NS_PER_S;
}

// ---- under copy_lock

static void forget_copy(struct inode *inode) {
    struct copy *c = &inode->copy;
    if (c->backing_id) {
        nodes_set_backing(inode->fs->nodes, inode->id, 0, NULL);
        passthrough_close(inode->fs->device, c->backing_id);
    }
    (void)cached_put(c->object);
    c->object = NULL;
    c->backing_id = 0;
    c->changed = false;
}

// What is there now must not be found by anybody any more; who reads it through the kernel keeps it.
static void give_up_copy(struct inode *inode) {
    struct copy *c = &inode->copy;
    if (c->object)
        cached_drop(c->object);
    c->changed = true;
    if (c->passed == 0)
        forget_copy(inode);
}

static bool is_current(const struct copy *c, const struct nfs_attr *attr) {
    return c->object && !c->changed && copy_is_version(c->object, attr);
}

// The kernel would answer reads of a disk that is gone with EIO. For those who have the file open it does; nobody joins them.
static bool can_pass(struct inode *inode) {
    struct copy *c = &inode->copy;
    int r = cached_readable(c->object, false);
    if (r == 0 || r == -EAGAIN)
        return true;
    if (c->passed)
        give_up_copy(inode);
    return false;
}

// To be asked for its first byte, which is on the disk only: without our lock, for it takes time.
static bool wants_trial(struct op *op, bool tried) {
    struct copy *c = &op->inode->copy;
    if (tried || !op->fs->copies.passthrough || cached_readable(c->object, false) != -EAGAIN)
        return false;
    cached_hold(c->object);
    op->object = c->object;
    return true;
}

static void find_copy(struct inode *inode, const struct nfs_attr *attr) {
    struct copy *c = &inode->copy;
    struct fs *fs = inode->fs;
    if (c->object && !is_current(c, attr))
        forget_copy(inode);
    c->changed = false;
    if (c->object || attr->size == 0 || !S_ISREG(attr->mode) || !copy_is_settled(fs, attr) || !wb_clean(&inode->wb))
        return;
    struct cache_version version = version_of(attr);
    if (cache_get(fs->copies.cache, inode->fh.data, inode->fh.len, &version, true, &c->object) < 0)
        c->object = NULL; // no room, or a sick disk: the origin serves
    c->version = version;
}

static struct node_stamp stamp_of(const struct cache_version *version) {
    return (struct node_stamp){.mtime = version->mtime, .ctime = version->ctime, .size = version->size, .valid = true};
}

static bool is_registered(struct inode *inode) {
    struct copy *c = &inode->copy;
    struct fs *fs = inode->fs;
    if (c->backing_id || !fs->copies.passthrough)
        return c->backing_id != 0;
    int r = passthrough_open(fs->device, cached_fd(c->object), &c->backing_id);
    if (r < 0) {
        log_debug("a cached file cannot be passed through", LOG_S("error", err_name(r)));
    }
    struct node_stamp state = stamp_of(&c->version);
    if (r == 0)
        nodes_set_backing(fs->nodes, inode->id, c->backing_id, &state);
    return r == 0;
}

static int choose_for_reading(struct op *op, const struct nfs_attr *attr, bool tried, enum open_mode *ret_mode) {
    struct copy *c = &op->inode->copy;
    if (c->passed) {
        if (is_current(c, attr) && wants_trial(op, tried))
            return -EAGAIN;
        *ret_mode = is_current(c, attr) && can_pass(op->inode) ? OPEN_PASSED : OPEN_ATTENDED;
        return 0;
    }
    if (!op->fs->copies.cache || nodes_is_retired(op->fs->nodes, op->inode->id))
        return 0;
    find_copy(op->inode, attr);
    if (c->object && !tried)
        cache_count_open(op->fs->copies.cache, c->object, cached_complete(c->object));
    if (!c->object || c->cached)
        return 0;
    if (!cached_complete(c->object)) {
        if (tried || attr->size > FILL_AT_OPEN_MAX || !op->fs->copies.passthrough)
            return 0;
        cached_hold(c->object);
        op->object = c->object;
        return -EAGAIN;
    }
    if (wants_trial(op, tried))
        return -EAGAIN;
    if (can_pass(op->inode) && is_registered(op->inode))
        *ret_mode = OPEN_PASSED;
    return 0;
}

static int choose_for_writing(struct op *op, enum open_mode *ret_mode) {
    struct copy *c = &op->inode->copy;
    if (!c->passed)
        return 0;
    if ((op->fi.flags & O_ACCMODE) == O_RDWR)
        return -ESTALE;
    *ret_mode = OPEN_ATTENDED;
    return 0;
}

static bool only_reads(const struct op *op) {
    return (op->fi.flags & O_ACCMODE) == O_RDONLY && !(op->fi.flags & O_TRUNC);
}

bool copy_needs_other_inode(struct op *op, const struct nfs_attr *attr) {
    struct fs *fs = op->fs;
    struct inode *inode = inode_find(fs, op->id);
    bool needs = false;
    if (!inode)
        return nodes_is_retired(fs->nodes, op->id);
    {
        LOCK_SCOPE(&fs->copy_lock);
        const struct copy *c = &inode->copy;
        if (c->passed)
            needs = only_reads(op) ? !is_current(c, attr) || !can_pass(inode) : (op->fi.flags & O_ACCMODE) == O_RDWR;
    }
    if (needs)
        nodes_retire(fs->nodes, op->id);
    needs = needs || nodes_is_retired(fs->nodes, op->id);
    inode_put(inode);
    return needs;
}

int copy_choose(struct op *op, const struct nfs_attr *attr, bool tried, enum open_mode *ret_mode, int32_t *ret_id) {
    *ret_mode = OPEN_CACHED;
    struct copy *c = &op->inode->copy;
    LOCK_SCOPE(&op->fs->copy_lock);
    int r = only_reads(op) ? choose_for_reading(op, attr, tried, ret_mode) : choose_for_writing(op, ret_mode);
    if (r < 0)
        return r;
    *(*ret_mode == OPEN_CACHED ? &c->cached : &c->passed) += 1;
    *ret_id = c->backing_id;
    return 0;
}

static bool is_worth_completing(const struct copy *c) {
    return c->object && !c->changed && c->cached == 0 && c->passed == 0 && !cached_complete(c->object) &&
           cached_bytes(c->object) >= cached_size(c->object) / 2;
}

bool copy_closed(struct inode *inode, enum open_mode mode, struct nfs_attr *ret_partial) {
    struct copy *c = &inode->copy;
    LOCK_SCOPE(&inode->fs->copy_lock);
    *(mode == OPEN_CACHED ? &c->cached : &c->passed) -= 1;
    if (c->changed && c->passed == 0)
        forget_copy(inode);
    if (mode != OPEN_CACHED || !is_worth_completing(c))
        return false;
    *ret_partial = (struct nfs_attr){
        .mode = S_IFREG, .size = c->version.size, .mtime = c->version.mtime, .ctime = c->version.ctime};
    return true;
}

// ---- for those who do not open it

int copy_peek(struct fs *fs, const struct nfs_fh *fh, const struct nfs_attr *attr, struct cached **ret) {
    struct cache_version version = version_of(attr);
    return cache_get(fs->copies.cache, fh->data, fh->len, &version, false, ret);
}

int copy_take(struct inode *inode, const struct nfs_attr *attr, struct cached **ret) {
    struct fs *fs = inode->fs;
    struct cache_version version = version_of(attr);
    {
        LOCK_SCOPE(&fs->copy_lock);
        struct copy *c = &inode->copy;
        if (is_current(c, attr)) {
            cached_hold(c->object);
            *ret = c->object;
            return 0;
        }
        if (c->object || !copy_is_settled(fs, attr) || !wb_clean(&inode->wb))
            return -EAGAIN;
    }
    return cache_get(fs->copies.cache, inode->fh.data, inode->fh.len, &version, true, ret);
}

bool copy_close_idle(struct fs *fs, const struct nfs_fh *fh) {
    uint64_t id = nodes_find(fs->nodes, fh);
    struct inode *inode = id ? inode_find(fs, id) : NULL;
    bool idle = true;
    if (inode) {
        {
            LOCK_SCOPE(&fs->copy_lock);
            idle = inode->copy.cached == 0 && inode->copy.passed == 0;
            if (idle)
                forget_copy(inode);
        }
        inode_put(inode);
    }
    return idle;
}

enum copy_use copy_use(struct fs *fs, const struct nfs_fh *fh) {
    uint64_t id = nodes_find(fs->nodes, fh);
    struct inode *inode = id ? inode_find(fs, id) : NULL;
    enum copy_use use = COPY_CLOSED;
    if (inode) {
        {
            LOCK_SCOPE(&fs->copy_lock);
            if (inode->copy.passed)
                use = COPY_BY_KERNEL;
            else if (inode->copy.cached)
                use = COPY_BY_DAEMON;
        }
        inode_put(inode);
    }
    return use;
}

// ---- while it is open

struct cached *copy_for_read(struct inode *inode, uint64_t offset, size_t size) {
    struct fs *fs = inode->fs;
    if (!fs->copies.cache)
        return NULL;
    LOCK_SCOPE(&fs->copy_lock);
    struct copy *c = &inode->copy;
    if (!c->object || c->changed)
        return NULL;
    uint64_t known = cached_size(c->object), end = offset + size;
    if (offset >= known || (end > known && nodes_kernel_size(fs->nodes, inode->id) > known))
        return NULL;
    cached_hold(c->object);
    return c->object;
}

void copy_changed(struct inode *inode, uint64_t offset, const void *data, size_t len) {
    if (!inode->fs->copies.cache)
        return;
    LOCK_SCOPE(&inode->fs->copy_lock);
    give_up_copy(inode);
    if (data && inode->copy.object && cached_patch(inode->copy.object, offset, data, len) < 0)
        log_debug("readers of a file that is written do not see it", LOG_I("offset", (int64_t)offset));
}

void copy_saw(struct fs *fs, uint64_t id, const struct nfs_attr *attr) {
    if (!fs->copies.cache)
        return;
    struct inode *inode = inode_find(fs, id);
    if (!inode)
        return;
    {
        LOCK_SCOPE(&fs->copy_lock);
        if (inode->copy.object && !inode->copy.changed && !copy_is_version(inode->copy.object, attr))
            give_up_copy(inode);
    }
    inode_put(inode);
}

void copy_outdated(struct inode *inode, struct cached *object) {
    LOCK_SCOPE(&inode->fs->copy_lock);
    cached_drop(object);
    if (inode->copy.object == object)
        give_up_copy(inode);
}

// ---- after another daemon

void copy_restore(struct inode *inode, enum open_mode mode) {
    LOCK_SCOPE(&inode->fs->copy_lock);
    *(mode == OPEN_CACHED ? &inode->copy.cached : &inode->copy.passed) += 1;
}

static bool resume_copy(struct inode *inode, int32_t backing_id, const struct node_stamp *state) {
    struct copy *c = &inode->copy;
    struct fs *fs = inode->fs;
    LOCK_SCOPE(&fs->copy_lock);
    if (c->passed == 0)
        return false;
    c->backing_id = backing_id;
    c->version = (struct cache_version){.size = state->size, .mtime = state->mtime, .ctime = state->ctime};
    // Not there any more, or no cache: who has it open through the kernel keeps it all the same.
    c->changed = !fs->copies.cache ||
                 cache_get(fs->copies.cache, inode->fh.data, inode->fh.len, &c->version, false, &c->object) < 0;
    return true;
}

void copy_resume(struct fs *fs) {
    struct node_stamp state;
    for (uint64_t id = nodes_next_backing(fs->nodes, 0); id; id = nodes_next_backing(fs->nodes, id)) {
        int32_t backing_id = nodes_backing(fs->nodes, id, &state);
        struct inode *inode = inode_find(fs, id);
        if (!inode || !resume_copy(inode, backing_id, &state)) { // of a file that was closed
            nodes_set_backing(fs->nodes, id, 0, NULL);
            passthrough_close(fs->device, backing_id);
        }
        if (inode)
            inode_put(inode);
    }
}

void copy_done(struct inode *inode) {
    if (!inode->copy.object && !inode->copy.backing_id)
        return;
    LOCK_SCOPE(&inode->fs->copy_lock);
    forget_copy(inode);
}

int copy_probe(struct fs *fs, int fd, struct err *err) {
    int32_t id = 0;
    int r = passthrough_open(fs->device, fd, &id);
    if (r < 0)
        return err_set(
            err, r,
            r == -ELOOP
                ? "the cache directory is on a stacked file system (%s); give a directory of ext4 or XFS"
                : "the kernel does not read files of the cache itself: %s; it needs Linux 6.9 and CAP_SYS_ADMIN",
            err_name(r));
    passthrough_close(fs->device, id);
    return 0;
}
