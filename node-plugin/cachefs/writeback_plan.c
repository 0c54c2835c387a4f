// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/writeback_plan.h"

void wb_wait_link(struct wb_wait **list, struct wb_wait *wait) {
    wait->prev = NULL;
    wait->next = *list;
    if (*list)
        (*list)->prev = wait;
    *list = wait;
    wait->linked = true;
}

void wb_wait_unlink(struct wb_wait **list, struct wb_wait *wait) {
    *(wait->prev ? &wait->prev->next : list) = wait->next;
    if (wait->next)
        wait->next->prev = wait->prev;
    wait->linked = false;
}

void wb_run_later(struct wb_todo *todo, struct wb_wait *wait, int result) {
    wait->result = result;
    wait->next = todo->runs;
    todo->runs = wait;
}

// ---- the room of the mount: first come, first served

void wb_room_push(struct wb_mount *m, struct wb_wait *wait) {
    wait->kind = WB_ROOM;
    wait->linked = true;
    wait->next = NULL;
    wait->prev = m->room_tail;
    *(m->room_tail ? &m->room_tail->next : &m->room_head) = wait;
    m->room_tail = wait;
}

void wb_room_remove(struct wb_mount *m, struct wb_wait *wait) {
    *(wait->prev ? &wait->prev->next : &m->room_head) = wait->next;
    *(wait->next ? &wait->next->prev : &m->room_tail) = wait->prev;
    wait->linked = false;
}

bool wb_room_is_there(const struct wb_mount *m, size_t len) {
    return m->used + len <= m->budget || m->used == 0;
}

static void give_room(struct wb_mount *m, struct wb_todo *todo) {
    size_t promised = 0;
    while (m->room_head && wb_room_is_there(m, promised + NFS_IO_MAX)) {
        struct wb_wait *wait = m->room_head;
        wb_room_remove(m, wait);
        wb_run_later(todo, wait, 0);
        promised += NFS_IO_MAX;
    }
}

// ---- what a file can do next; the lock is held

static bool is_held_back(const struct wb *wb, const struct wb_piece *piece) {
    return piece == wb->active.tail && piece->own && !piece->through && piece->len < WB_GROW_SEND && !wb->waits &&
           !wb->aged && !wb->mount->room_head && !wb->mount->stopping && !piece->resent;
}

static bool is_blocked(const struct wb_piece *piece) {
    for (const struct wb_piece *older = piece->prev; older; older = older->prev)
        if (wb_piece_overlaps(older, piece->offset, piece->len))
            return true;
    return false;
}

static bool wants_stable(const struct wb *wb, const struct wb_piece *piece) {
    if (piece->stable)
        return true;
    // One small piece that somebody wants on stable storage: one WRITE instead of WRITE and COMMIT.
    bool only = wb->active.head == piece && !piece->next && !wb->kept.head && !wb->committing;
    bool wanted = false;
    for (const struct wb_wait *wait = wb->waits; wait && only && !wanted; wait = wait->next)
        wanted = wait->kind == WB_SYNC;
    return only && wanted && piece->len <= WB_GROW_SEND;
}

void wb_pump(struct wb *wb, struct wb_todo *todo) {
    for (struct wb_piece *p = wb->active.head; p && wb->in_flight < WB_WINDOW; p = p->next) {
        if (p->state != WB_QUEUED || is_held_back(wb, p) || is_blocked(p))
            continue;
        p->call.stable = wants_stable(wb, p);
        p->state = WB_SENT;
        wb->in_flight++;
        p->call.priv = NULL; // borrowed as the link until nfs_submit
        *(todo->send_tail ? &todo->send_tail->call.priv : (void **)&todo->send) = p;
        todo->send_tail = p;
    }
    if (!wb->active.head)
        wb->aged = false;
}

void wb_start_commit(struct wb *wb, struct wb_todo *todo) {
    if (wb->committing || !wb->kept.head || todo->commit_count == ARRAY_SIZE(todo->commits))
        return;
    for (struct wb_piece *p = wb->kept.head; p; p = p->next)
        p->committing = true;
    wb->committing = true;
    wb->commit_cred = wb->kept.tail->cred;
    todo->commits[todo->commit_count++] = wb;
}

bool wb_wait_is_over(struct wb *wb, const struct wb_wait *wait) {
    for (const struct wb_piece *p = wb->active.head; p && p->seq < wait->seq; p = p->next)
        if (wait->len == 0 || wb_piece_overlaps(p, wait->offset, wait->len))
            return false;
    return wait->kind != WB_SYNC || !wb->kept.head || wb->kept.head->seq >= wait->seq;
}

static bool sync_wants_commit(const struct wb *wb) {
    for (const struct wb_wait *wait = wb->waits; wait; wait = wait->next)
        if (wait->kind == WB_SYNC && (!wb->active.head || wb->active.head->seq >= wait->seq))
            return true;
    return false;
}

bool wb_is_clean(const struct wb *wb) {
    return !wb->active.head && !wb->kept.head && !wb->committing;
}

void wb_set_listed(struct wb *wb, bool listed) {
    struct wb_mount *m = wb->mount;
    if (wb->listed == listed)
        return;
    wb->listed = listed;
    if (listed) {
        if (wb->hold)
            wb->hold(wb);
        wb->prev = NULL;
        wb->next = m->files;
        if (m->files)
            m->files->prev = wb;
        m->files = wb;
        return;
    }
    *(wb->prev ? &wb->prev->next : &m->files) = wb->next;
    if (wb->next)
        wb->next->prev = wb->prev;
    wb->prev = wb->next = NULL;
}

void wb_progress(struct wb *wb, struct wb_todo *todo) {
    struct wb_mount *m = wb->mount;
    for (struct wb_wait *wait = wb->waits, *next; wait; wait = next) {
        next = wait->next;
        if (wb_wait_is_over(wb, wait)) {
            wb_wait_unlink(&wb->waits, wait);
            wb_run_later(todo, wait, 0);
        }
    }
    wb_pump(wb, todo);
    if (wb->kept_bytes >= WB_COMMIT_AT || sync_wants_commit(wb) || m->stopping)
        wb_start_commit(wb, todo);
    if (m->room_head) // short of room: whoever holds data must let go of it
        for (struct wb *other = m->files; other; other = other->next) {
            wb_pump(other, todo);
            wb_start_commit(other, todo);
        }
    give_room(m, todo);
    if (wb->listed && wb_is_clean(wb)) {
        wb_set_listed(wb, false);
        todo->idle = wb;
    }
}
