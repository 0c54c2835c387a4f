// SPDX-License-Identifier: Apache-2.0
// The list of works, and who waits for them; warm_tree.c does them.
#include "node-plugin/cachefs/warm.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/workq.h"
#include "node-plugin/cachefs/op.h"
#include "node-plugin/cachefs/warm_tree.h"

#define WAITING_MOST 256u // works at a time

struct warm { // one work
    struct work work;
    struct warm *next; // the newest comes first
    struct warmer *warmer;
    struct warm_tree tree;
    struct op *waiters;
};

struct warmer {
    struct fs *fs;
    pthread_mutex_t lock;
    struct workq *threads;
    struct warm *works;
    size_t count;
    unsigned running;
    uint64_t started;
    bool stopping;
};

static void warm_free(struct warm *warm) {
    warm_tree_done(&warm->tree);
    free(warm);
}

// ---- the end of a work

static int result_of(const struct warm_figures *figures) {
    switch (figures->state) {
    case WARM_CANCELLED:
        return -EINTR;
    case WARM_FAILED:
        return -EIO;
    default:
        return 0;
    }
}

static void resume_all(struct op *waiters, int result) {
    while (waiters) {
        struct op *op = waiters;
        waiters = op->queue_next;
        op_resume(op, result);
    }
}

static void run(struct work *work) {
    struct warm *warm = (struct warm *)(void *)work;
    struct warmer *warmer = warm->warmer;
    struct op *waiters;
    int result;
    warm_tree_run(&warm->tree);
    {
        LOCK_SCOPE(&warmer->lock);
        warmer->running--;
        waiters = take_ptr(warm->waiters);
        warm->tree.figures.state = warm->tree.ended; // from here on it may be forgotten
        result = result_of(&warm->tree.figures);
    }
    resume_all(waiters, result);
}

// ---- under the lock

static struct warm *find(struct warmer *warmer, enum warm_kind kind, const struct nfs_fh *fh) {
    struct warm *warm = warmer->works;
    while (warm && (warm->tree.kind != kind || !nfs_fh_eq(&warm->tree.fh, fh)))
        warm = warm->next;
    return warm;
}

static void take_out(struct warmer *warmer, struct warm *warm) {
    struct warm **at = &warmer->works;
    while (*at != warm)
        at = &(*at)->next;
    *at = warm->next;
    warmer->count--;
}

static void forget_oldest(struct warmer *warmer) {
    struct warm *oldest = NULL;
    for (struct warm *warm = warmer->works; warm; warm = warm->next)
        if (warm->tree.figures.state != WARM_RUNNING)
            oldest = warm;
    if (warmer->count <= WARM_KEPT || !oldest)
        return;
    take_out(warmer, oldest);
    warm_free(oldest);
}

static void add_waiter(struct warm *warm, struct op *op) {
    if (!op)
        return;
    op->queue_next = warm->waiters;
    warm->waiters = op;
}

static int add(struct warmer *warmer, struct warm *warm, struct op *waiter) {
    if (warmer->stopping)
        return -ECANCELED;
    if (warmer->running >= WAITING_MOST)
        return -EAGAIN;
    add_waiter(warm, waiter);
    int r = workq_push(warmer->threads, &warm->work);
    if (r < 0) {
        warm->waiters = NULL;
        return r;
    }
    warmer->running++;
    warm->tree.figures.started = ++warmer->started;
    warm->next = warmer->works;
    warmer->works = warm;
    warmer->count++;
    forget_oldest(warmer);
    return 0;
}

// ---- starting

static struct warm *warm_new(struct fs *fs, enum warm_kind kind, const struct nfs_cred *cred) {
    struct warm *warm = mem_zalloc(sizeof *warm);
    if (!warm)
        return NULL;
    warm->work.run = run;
    warm->warmer = fs->warmer;
    warm_tree_init(&warm->tree, fs, &fs->warmer->lock, kind, cred);
    return warm;
}

// What was there before is joined, or, when it is over, given to the caller to be freed.
static int start(struct warmer *warmer, struct warm *warm, struct op *waiter, struct warm **ret_drop) {
    LOCK_SCOPE(&warmer->lock);
    struct warm *before = find(warmer, warm->tree.kind, &warm->tree.fh);
    bool running = before && before->tree.figures.state == WARM_RUNNING;
    if (running && !before->tree.cancel) {
        add_waiter(before, waiter);
        *ret_drop = warm;
        return 0;
    }
    if (before && !running) {
        take_out(warmer, before);
        *ret_drop = before;
    }
    return add(warmer, warm, waiter);
}

int warm_start(struct fs *fs, const struct warm_request *request) {
    struct warm *warm = warm_new(fs, request->kind, &request->cred), *drop = NULL;
    if (!warm)
        return -ENOMEM;
    warm->tree.fh = request->fh;
    warm->tree.attr = request->attr;
    int r = start(fs->warmer, warm, request->waiter, &drop);
    if (r < 0)
        warm_free(warm);
    if (drop)
        warm_free(drop);
    return r;
}

static int start_path(struct fs *fs, const char *path, size_t len) {
    static const struct nfs_cred own = {0};
    struct warm *warm = warm_new(fs, WARM_FETCH, &own);
    int r = -ENOMEM;
    if (warm && (warm->tree.path = mem_strndup(path, len))) {
        LOCK_SCOPE(&fs->warmer->lock);
        r = add(fs->warmer, warm, NULL);
    }
    if (r < 0 && warm)
        warm_free(warm);
    return r;
}

int warm_start_paths(struct fs *fs, const char *paths, struct err *err) {
    if (!fs->warmer)
        return err_set(err, -EINVAL, "--warm-up is of use with --cache-dir only");
    for (const char *at = paths; *at;) {
        size_t len = strcspn(at, ",");
        int r = len ? start_path(fs, at, len) : 0;
        if (r < 0)
            return err_set(err, r, "warm-up of '%.100s': %s", at, err_name(r));
        at += len + (at[len] == ',');
    }
    return 0;
}

// ---- watching and stopping

int warm_cancel(struct fs *fs, enum warm_kind kind, const struct nfs_fh *fh, uint32_t uid) {
    LOCK_SCOPE(&fs->warmer->lock);
    struct warm *warm = find(fs->warmer, kind, fh);
    if (!warm)
        return -ENODATA;
    if (uid != 0 && uid != warm->tree.cred.uid && uid != warm->tree.attr.uid)
        return -EPERM;
    if (warm->tree.figures.state == WARM_RUNNING)
        warm_tree_cancel(&warm->tree);
    return 0;
}

bool warm_find(struct fs *fs, enum warm_kind kind, const struct nfs_fh *fh, struct warm_figures *ret) {
    LOCK_SCOPE(&fs->warmer->lock);
    const struct warm *warm = find(fs->warmer, kind, fh);
    if (warm)
        *ret = warm->tree.figures;
    return warm != NULL;
}

unsigned warm_running(struct fs *fs) {
    LOCK_SCOPE(&fs->warmer->lock);
    return fs->warmer->running;
}

bool warm_leave(struct op *op) {
    struct warmer *warmer = op->fs->warmer;
    if (!warmer)
        return false;
    LOCK_SCOPE(&warmer->lock);
    for (struct warm *warm = warmer->works; warm; warm = warm->next)
        for (struct op **at = &warm->waiters; *at; at = &(*at)->queue_next)
            if (*at == op) {
                *at = op->queue_next;
                return true;
            }
    return false;
}

// ---- life

int warmer_new(struct fs *fs, struct err *err) {
    struct warmer *warmer = mem_zalloc(sizeof *warmer);
    if (!warmer)
        return err_set(err, -ENOMEM, "out of memory");
    warmer->fs = fs;
    (void)pthread_mutex_init(&warmer->lock, NULL);
    int r = workq_new("warm", WARM_THREADS, &warmer->threads, err);
    if (r < 0) {
        free(warmer);
        return r;
    }
    fs->warmer = warmer;
    return 0;
}

void warmer_stop(struct warmer *warmer) {
    {
        LOCK_SCOPE(&warmer->lock);
        warmer->stopping = true;
        for (struct warm *warm = warmer->works; warm; warm = warm->next)
            warm_tree_cancel(&warm->tree);
    }
    workq_stop(warmer->threads);
    struct op *waiters = NULL, *op;
    {
        LOCK_SCOPE(&warmer->lock);
        for (struct warm *warm = warmer->works; warm; warm = warm->next) {
            if (warm->tree.figures.state != WARM_RUNNING)
                continue;
            warm->tree.figures.state = WARM_CANCELLED; // it was not begun
            while ((op = warm->waiters)) {
                warm->waiters = op->queue_next;
                op->queue_next = waiters;
                waiters = op;
            }
        }
        warmer->running = 0;
    }
    resume_all(waiters, -EINTR);
}

struct warmer *warmer_free(struct warmer *warmer) {
    if (!warmer)
        return NULL;
    (void)workq_free(warmer->threads);
    while (warmer->works) {
        struct warm *warm = warmer->works;
        warmer->works = warm->next;
        warm_free(warm);
    }
    (void)pthread_mutex_destroy(&warmer->lock);
    free(warmer);
    return NULL;
}
