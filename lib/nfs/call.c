// SPDX-License-Identifier: Apache-2.0
// What every backend shares: the operations' names, the check of a call before it is sent, and waiting for one.
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/nfs/nfs.h"

enum { // what a call of an operation must carry
    NAME = 1 << 0,
    NAME2 = 1 << 1,
    FH2 = 1 << 2,
    TARGET = 1 << 3,
    DATA = 1 << 4,
    CHANGES = 1 << 5,
};

static const struct op_row {
    const char *name;
    unsigned flags;
} ops[NFS_OP_COUNT] = {
    [NFS_GETATTR] = {"GETATTR", 0},
    [NFS_SETATTR] = {"SETATTR", CHANGES},
    [NFS_LOOKUP] = {"LOOKUP", NAME},
    [NFS_ACCESS] = {"ACCESS", 0},
    [NFS_READLINK] = {"READLINK", 0},
    [NFS_READ] = {"READ", DATA},
    [NFS_WRITE] = {"WRITE", DATA | CHANGES},
    [NFS_COMMIT] = {"COMMIT", CHANGES},
    [NFS_CREATE] = {"CREATE", NAME | CHANGES},
    [NFS_MKDIR] = {"MKDIR", NAME | CHANGES},
    [NFS_SYMLINK] = {"SYMLINK", NAME | TARGET | CHANGES},
    [NFS_MKNOD] = {"MKNOD", NAME | CHANGES},
    [NFS_LINK] = {"LINK", NAME | FH2 | CHANGES},
    [NFS_REMOVE] = {"REMOVE", NAME | CHANGES},
    [NFS_RMDIR] = {"RMDIR", NAME | CHANGES},
    [NFS_RENAME] = {"RENAME", NAME | NAME2 | FH2 | CHANGES},
    [NFS_READDIR] = {"READDIR", 0},
    [NFS_FSSTAT] = {"FSSTAT", 0},
};

const char *nfs_op_name(enum nfs_op op) {
    return (unsigned)op < NFS_OP_COUNT ? ops[op].name : "UNKNOWN";
}

bool nfs_op_changes(enum nfs_op op) {
    return (unsigned)op < NFS_OP_COUNT && (ops[op].flags & CHANGES);
}

bool nfs_fh_eq(const struct nfs_fh *a, const struct nfs_fh *b) {
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static int check_name(const char *name) {
    if (!name)
        return -EINVAL;
    size_t len = strnlen(name, NFS_NAME_MAX + 1);
    if (len > NFS_NAME_MAX)
        return -ENAMETOOLONG;
    if (len == 0 || memchr(name, '/', len) || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -EINVAL;
    return 0;
}

static int check_target(const char *target) {
    if (!target || !target[0])
        return -EINVAL;
    return strnlen(target, PATH_MAX) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static bool fh_ok(const struct nfs_fh *fh) {
    return fh->len > 0 && fh->len <= NFS_FH_MAX;
}

int nfs_call_check(const struct nfs_call *call) {
    if ((unsigned)call->op >= NFS_OP_COUNT || !fh_ok(&call->fh))
        return -EINVAL;
    unsigned flags = ops[call->op].flags;
    if (((flags & FH2) && !fh_ok(&call->fh2)) || ((flags & DATA) && !call->data && call->count > 0))
        return -EINVAL;
    if (call->cred && call->cred->group_count > NFS_GROUPS_MAX)
        return -EINVAL;
    int r = flags & NAME ? check_name(call->name) : 0;
    if (r == 0 && (flags & NAME2))
        r = check_name(call->name2);
    if (r == 0 && (flags & TARGET))
        r = check_target(call->target);
    return r;
}

void nfs_call_reset(struct nfs_call *call) {
    call->result = 0;
    call->eof = call->has_attr = call->has_dir_attr = call->committed = false;
    call->out_fh.len = 0;
    call->text = NULL;
    call->entries = NULL;
    call->entry_count = 0;
    call->priv = call->link = NULL;
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done;
};

static void wake(struct nfs_call *call) {
    struct waiter *w = call->arg;
    LOCK_SCOPE(&w->lock); // the waiter takes this lock before its stack frame goes
    w->done = true;
    (void)pthread_cond_signal(&w->ended);
}

static bool wait_until(struct waiter *w, int64_t deadline_ns) {
    struct timespec until = {.tv_sec = deadline_ns / NS_PER_S, .tv_nsec = deadline_ns % NS_PER_S};
    bool forever = deadline_ns == 0 || deadline_ns == DEADLINE_NONE;
    LOCK_SCOPE(&w->lock);
    for (int r = 0; !w->done && r == 0;)
        r = forever ? pthread_cond_wait(&w->ended, &w->lock)
                    : pthread_cond_clockwait(&w->ended, &w->lock, CLOCK_MONOTONIC, &until);
    return w->done;
}

int nfs_run(struct nfs_share *share, struct nfs_call *call) {
    struct waiter w = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};
    void (*done)(struct nfs_call *) = call->done;
    void *arg = call->arg;
    call->done = wake;
    call->arg = &w;
    nfs_submit(share, call);
    if (!wait_until(&w, call->deadline_ns)) {
        nfs_cancel(share, call);
        LOCK_SCOPE(&w.lock);
        if (!w.done)
            call->result = -ETIMEDOUT;
    }
    call->done = done;
    call->arg = arg;
    (void)pthread_cond_destroy(&w.ended);
    (void)pthread_mutex_destroy(&w.lock);
    return call->result;
}
