// SPDX-License-Identifier: Apache-2.0
#include "controller/lock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"

#define WAIT_FIRST_NS (2 * NS_PER_MS)
#define WAIT_LAST_NS (100 * NS_PER_MS)

struct lock {
    struct share *share;
    struct nfs_fh fh;
    uint64_t fileid;
    bool lost;        // somebody else's now: not to be removed
    int64_t since_ns; // local monotonic time before the lease was (re)newed: it ends LOCK_LEASE_S later or after that
    char name[];
};

static int64_t local_now(const struct share *share) {
    return clock_monotonic(share->clock);
}

bool lock_held(const struct lock *lock) {
    return !lock->lost && local_now(lock->share) - lock->since_ns < LOCK_LEASE_S * NS_PER_S;
}

// One exclusive CREATE. The new file's attributes are *ret_attr.
static int create_file(struct share *share, enum share_dir dir, const char *name, int64_t deadline_ns,
                       struct nfs_fh *ret, struct nfs_attr *ret_attr, struct err *err) {
    struct nfs_call make = {.op = NFS_CREATE,
                            .fh = share->dirs[dir],
                            .name = name,
                            .exclusive = true,
                            .set = {.mask = NFS_SET_MODE, .mode = 0600},
                            .deadline_ns = deadline_ns};
    int r = share_call(share, &make, "take a lock in .stowage/locks", err);
    if (r == 0) {
        *ret = make.out_fh;
        *ret_attr = make.attr;
    }
    return r;
}

static void random_name(struct share *share, char ret[static HASH_ID_LEN + 1]) {
    unsigned char bytes[16];
    clock_random(share->clock, bytes, sizeof bytes);
    hash_encode(bytes, ret);
}

static int remove_file(struct share *share, enum share_dir dir, const char *name, int64_t deadline_ns) {
    struct nfs_call call = {.op = NFS_REMOVE, .fh = share->dirs[dir], .name = name, .deadline_ns = deadline_ns};
    return share_call(share, &call, "remove a temporary file", NULL);
}

static int busy(const struct share *share, const char *name, struct err *err) {
    return err_set(err, -EAGAIN, "'%s' on %s is being worked on by another call or controller; try again", name,
                   share->text);
}

// Moves the file out of the way. When the rename caught another file (two breakers at once), that one is put back.
int lock_break(struct share *share, const char *name, uint64_t stale_fileid, int64_t deadline_ns, struct err *err) {
    char tmp[HASH_ID_LEN + 1];
    random_name(share, tmp);
    struct nfs_call move = {.op = NFS_RENAME,
                            .fh = share->dirs[SHARE_DIR_LOCKS],
                            .name = name,
                            .fh2 = share->dirs[SHARE_DIR_TMP],
                            .name2 = tmp,
                            .deadline_ns = deadline_ns};
    int r = share_call(share, &move, "break a stale lock", err);
    if (r < 0)
        return r == -ENOENT ? busy(share, name, err) : r;
    struct nfs_call look = {
        .op = NFS_LOOKUP, .fh = share->dirs[SHARE_DIR_TMP], .name = tmp, .deadline_ns = deadline_ns};
    r = share_call(share, &look, "break a stale lock", err);
    if (r == 0 && look.attr.fileid != stale_fileid) {
        struct nfs_call back = {.op = NFS_LINK,
                                .fh = look.out_fh,
                                .fh2 = share->dirs[SHARE_DIR_LOCKS],
                                .name = name,
                                .deadline_ns = deadline_ns};
        r = share_call(share, &back, "put a lock back", err);
        r = r == 0 || r == -EEXIST ? busy(share, name, err) : r;
    }
    if (remove_file(share, SHARE_DIR_TMP, tmp, deadline_ns) < 0)
        log_debug("temporary file left", LOG_S("share", share->text), LOG_S("file", tmp));
    if (r == 0)
        log_warning("stale lock broken", LOG_S("share", share->text), LOG_S("lock", name));
    return r;
}

// The file is there: 0 when it was stale and is out of the way now, -EAGAIN when its lease runs.
static int contend(struct share *share, const char *name, int64_t deadline_ns, struct err *err) {
    struct nfs_call look = {
        .op = NFS_LOOKUP, .fh = share->dirs[SHARE_DIR_LOCKS], .name = name, .deadline_ns = deadline_ns};
    int r = share_call(share, &look, "look at a lock", err);
    if (r < 0)
        return r == -ENOENT ? 0 : r; // released just now
    int64_t now;
    r = share_server_now(share, deadline_ns, &now, err);
    if (r < 0)
        return r;
    if (now - look.attr.mtime.tv_sec <= LOCK_LEASE_S)
        return busy(share, name, err);
    return lock_break(share, name, look.attr.fileid, deadline_ns, err);
}

int lock_take(struct share *share, const char *name, int64_t deadline_ns, struct lock **ret, struct err *err) {
    struct lock *lock = mem_zalloc(sizeof *lock + strlen(name) + 1);
    if (!lock)
        return err_set(err, -ENOMEM, "out of memory");
    (void)memcpy(lock->name, name, strlen(name) + 1);
    struct nfs_attr attr = {0};
    int r = 0;
    for (int attempt = 0; attempt < 2; attempt++) {
        lock->since_ns = local_now(share);
        r = create_file(share, SHARE_DIR_LOCKS, name, deadline_ns, &lock->fh, &attr, err);
        if (r != -EEXIST)
            break;
        r = contend(share, name, deadline_ns, err);
        if (r < 0)
            break;
        r = -EEXIST;
    }
    if (r < 0) {
        free(lock);
        return r == -EEXIST ? busy(share, name, err) : r;
    }
    lock->fileid = attr.fileid;
    lock->share = share_ref(share);
    *ret = lock;
    return 0;
}

int lock_wait(struct share *share, const char *name, int64_t deadline_ns, struct lock **ret, struct err *err) {
    int64_t start = clock_monotonic(&clock_system), pause = WAIT_FIRST_NS;
    int64_t wait = (deadline_ns - start) / 2;
    int64_t end = start + (wait < LOCK_WAIT_S * NS_PER_S ? wait : LOCK_WAIT_S * NS_PER_S);
    for (;;) {
        struct err why = ERR_NONE;
        int r = lock_take(share, name, deadline_ns, ret, &why);
        if (r == 0)
            return 0;
        unsigned char some; // so that those who wait do not come all at once
        clock_random(share->clock, &some, sizeof some);
        int64_t nap = pause + pause * some / 256;
        if (r != -EAGAIN || clock_monotonic(&clock_system) + nap >= end)
            return why.code ? err_set(err, r, "%s", err_text(&why)) : r;
        struct timespec until = {.tv_sec = nap / NS_PER_S, .tv_nsec = nap % NS_PER_S};
        (void)nanosleep(&until, NULL);
        pause = pause * 2 < WAIT_LAST_NS ? pause * 2 : WAIT_LAST_NS;
    }
}

int lock_renew(struct lock *lock, int64_t deadline_ns, struct err *err) {
    int64_t now = local_now(lock->share);
    if (!lock_held(lock))
        return err_set(err, -ESTALE, "the lock '%s' on %s was not renewed in time", lock->name, lock->share->text);
    // By name first: a broken lock lives on for a moment under another name, where renewing it would mean nothing.
    struct nfs_call look = {
        .op = NFS_LOOKUP, .fh = lock->share->dirs[SHARE_DIR_LOCKS], .name = lock->name, .deadline_ns = deadline_ns};
    int r = share_call(lock->share, &look, "renew a lock", err);
    lock->lost = r == -ENOENT || (r == 0 && look.attr.fileid != lock->fileid);
    if (lock->lost)
        return err_set(err, -ESTALE, "the lock '%s' on %s was taken over by another controller", lock->name,
                       lock->share->text);
    struct nfs_call set = {
        .op = NFS_SETATTR, .fh = lock->fh, .set = {.mask = NFS_SET_MTIME_NOW}, .deadline_ns = deadline_ns};
    if (r == 0)
        r = share_call(lock->share, &set, "renew a lock", err);
    if (r == 0)
        lock->since_ns = now;
    return r;
}

// Sent twice, the REMOVE might take away what another controller has locked in between: after a lost connection the
// file goes only if it still is ours.
static int release(struct lock *lock, int64_t deadline_ns) {
    struct nfs_call drop = {.op = NFS_REMOVE,
                            .fh = lock->share->dirs[SHARE_DIR_LOCKS],
                            .name = lock->name,
                            .once = true,
                            .deadline_ns = deadline_ns};
    int r = share_call(lock->share, &drop, "release a lock", NULL);
    if (r != -ECONNRESET)
        return r;
    r = lock_break(lock->share, lock->name, lock->fileid, deadline_ns, NULL);
    return r == -EAGAIN ? 0 : r; // released, and perhaps taken by another since
}

struct lock *lock_free(struct lock *lock) {
    if (!lock)
        return NULL;
    int64_t deadline_ns = clock_monotonic(&clock_system) + 2 * NS_PER_S;
    if (lock_held(lock) && release(lock, deadline_ns) < 0)
        log_debug("lock left to run out", LOG_S("share", lock->share->text), LOG_S("lock", lock->name));
    lock->share = share_free(lock->share);
    free(lock);
    return NULL;
}
