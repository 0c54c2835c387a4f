// SPDX-License-Identifier: Apache-2.0
// The watcher thread: ends requests of processes that were killed, sends writes that grew old, gives memory back.
//
// A FUSE interrupt comes for every signal, and only once. A program that merely handles a timer signal must not see
// EINTR from mkdir(2), so the request is given up only when its thread is about to die; until then it is looked at
// once a second (the kernel's NFS client does the same: only a fatal signal ends a wait).
#include <errno.h>
#include <malloc.h>
#include <time.h>

#include "node-plugin/cachefs/again.h"
#include "node-plugin/cachefs/fetch.h"
#include "node-plugin/cachefs/inode.h"
#include "node-plugin/cachefs/op.h"

void watch_interrupt(struct fs *fs, uint64_t number) {
    LOCK_SCOPE(&fs->watch_lock);
    if (fs->interrupted_count < ARRAY_SIZE(fs->interrupted))
        fs->interrupted[fs->interrupted_count++] = number;
    fs->watch_work = true;
    (void)pthread_cond_signal(&fs->watch_wake);
}

void watch_work(struct fs *fs) {
    LOCK_SCOPE(&fs->watch_lock);
    if (!fs->watch_work) {
        fs->watch_work = true;
        (void)pthread_cond_signal(&fs->watch_wake);
    }
}

static void mark_watched(struct fs *fs, const uint64_t *numbers, size_t count) {
    LOCK_SCOPE(&fs->lock);
    for (struct op *op = fs->ops; op && count; op = op->next)
        for (size_t i = 0; i < count; i++)
            if (op->number == numbers[i])
                op->watched = true;
}

// The next watched op after `after`, with a reference, and whether any is left.
static struct op *next_watched(struct fs *fs, uint64_t below) {
    LOCK_SCOPE(&fs->lock);
    for (struct op *op = fs->ops; op; op = op->next) { // newest first
        if (op->number < below && op->watched) {
            op->refs++;
            return op;
        }
    }
    return NULL;
}

// False: it is just being submitted; to be tried again later.
static bool give_up(struct op *op) {
    enum op_state state;
    {
        LOCK_SCOPE(&op->fs->lock);
        op->interrupted = true;
        state = op->state;
        if (op->submits)
            return false;
    }
    if (state == OP_CALLING) {
        nfs_cancel(op->fs->share, &op->call);
        {
            LOCK_SCOPE(&op->fs->lock);
            if (op->state != OP_CALLING)
                return true; // its `done` came
            op->state = OP_RUNNING;
        }
        op->result = -EINTR;
        op->step(op);
    } else if (state == OP_WAITING && op_leave_queues(op)) {
        op_resume(op, -EINTR);
    }
    return true;
}

static bool look_at_watched(struct fs *fs) {
    bool left = false;
    uint64_t below = UINT64_MAX;
    struct op *op;
    while ((op = next_watched(fs, below))) {
        below = op->number;
        if (!creds_is_dying(&fs->creds, op->pid) || !give_up(op))
            left = true;
        op_release(op);
    }
    return left;
}

static bool second_passed(struct fs *fs) {
    again_forget_old(fs);
    bufs_trim(&fs->bufs);
    bufs_trim(&fs->requests);
    wb_tick(&fs->wb);
    bool left = look_at_watched(fs);
    left |= inode_drop_unused(fs);
    left |= fetch_tick(fs);
    left |= wb_mount_used(&fs->wb) > 0;
    left |= bufs_idle_count(&fs->bufs) > 0 || bufs_idle_count(&fs->requests) > 0;
    if (wb_mount_used(&fs->wb) == 0)
        spool_trim(&fs->spool);
    if (!left)
        (void)malloc_trim(0);
    return inode_make_room(fs) || left;
}

static void *watch_main(void *arg) {
    struct fs *fs = arg;
    uint64_t numbers[ARRAY_SIZE(fs->interrupted)];
    (void)pthread_mutex_lock(&fs->watch_lock);
    while (!fs->watch_stop) {
        while (!fs->watch_work && !fs->watch_stop)
            (void)pthread_cond_wait(&fs->watch_wake, &fs->watch_lock);
        size_t count = fs->interrupted_count;
        for (size_t i = 0; i < count; i++)
            numbers[i] = fs->interrupted[i];
        fs->interrupted_count = 0;
        fs->watch_work = false;
        (void)pthread_mutex_unlock(&fs->watch_lock);
        mark_watched(fs, numbers, count);
        bool left = second_passed(fs);
        (void)pthread_mutex_lock(&fs->watch_lock);
        fs->watch_work |= left;
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec++;
        while (!fs->watch_stop && fs->interrupted_count == 0 &&
               pthread_cond_timedwait(&fs->watch_wake, &fs->watch_lock, &until) == 0)
            continue;
    }
    (void)pthread_mutex_unlock(&fs->watch_lock);
    return NULL;
}

int watch_start(struct fs *fs, struct err *err) {
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&fs->watch_wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    int r = pthread_create(&fs->watcher, NULL, watch_main, fs);
    if (r)
        return err_set(err, -r, "cannot start a thread: %s", err_name(r));
    fs->watching = true;
    return 0;
}

void watch_stop(struct fs *fs) {
    if (!fs->watching)
        return;
    {
        LOCK_SCOPE(&fs->watch_lock);
        fs->watch_stop = true;
        (void)pthread_cond_signal(&fs->watch_wake);
    }
    (void)pthread_join(fs->watcher, NULL);
    fs->watching = false;
}
