// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/writeback.h"

#include <errno.h>
#include <string.h>

#include "node-plugin/cachefs/writeback_piece.h"
#include "node-plugin/cachefs/writeback_plan.h"

// ---- calls; no lock is held

static void write_done(struct nfs_call *call);
static void commit_done(struct nfs_call *call);

static void send_piece(struct wb_piece *p) {
    bool stable = p->call.stable;
    p->call = (struct nfs_call){.op = NFS_WRITE,
                                .fh = p->wb->fh,
                                .cred = &p->cred,
                                .offset = p->offset + p->sent,
                                .count = (uint32_t)(p->len - p->sent),
                                .data = (void *)(uintptr_t)(p->data + p->sent),
                                .stable = stable,
                                .done = write_done,
                                .arg = p};
    if (p->call.count > p->wb->mount->write_max)
        p->call.count = p->wb->mount->write_max;
    wb_piece_address(p);
    nfs_submit(p->wb->mount->share, &p->call);
}

static void carry_out(struct wb_mount *m, struct wb_todo *todo) {
    while (todo->send) {
        struct wb_piece *p = todo->send;
        todo->send = p->call.priv;
        send_piece(p);
    }
    for (size_t i = 0; i < todo->commit_count; i++) {
        struct wb *wb = todo->commits[i];
        wb->commit =
            (struct nfs_call){.op = NFS_COMMIT, .fh = wb->fh, .cred = &wb->commit_cred, .done = commit_done, .arg = wb};
        nfs_submit(m->share, &wb->commit);
    }
    struct wb_wait *runs = todo->runs;
    while (runs) {
        struct wb_wait *wait = runs;
        runs = wait->next;
        wait->run(wait, wait->result);
    }
    if (todo->idle && todo->idle->release)
        todo->idle->release(todo->idle); // last: it may free the file
}

static void set_error(struct wb *wb, int error) {
    wb->error = error == -ECANCELED ? -EIO : error;
    wb->error_seq++;
    wb->refused = true;
    if (wb->failed)
        wb->failed(wb); // before what it is about is forgotten
}

static void drop_piece(struct wb_piece *p, int result, struct wb_todo *todo) {
    if (p->through)
        wb_run_later(todo, p->through, result);
    else if (result < 0)
        set_error(p->wb, result);
    wb_piece_free(p);
}

static void piece_answered(struct wb_piece *p, const struct nfs_call *call, struct wb_todo *todo) {
    struct wb *wb = p->wb;
    if (call->result < 0 || call->count == 0) {
        wb_list_remove(&wb->active, p);
        drop_piece(p, call->result < 0 ? call->result : -EIO, todo);
        return;
    }
    wb->refused = false;
    p->sent += call->count;
    if (p->sent < p->len) { // the server took a part
        p->state = WB_QUEUED;
        return;
    }
    wb_list_remove(&wb->active, p);
    bool stable = call->committed || p->call.stable;
    if (stable && !wb_kept_overlaps(wb, p)) {
        drop_piece(p, 0, todo);
        return;
    }
    wb_piece_set_kept(p, call->verifier);
    if (p->through)
        wb_run_later(todo, take_ptr(p->through), 0);
    wb_list_insert(&wb->kept, p);
    wb->kept_bytes += p->cap;
}

static void write_done(struct nfs_call *call) {
    struct wb_piece *p = call->arg;
    struct wb *wb = p->wb;
    struct wb_mount *m = wb->mount;
    struct wb_todo todo = {0};
    {
        LOCK_SCOPE(&m->lock);
        wb->in_flight--;
        wb->answered = ++m->answers;
        piece_answered(p, call, &todo);
        wb_progress(wb, &todo);
    }
    carry_out(m, &todo);
}

static void commit_answered(struct wb *wb, struct wb_todo *todo) {
    struct wb_piece *next;
    wb->committing = false;
    for (struct wb_piece *p = wb->kept.head; p; p = next) {
        next = p->next;
        if (!p->committing)
            continue;
        p->committing = false;
        wb_list_remove(&wb->kept, p);
        wb->kept_bytes -= p->cap;
        bool lost = wb->commit.result == 0 && memcmp(p->verifier, wb->commit.verifier, sizeof p->verifier) != 0;
        if (lost && p->len) { // the server restarted and forgot it
            wb_piece_set_lost(p);
            wb_list_insert(&wb->active, p);
        } else {
            drop_piece(p, wb->commit.result, todo);
        }
    }
}

static void commit_done(struct nfs_call *call) {
    struct wb *wb = call->arg;
    struct wb_mount *m = wb->mount;
    struct wb_todo todo = {0};
    {
        LOCK_SCOPE(&m->lock);
        commit_answered(wb, &todo);
        wb_progress(wb, &todo);
    }
    carry_out(m, &todo);
}

// ---- the interface

void wb_mount_init(struct wb_mount *m, struct nfs_share *share, struct bufs *bufs, struct slots *records,
                   size_t budget) {
    const struct nfs_info *info = nfs_share_info(share);
    *m = (struct wb_mount){.share = share, .bufs = bufs, .records = records, .budget = budget};
    m->write_max = info->write_max && info->write_max < NFS_IO_MAX ? info->write_max : NFS_IO_MAX;
    (void)pthread_mutex_init(&m->lock, NULL);
}

void wb_mount_done(struct wb_mount *m) {
    (void)pthread_mutex_destroy(&m->lock);
}

void wb_init(struct wb *wb, struct wb_mount *m, const struct nfs_fh *fh) {
    *wb = (struct wb){.mount = m, .fh = *fh, .next_seq = 1};
}

static int accept_write(struct wb *wb, struct wb_write *w, struct wb_wait *wait, struct wb_todo *todo) {
    bool through = w->through || w->stable || wb->refused;
    uint64_t end = w->offset + w->len;
    if (!through && wb->active.tail && wb_piece_grow(wb->active.tail, w)) {
        bufs_put(wb->mount->bufs, take_ptr(w->buf));
    } else {
        struct wb_piece *p = wb_piece_new(wb, w);
        if (!p)
            return -ENOMEM;
        if (p->buf != w->buf)
            bufs_put(wb->mount->bufs, w->buf);
        w->buf = NULL;
        p->through = through ? wait : NULL;
        wait->kind = WB_THROUGH;
        p->seq = wb->next_seq++;
        wb_piece_publish(p);
        if (wb_is_clean(wb))
            wb->end = 0;
        wb_list_insert(&wb->active, p);
        wb_set_listed(wb, true);
    }
    if (end > wb->end)
        wb->end = end;
    wb_progress(wb, todo);
    return through ? 0 : 1;
}

int wb_write(struct wb *wb, struct wb_write *w, struct wb_wait *wait) {
    struct wb_mount *m = wb->mount;
    struct wb_todo todo = {0};
    int r;
    {
        LOCK_SCOPE(&m->lock);
        if (!wb_room_is_there(m, w->len)) {
            wb_room_push(m, wait);
            wb_progress(wb, &todo);
            r = -EAGAIN;
        } else {
            r = accept_write(wb, w, wait, &todo);
        }
    }
    carry_out(m, &todo);
    return r;
}

static bool wait_for(struct wb *wb, struct wb_wait *wait) {
    struct wb_todo todo = {0};
    {
        LOCK_SCOPE(&wb->mount->lock);
        wait->seq = wb->next_seq;
        if (wb_wait_is_over(wb, wait))
            return true;
        wb_wait_link(&wb->waits, wait);
        wb_progress(wb, &todo);
    }
    carry_out(wb->mount, &todo);
    return false;
}

bool wb_wait_range(struct wb *wb, struct wb_wait *wait, uint64_t offset, uint64_t len) {
    wait->kind = WB_RANGE;
    wait->offset = offset;
    wait->len = len;
    return wait_for(wb, wait);
}

bool wb_sync(struct wb *wb, struct wb_wait *wait) {
    wait->kind = WB_SYNC;
    wait->offset = wait->len = 0;
    return wait_for(wb, wait);
}

static bool disown(struct wb *wb, const struct wb_wait *wait) {
    for (struct wb_piece *p = wb->active.head; p; p = p->next) {
        if (p->through == wait) {
            p->through = NULL; // an error is remembered instead
            return true;
        }
    }
    return false;
}

bool wb_unwait(struct wb *wb, struct wb_wait *wait) {
    LOCK_SCOPE(&wb->mount->lock);
    if (wait->kind == WB_THROUGH)
        return disown(wb, wait);
    if (!wait->linked)
        return false;
    if (wait->kind == WB_ROOM)
        wb_room_remove(wb->mount, wait);
    else
        wb_wait_unlink(&wb->waits, wait);
    return true;
}

int wb_error(struct wb *wb, unsigned *seen) {
    LOCK_SCOPE(&wb->mount->lock);
    if (*seen == wb->error_seq)
        return 0;
    *seen = wb->error_seq;
    return wb->error;
}

unsigned wb_error_now(struct wb *wb) {
    LOCK_SCOPE(&wb->mount->lock);
    return wb->error_seq;
}

bool wb_clean(struct wb *wb) {
    LOCK_SCOPE(&wb->mount->lock);
    return wb_is_clean(wb);
}

bool wb_busy(struct wb *wb, uint64_t since, uint64_t *ret_end) {
    LOCK_SCOPE(&wb->mount->lock);
    *ret_end = wb->end;
    return wb->active.head != NULL || wb->answered > since;
}

uint64_t wb_moment(struct wb_mount *m) {
    LOCK_SCOPE(&m->lock);
    return m->answers;
}

void wb_truncated(struct wb *wb, uint64_t size) {
    LOCK_SCOPE(&wb->mount->lock);
    wb->end = wb->end < size ? wb->end : size;
    for (struct wb_piece *p = wb->kept.head; p; p = p->next) {
        if (p->offset + p->len > size)
            wb_piece_cut(p, p->offset < size ? (size_t)(size - p->offset) : 0);
    }
}

int wb_restore(struct wb *wb, uint32_t record) {
    LOCK_SCOPE(&wb->mount->lock);
    struct wb_piece *p = wb_piece_restore(wb, record);
    if (!p)
        return -EINVAL;
    if (wb->next_seq <= p->seq)
        wb->next_seq = p->seq + 1;
    if (wb->end < p->offset + p->len)
        wb->end = p->offset + p->len;
    wb_list_insert(p->state == WB_KEPT ? &wb->kept : &wb->active, p);
    wb->kept_bytes += p->state == WB_KEPT ? p->cap : 0;
    wb_set_listed(wb, true);
    return 0;
}

void wb_kick(struct wb_mount *m) {
    struct wb_todo todo = {0};
    {
        LOCK_SCOPE(&m->lock);
        for (struct wb *wb = m->files; wb; wb = wb->next)
            wb_pump(wb, &todo);
    }
    carry_out(m, &todo);
}

void wb_tick(struct wb_mount *m) {
    struct wb_todo todo = {0};
    {
        LOCK_SCOPE(&m->lock);
        for (struct wb *wb = m->files; wb; wb = wb->next) {
            bool old = wb->aged;
            wb->aged = wb->active.head != NULL;
            if (old || m->stopping)
                wb_pump(wb, &todo);
            if (m->stopping)
                wb_start_commit(wb, &todo);
        }
    }
    carry_out(m, &todo);
}

size_t wb_mount_used(struct wb_mount *m) {
    LOCK_SCOPE(&m->lock);
    return m->used;
}

void wb_sync_all(struct wb_mount *m) {
    {
        LOCK_SCOPE(&m->lock);
        m->stopping = true;
    }
    wb_tick(m);
}
