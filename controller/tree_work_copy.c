// SPDX-License-Identifier: Apache-2.0
// Copies: one job each, under a lease of the target share.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controller/lock.h"
#include "controller/tree_work_private.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define RENEW_NS (8 * NS_PER_S)
#define RENEW_CALL_NS (2 * NS_PER_S)

static struct metric running_metric = {
    .type = METRIC_GAUGE, .name = "stowage_copies_running", .help = "Copies of volumes and snapshots that run or wait"};
static struct metric bytes_metric = {
    .type = METRIC_COUNTER, .name = "stowage_copied_bytes_total", .help = "Bytes of files copied in the background"};

struct copy_job {
    struct job job; // first
    struct tree_worker *worker;
    struct copy_order order; // its name is `name`
    struct tree_copy_progress progress;
    uint64_t counted;  // bytes already in the metric
    struct lock *lock; // while it runs
    int64_t renew_ns;
    bool copied; // only `finish` is left
    char name[];
};

void tree_work_copy_metrics(void) {
    metric_register(&running_metric);
    metric_register(&bytes_metric);
    metric_add(&bytes_metric, NULL, NULL, 0);
}

static void count_bytes(struct copy_job *copy) {
    uint64_t now = atomic_load(&copy->progress.bytes);
    if (now > copy->counted)
        metric_add(&bytes_metric, NULL, NULL, (double)(now - copy->counted));
    copy->counted = now;
}

// Asked by the engine every 100 ms at least; keeps the lease alive on the way.
static bool stopped(void *arg) {
    struct copy_job *copy = arg;
    int64_t now = clock_monotonic(&clock_system);
    if (job_stopped(&copy->job))
        return true;
    if (now >= copy->renew_ns) {
        copy->renew_ns = now + RENEW_NS;
        count_bytes(copy);
        int r = lock_renew(copy->lock, now + RENEW_CALL_NS, NULL);
        if (r == -ESTALE)
            return true;
        if (r < 0)
            copy->renew_ns = now + RENEW_CALL_NS + NS_PER_S;
    }
    return !lock_held(copy->lock);
}

static bool is_permanent(int code) {
    switch (code) {
    case -ENOSPC:
    case -EDQUOT:
    case -EFBIG:
    case -EACCES:
    case -EPERM:
    case -EROFS:
    case -EEXIST:
    case -ENOENT:
    case -ENOTDIR:
    case -ENOTEMPTY:
    case -EINVAL:
    case -ENAMETOOLONG:
    case -EOPNOTSUPP:
    case -EBADMSG:
    case -EPROTO:
        return true;
    default:
        return false;
    }
}

static int discard(struct copy_job *copy, struct err *err) {
    struct tree_work work = tree_worker_ops(copy->worker);
    return tree_work_discard(&work, copy->order.target, SHARE_DIR_WORK, copy->name,
                             clock_monotonic(&clock_system) + TREE_WORK_CALL_NS, err);
}

static int copy_and_finish(struct copy_job *copy, struct err *err) {
    struct share *target = copy->order.target;
    struct tree_copy_options options = {.calls = copy->worker->options.calls,
                                        .buffer_bytes = copy->worker->options.buffer_bytes,
                                        .cancel = {stopped, copy}};
    int r = 0;
    if (!copy->copied)
        r = tree_copy(copy->order.source->nfs, &copy->order.source_dir, target->nfs, &target->dirs[SHARE_DIR_WORK],
                      copy->name, &options, &copy->progress, err);
    count_bytes(copy);
    if (r < 0)
        return r;
    if (!copy->copied && copy->order.ret_bytes)
        *copy->order.ret_bytes = atomic_load(&copy->progress.bytes);
    copy->copied = true;
    if (stopped(copy))
        return err_set(err, -ECANCELED, "stopped before the copy was put in its place");
    r = copy->order.finish(copy->order.arg, target, copy->name, err);
    // Left there when another controller had put a whole copy in its place before.
    return r < 0 ? r : discard(copy, err);
}

static enum job_end copy_end(struct copy_job *copy, int r, struct err *err) {
    const char *share = copy->order.target->text;
    if (r == 0) {
        log_info("copied", LOG_S("copy", copy->name), LOG_S("share", share),
                 LOG_I("files", atomic_load(&copy->progress.files)),
                 LOG_I("bytes", atomic_load(&copy->progress.bytes)));
        return JOB_OVER;
    }
    if (job_stopped(&copy->job))
        return JOB_OVER;
    if (atomic_load(&copy->order.target->stale) || atomic_load(&copy->order.source->stale))
        return JOB_FAILED; // the next order comes with the share opened again
    log_warning("copy failed", LOG_S("copy", copy->name), LOG_S("share", share), LOG_S("error", err_text(err)));
    if (!is_permanent(r))
        return JOB_AGAIN;
    struct err why = ERR_NONE;
    if (discard(copy, &why) < 0)
        log_warning("unfinished copy left", LOG_S("copy", copy->name), LOG_S("error", err_text(&why)));
    return JOB_FAILED;
}

static enum job_end copy_run(struct job *job, struct err *err) {
    struct copy_job *copy = (struct copy_job *)job;
    char name[NFS_NAME_MAX + 1];
    int64_t now = clock_monotonic(&clock_system);
    (void)snprintf(name, sizeof name, "copy-%s", copy->name);
    int r = lock_take(copy->order.target, name, now + TREE_WORK_CALL_NS, &copy->lock, err);
    if (r == -EAGAIN) {
        // Whether it is whole afterwards, only who ordered it can tell: this order is over.
        return JOB_FAILED;
    }
    copy->renew_ns = now + RENEW_NS;
    atomic_store(&copy->progress.bytes, 0);
    atomic_store(&copy->progress.files, 0);
    atomic_store(&copy->progress.bytes_found, 0);
    copy->counted = 0;
    if (r == 0)
        r = copy_and_finish(copy, err);
    enum job_end how = copy_end(copy, r, err);
    copy->lock = lock_free(copy->lock);
    return how;
}

static void order_release(const struct copy_order *order) {
    if (order->release)
        order->release(order->arg);
}

static void copy_free(struct job *job) {
    struct copy_job *copy = (struct copy_job *)job;
    tree_worker_count(&copy->worker->copies, &running_metric, -1);
    order_release(&copy->order);
    (void)share_free(copy->order.source);
    (void)share_free(copy->order.target);
    free(copy);
}

static const struct job_ops copy_ops = {.run = copy_run, .free = copy_free};

int tree_work_copy_start(void *self, const struct copy_order *order, struct err *err) {
    struct tree_worker *worker = self;
    size_t len = strlen(order->name);
    struct copy_job *copy = mem_zalloc(sizeof *copy + len + 1);
    if (!copy) {
        order_release(order);
        return err_set(err, -ENOMEM, "no memory to copy");
    }
    copy->job.ops = &copy_ops;
    copy->job.key = tree_work_key("copy", order->target, order->name);
    copy->job.queue = worker->copiers;
    copy->worker = worker;
    copy->order = *order;
    copy->order.source = share_ref(order->source);
    copy->order.target = share_ref(order->target);
    memcpy(copy->name, order->name, len + 1);
    copy->order.name = copy->name;
    tree_worker_count(&worker->copies, &running_metric, 1);
    int r = job_add(worker->jobs, &copy->job);
    if (r == -EEXIST)
        return 0;
    return r < 0 ? err_set(err, r == -ECANCELED ? -ESHUTDOWN : r, "cannot start a copy: %s", err_name(r)) : 0;
}

static void look(const struct job *job, void *arg) {
    const struct copy_job *copy = (const struct copy_job *)job;
    struct copy_progress *ret = arg;
    ret->bytes_done = atomic_load(&copy->progress.bytes);
    ret->files_done = atomic_load(&copy->progress.files);
    ret->bytes_total = atomic_load(&copy->progress.all_found) ? atomic_load(&copy->progress.bytes_found) : 0;
}

int tree_work_copy_wait(void *self, struct share *target, const char *name, int64_t deadline_ns,
                        struct copy_progress *ret, struct err *err) {
    struct tree_worker *worker = self;
    char *key cleanup_free = tree_work_key("copy", target, name);
    *ret = (struct copy_progress){0};
    if (!key)
        return err_set(err, -ENOMEM, "out of memory");
    struct err why = ERR_NONE;
    int r = job_wait(worker->jobs, key, deadline_ns, look, ret, &why);
    ret->elsewhere = r == -EAGAIN && why.code == -EAGAIN; // the lock was taken
    return why.code ? err_set(err, r, "%s", err_text(&why)) : r;
}

int tree_work_copy_cancel(void *self, struct share *target, const char *name, int64_t deadline_ns, struct err *err) {
    struct tree_worker *worker = self;
    struct lock *lock cleanup(lock_freep) = NULL;
    char lock_name[NFS_NAME_MAX + 1];
    char *key cleanup_free = tree_work_key("copy", target, name);
    int r = key ? job_cancel(worker->jobs, key, deadline_ns) : -ENOMEM;
    if (r < 0)
        return err_set(err, r, "the copy '%s' has not stopped yet; try again", name);
    (void)snprintf(lock_name, sizeof lock_name, "copy-%s", name);
    r = lock_take(target, lock_name, deadline_ns, &lock, err);
    if (r < 0)
        return r;
    struct tree_work work = tree_worker_ops(worker);
    return tree_work_discard(&work, target, SHARE_DIR_WORK, name, deadline_ns, err);
}
