// SPDX-License-Identifier: Apache-2.0
#include "controller/tree_work.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controller/directory.h"
#include "controller/tree_work_private.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

static struct metric deletes_metric = {.type = METRIC_GAUGE,
                                       .name = "stowage_background_deletes",
                                       .help = "Trees that wait to be removed or are removed now"};

void tree_worker_count(atomic_long *count, struct metric *metric, long by) {
    metric_set(metric, NULL, NULL, (double)(atomic_fetch_add(count, by) + by));
}

char *tree_work_key(const char *kind, const struct share *share, const char *name) {
    return mem_printf("%s %s %s", kind, share->text, name);
}

// ---- removal ----------------------------------------------------------------------------------------------------

struct removal {
    struct job job; // first
    struct tree_worker *worker;
    struct share *share;
    char name[]; // "" : all of trash/ is queued
};

static bool stopped(void *arg) {
    return job_stopped(arg);
}

static enum job_end remove_run(struct job *job, struct err *err) {
    struct removal *removal = (struct removal *)job;
    struct share *share = removal->share;
    struct tree_remove_options options = {.calls = removal->worker->options.calls, .cancel = {stopped, job}};
    int r = tree_remove(share->nfs, &share->dirs[SHARE_DIR_TRASH], removal->name, &options, NULL, err);
    if (r == 0 || atomic_load(&share->stale) || job_stopped(job))
        return JOB_OVER; // what a stale share leaves is found when it is opened again
    if (job->attempts == 0)
        log_warning("removed tree is not gone yet", LOG_S("share", share->text), LOG_S("error", err_text(err)));
    return JOB_AGAIN;
}

static enum job_end scan_run(struct job *job, struct err *err) {
    struct removal *scan = (struct removal *)job;
    struct share *share = scan->share;
    struct tree_work work = tree_worker_ops(scan->worker);
    struct directory trash cleanup(directory_done) = {0};
    directory_init(&trash, share, &share->dirs[SHARE_DIR_TRASH], "list .stowage/trash", 0);
    while (!job_stopped(job)) {
        trash.page.deadline_ns = clock_monotonic(&clock_system) + TREE_WORK_CALL_NS;
        int r = directory_next(&trash, err);
        if (r < 0)
            return atomic_load(&share->stale) ? JOB_OVER : JOB_AGAIN;
        if (r == 0)
            break;
        for (size_t i = 0; i < trash.page.entry_count; i++)
            work.ops->trash_added(work.self, share, trash.page.entries[i].name);
    }
    return JOB_OVER;
}

static void removal_free(struct job *job) {
    struct removal *removal = (struct removal *)job;
    if (removal->name[0])
        tree_worker_count(&removal->worker->removals, &deletes_metric, -1);
    (void)share_free(removal->share);
    free(removal);
}

static const struct job_ops remove_ops = {.run = remove_run, .free = removal_free};
static const struct job_ops scan_ops = {.run = scan_run, .free = removal_free};

static void removal_add(struct tree_worker *worker, struct share *share, const char *name) {
    size_t len = strlen(name);
    struct removal *removal = mem_zalloc(sizeof *removal + len + 1);
    if (!removal)
        return; // found again when the share is opened next
    removal->job.ops = len ? &remove_ops : &scan_ops;
    removal->job.key = tree_work_key(len ? "remove" : "scan", share, name);
    removal->job.queue = worker->removers;
    removal->worker = worker;
    removal->share = share_ref(share);
    memcpy(removal->name, name, len + 1);
    if (len)
        tree_worker_count(&worker->removals, &deletes_metric, 1);
    int r = job_add(worker->jobs, &removal->job);
    if (r < 0 && r != -EEXIST)
        log_debug("removal not queued", LOG_S("name", name), LOG_S("error", err_name(r)));
}

static void trash_added(void *self, struct share *share, const char *name) {
    if (name[0])
        removal_add(self, share, name);
}

void tree_worker_share_opened(struct tree_worker *worker, struct share *share) {
    removal_add(worker, share, "");
}

int tree_work_discard(const struct tree_work *work, struct share *share, enum share_dir dir, const char *name,
                      int64_t deadline_ns, struct err *err) {
    char id[HASH_ID_LEN + 1], trash[NFS_NAME_MAX + 1];
    unsigned char bytes[16];
    clock_random(share->clock, bytes, sizeof bytes);
    hash_encode(bytes, id);
    (void)snprintf(trash, sizeof trash, "%.100s-%s", name, id);
    struct nfs_call move = {.op = NFS_RENAME, .fh = share->dirs[dir], .name = name, .deadline_ns = deadline_ns};
    move.fh2 = share->dirs[SHARE_DIR_TRASH];
    move.name2 = trash;
    int r = share_call(share, &move, "move a tree to .stowage/trash", err);
    if (r == 0)
        work->ops->trash_added(work->self, share, trash);
    return r == -ENOENT ? 0 : r;
}

// ---- the worker -------------------------------------------------------------------------------------------------

static const struct tree_work_ops worker_ops = {
    .copy_start = tree_work_copy_start,
    .copy_wait = tree_work_copy_wait,
    .copy_cancel = tree_work_copy_cancel,
    .trash_added = trash_added,
};

struct tree_work tree_worker_ops(struct tree_worker *worker) {
    return (struct tree_work){.ops = &worker_ops, .self = worker};
}

int tree_worker_new(const struct tree_worker_options *options, struct tree_worker **ret, struct err *err) {
    struct tree_worker *worker cleanup(tree_worker_freep) = mem_zalloc(sizeof *worker);
    if (!worker)
        return err_set(err, -ENOMEM, "no memory for background work");
    worker->options = *options;
    unsigned removers = options->remove_workers ? options->remove_workers : 4;
    unsigned copiers = options->copy_workers ? options->copy_workers : 2;
    metric_register(&deletes_metric);
    tree_work_copy_metrics();
    int r = jobs_new(&worker->jobs, err);
    if (r == 0)
        r = workq_new("remove", removers, &worker->removers, err);
    if (r == 0)
        r = workq_new("copy", copiers, &worker->copiers, err);
    if (r == 0)
        *ret = take_ptr(worker);
    return r;
}

struct tree_worker *tree_worker_free(struct tree_worker *worker) {
    if (!worker)
        return NULL;
    if (worker->removers)
        workq_stop(worker->removers);
    if (worker->copiers)
        workq_stop(worker->copiers);
    worker->jobs = jobs_free(worker->jobs);
    worker->removers = workq_free(worker->removers);
    worker->copiers = workq_free(worker->copiers);
    free(worker);
    return NULL;
}
