// SPDX-License-Identifier: Apache-2.0
// Reads of files that have a copy: from the copy, from what is on its way, or fetched now.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "node-plugin/cachefs/copy.h"
#include "node-plugin/cachefs/fetch.h"
#include "node-plugin/cachefs/ops.h"
#include "node-plugin/cachefs/splice.h"

#define TRIES_MAX 4u // of a piece that came and was gone again before it was taken

static void next_piece(struct op *op);

static void came(struct fetch_wait *wait) {
    op_resume((struct op *)(void *)((char *)wait - offsetof(struct op, fetch_wait)), 0);
}

static struct fetch_range range_of(const struct op *op, uint64_t from, uint64_t to, enum fetch_priority priority) {
    return (struct fetch_range){
        .inode = op->inode, .object = op->object, .cred = &op->cred, .from = from, .to = to, .priority = priority};
}

// Waits for what holds `offset`: false when nothing is on its way there.
static bool wait_for(struct op *op, uint64_t offset, bool stored, void (*step)(struct op *op)) {
    op->fetch_wait = (struct fetch_wait){.run = came, .stored = stored};
    op_begin_wait(op, step);
    int r = fetch_join(op->inode, offset, &op->fetch_wait);
    if (r < 0) {
        op_end_wait(op);
        return false;
    }
    if (r == 1)
        op_resume(op, 0);
    return true;
}

// Waits for memory that the disk is about to give back.
static bool wait_for_room(struct op *op, void (*step)(struct op *op)) {
    op->fetch_wait = (struct fetch_wait){.run = came};
    op_begin_wait(op, step);
    if (fetch_wait_room(op->fs, &op->fetch_wait))
        return true;
    op_end_wait(op);
    return false;
}

// ---- a read

static bool read_copy(struct op *op, uint64_t offset, size_t len) {
    if (!op->buf)
        op->buf = bufs_get(&op->fs->bufs);
    if (!op->buf)
        return false;
    ssize_t n = pread(cached_fd(op->object), (char *)op->buf + op->done, len, (off_t)offset);
    if (n != (ssize_t)len) { // the disk: the origin has it, and nobody shall meet it again
        copy_outdated(op->inode, op->object);
        return false;
    }
    cache_count_bytes(op->fs->copies.cache, len, 0);
    op->done += len;
    return true;
}

// From the origin, as on a mount without a cache.
static void read_origin(struct op *op) {
    op->done = 0;
    bufs_put(&op->fs->bufs, take_ptr(op->buf));
    op_read_origin(op);
}

static void take_piece(struct op *op) {
    struct fetch *f = take_ptr(op->fetch_wait.fetch);
    if (op->result < 0 || fetch_result(f) < 0) {
        int r = op->result < 0 ? op->result : fetch_result(f);
        if (f)
            fetch_put(op->fs, f);
        op_reply_error(op, r);
        return;
    }
    uint64_t at = op->offset + op->done, end = op->offset + op->size, there = fetch_offset(f) + fetch_len(f);
    const char *data = fetch_data(f) + (at - fetch_offset(f));
    if (at > there || (op->done == 0 && end <= there)) { // all of it, or the file ends before it now
        struct fs *fs = op->fs;
        op_reply_data(op, data, at > there ? 0 : end - at);
        fetch_put(fs, f);
        return;
    }
    size_t n = (end < there ? end : there) - at;
    if (!op->buf)
        op->buf = bufs_get(&op->fs->bufs);
    if (op->buf)
        memcpy((char *)op->buf + op->done, data, n);
    fetch_put(op->fs, f);
    if (!op->buf) {
        op_reply_error(op, -ENOMEM);
        return;
    }
    op->done += n;
    if (n == 0)
        op_reply_data(op, op->buf, op->done);
    else
        next_piece(op);
}

// All of it is in the copy.
static bool reply_from_copy(struct op *op) {
    if (op->size < SPLICE_MIN || !cached_has(op->object, op->offset, op->size))
        return false;
    if (splice_load(cached_fd(op->object), op->offset, op->size) < 0)
        return false;
    cache_count_bytes(op->fs->copies.cache, op->size, 0);
    splice_reply(op->req, op->size);
    op_end(op);
    return true;
}

static void room_came(struct op *op) {
    if (op->result < 0)
        op_reply_error(op, op->result);
    else
        next_piece(op);
}

static void next_piece(struct op *op) {
    while (op->done < op->size) {
        uint64_t at = op->offset + op->done;
        size_t left = op->size - op->done;
        uint64_t missing = cached_next_missing(op->object, at);
        if (missing > at) {
            if (!read_copy(op, at, missing - at < left ? missing - at : left)) {
                read_origin(op);
                return;
            }
            continue;
        }
        if (wait_for(op, at, false, take_piece))
            return;
        struct fetch_range range = range_of(op, at, at + left, FETCH_DEMAND);
        int r = fetch_request(&range);
        if (r == -EAGAIN && wait_for_room(op, room_came))
            return;
        if (++op->tries > TRIES_MAX || (r < 0 && r != -EAGAIN)) {
            read_origin(op);
            return;
        }
    }
    op_reply_data(op, op->buf, op->done);
}

static void read_ahead(struct op *op) {
    uint64_t from, to;
    bool ahead;
    {
        LOCK_SCOPE(&op->fs->copy_lock);
        ahead = readahead_next(&op->file->readahead, op->offset, op->size, cached_size(op->object), &from, &to);
    }
    if (!ahead)
        return;
    struct fetch_range range = range_of(op, from, to, FETCH_AHEAD);
    (void)fetch_request(&range); // no room now: the next read tries again
}

void copy_read(struct op *op) {
    uint64_t size = cached_size(op->object);
    if (op->size > size - op->offset)
        op->size = size - op->offset;
    if (!cached_complete(op->object)) {
        uint64_t end = op->offset + op->size;
        if (readahead_is_forward(&op->file->readahead)) // whole READs instead of what the kernel happens to ask for
            end = (end + NFS_IO_MAX - 1) / NFS_IO_MAX * NFS_IO_MAX;
        struct fetch_range range = range_of(op, op->offset, end < size ? end : size, FETCH_DEMAND);
        if (!cached_has(op->object, op->offset, op->size))
            (void)fetch_request(&range);
        read_ahead(op);
    }
    if (!reply_from_copy(op))
        next_piece(op);
}

// ---- all of a file, before it is opened

static void fill_next(struct op *op);

static void fill_came(struct op *op) {
    struct fetch *f = take_ptr(op->fetch_wait.fetch);
    bool stored = op->result == 0 && fetch_result(f) == 0 && fetch_is_stored(f);
    if (f && op->result == 0) {
        op->done = fetch_offset(f) + fetch_len(f);
        if (fetch_result(f) < 0)
            op->result = fetch_result(f);
    }
    if (f)
        fetch_put(op->fs, f);
    if (stored)
        fill_next(op);
    else
        op->then(op);
}

static void fill_next(struct op *op) {
    for (;;) {
        uint64_t missing = cached_next_missing(op->object, op->done);
        if (missing >= cached_size(op->object) || op->tries > TRIES_MAX) {
            op->result = 0;
            op->then(op);
            return;
        }
        op->done = missing;
        if (wait_for(op, missing, true, fill_came))
            return;
        op->tries++; // it was stored, or not, since we looked
    }
}

static void fill_request(struct op *op) {
    struct fetch_range range = range_of(op, op->done, cached_size(op->object), FETCH_DEMAND);
    if (op->result < 0)
        op->then(op);
    else if (fetch_request(&range) != -EAGAIN || !wait_for_room(op, fill_request))
        fill_next(op);
}

void copy_fill(struct op *op, void (*step)(struct op *op)) {
    op->then = step;
    op->done = 0;
    op->tries = 0;
    op->result = 0;
    fill_request(op);
}
