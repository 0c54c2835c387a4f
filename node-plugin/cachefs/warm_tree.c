// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/warm_tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "node-plugin/cachefs/copy.h"

#define PAUSE_NS (20 * NS_PER_MS) // until memory is asked for again
#define ROUND 256u                // files looked at before the figures are shown and a cancel is seen
#define EVICT_PATIENCE 400u       // pauses of a whole work

// ---- what happens to one file

static void note_error(struct warm_tree *tree, const char *name, int error) {
    tree->now.errors++;
    (void)snprintf(tree->now.error, sizeof tree->now.error, "'%.80s': %s", name, err_name(error));
}

static void fail(struct warm_tree *tree, const char *text) {
    tree->now.state = WARM_FAILED;
    (void)snprintf(tree->now.error, sizeof tree->now.error, "%s", text);
}

static void count_done(struct warm_tree *tree, uint64_t bytes) {
    tree->now.files_done++;
    tree->now.bytes_done += bytes;
}

static void file_ended(struct warm_tree *tree, struct warm_file *file) {
    switch (file->result) {
    case 0:
        count_done(tree, file->attr.size);
        break;
    case -EAGAIN: // changing
    case -ENOENT: // gone
    case -ESTALE:
        tree->now.skipped++;
        break;
    case -ECANCELED: // the mount is ending
        break;
    case -ENOSPC:
        fail(
            tree,
            "the cache has no room that may be taken; give the volume a larger cacheSize or the node a larger disk, or "
            "evict or unpin what is not needed");
        break;
    default:
        note_error(tree, file->name, file->result);
    }
    file->state = WARM_FILE_FREE;
}

// What was just stored is in use until it is durable, which is waited for at the start, and seldom once more here: what others
// have open stays busy.
static int evict_closed(struct warm_tree *tree, const struct nfs_fh *fh, uint64_t *ret_bytes) {
    static const struct timespec pause = {.tv_nsec = 5 * NS_PER_MS};
    for (;;) {
        int r = cache_evict_file(tree->fs->copies.cache, fh->data, fh->len, ret_bytes);
        if (r != -EBUSY || tree->patience == 0)
            return r;
        tree->patience--;
        (void)nanosleep(&pause, NULL);
    }
}

static void evict(struct warm_tree *tree, const struct walk_file *found) {
    uint64_t bytes = 0;
    int r = copy_close_idle(tree->fs, &found->fh) ? evict_closed(tree, &found->fh, &bytes) : -EBUSY;
    if (r == 0)
        count_done(tree, bytes);
    else if (r == -EBUSY)
        tree->now.skipped++;
    else if (r != -ENOENT)
        note_error(tree, found->name, r);
}

static void pin(struct warm_tree *tree, const struct walk_file *found, bool pinned) {
    struct cached *object = NULL;
    int r = copy_peek(tree->fs, &found->fh, &found->attr, &object);
    if (r == 0 && pinned != cached_is_pinned(object))
        cached_pin(object, pinned);
    if (r == 0)
        count_done(tree, cached_bytes(object));
    else if (r == -ENOENT)
        tree->now.skipped++;
    else
        note_error(tree, found->name, r);
    (void)cached_put(object);
}

static struct warm_file *free_file(struct warm_tree *tree) {
    for (unsigned i = 0; i < WARM_FILES; i++)
        if (tree->files[i].state == WARM_FILE_FREE)
            return &tree->files[i];
    return NULL;
}

static void take_file(struct warm_tree *tree, const struct walk_file *found) {
    struct warm_file *file;
    if (!tree->counting) {
        tree->now.files++;
        tree->now.bytes += found->attr.size;
    }
    switch (tree->kind) {
    case WARM_FETCH:
        file = free_file(tree);
        warm_file_start(file, found);
        if (file->state == WARM_FILE_ENDED)
            file_ended(tree, file);
        break;
    case WARM_EVICT:
        evict(tree, found);
        break;
    default:
        if (found->attr.size)
            pin(tree, found, tree->kind == WARM_PIN);
    }
}

// ---- the thread

static bool step_files(struct warm_tree *tree) {
    bool moved = false;
    for (unsigned i = 0; i < WARM_FILES; i++) {
        struct warm_file *file = &tree->files[i];
        enum warm_file_state before = file->state;
        if (before == WARM_FILE_FREE)
            continue;
        warm_file_step(file);
        if (file->state == WARM_FILE_ENDED)
            file_ended(tree, file);
        moved |= file->state != before;
    }
    return moved;
}

static bool take_files(struct warm_tree *tree) {
    struct walk_file found;
    for (unsigned i = 0; i < ROUND && tree->now.state == WARM_RUNNING; i++) {
        if (tree->walked || !free_file(tree))
            return i > 0;
        switch (walk_next(tree->walk, &found)) {
        case WALK_FILE:
            take_file(tree, &found);
            break;
        case WALK_WAIT:
            return i > 0;
        case WALK_END:
            tree->walked = true;
        }
    }
    return true;
}

// Goes ahead of the other walk, so that it can be told how much there is to do.
static bool count_files(struct warm_tree *tree) {
    struct walk_file found;
    for (unsigned i = 0; i < ROUND; i++) {
        enum walk_result r = tree->now.counted ? WALK_WAIT : walk_next(tree->counting, &found);
        if (r == WALK_WAIT)
            return i > 0;
        if (r == WALK_END) {
            tree->now.counted = true;
        } else {
            tree->now.files++;
            tree->now.bytes += found.attr.size;
        }
    }
    return true;
}

static bool is_over(const struct warm_tree *tree) {
    if (tree->now.state != WARM_RUNNING)
        return true;
    for (unsigned i = 0; i < WARM_FILES; i++)
        if (tree->files[i].state != WARM_FILE_FREE)
            return false;
    return tree->walked;
}

static void add_failures(const struct warm_tree *tree, struct warm_figures *figures) {
    int error = 0;
    unsigned failures = tree->walk ? walk_failures(tree->walk, &error) : 0;
    figures->errors += failures;
    if (failures && !figures->error[0])
        (void)snprintf(figures->error, sizeof figures->error, "%u directories: %s", failures, err_name(error));
}

static void show(struct warm_tree *tree) {
    struct warm_figures figures = tree->now;
    add_failures(tree, &figures);
    for (unsigned i = 0; tree->files && i < WARM_FILES; i++)
        if (tree->files[i].state == WARM_FILE_FETCHING || tree->files[i].state == WARM_FILE_PAUSED)
            figures.bytes_done += tree->files[i].at;
    figures.state = WARM_RUNNING;
    LOCK_SCOPE(tree->bell.lock);
    figures.started = tree->figures.started;
    tree->figures = figures;
}

static bool is_paused(const struct warm_tree *tree) {
    for (unsigned i = 0; i < WARM_FILES; i++)
        if (tree->files[i].state == WARM_FILE_PAUSED)
            return true;
    return false;
}

// Until the bell rings, or a moment when memory is short. False: it is cancelled.
static bool wait_for_bell(struct warm_tree *tree, bool pause) {
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += PAUSE_NS;
    until.tv_sec += until.tv_nsec / NS_PER_S;
    until.tv_nsec %= NS_PER_S;
    LOCK_SCOPE(tree->bell.lock);
    while (!tree->bell.rung && !tree->cancel) {
        if (!pause)
            (void)pthread_cond_wait(&tree->bell.cond, tree->bell.lock);
        else if (pthread_cond_timedwait(&tree->bell.cond, tree->bell.lock, &until) != 0)
            break;
    }
    tree->bell.rung = false;
    return !tree->cancel;
}

static bool is_cancelled(struct warm_tree *tree) {
    LOCK_SCOPE(tree->bell.lock);
    return tree->cancel;
}

static void work(struct warm_tree *tree) {
    while (!is_over(tree)) {
        bool moved = step_files(tree);
        moved |= take_files(tree);
        if (tree->counting)
            moved |= count_files(tree);
        show(tree);
        if (moved ? is_cancelled(tree) : !is_over(tree) && !wait_for_bell(tree, is_paused(tree))) {
            tree->now.state = WARM_CANCELLED;
            return;
        }
    }
}

// ---- where it starts

static void call_answered(struct nfs_call *call) {
    struct warm_tree *tree = call->arg;
    bell_ring(&tree->bell, &tree->answered);
}

static int call_now(struct warm_tree *tree) {
    tree->answered = false;
    tree->call.cred = &tree->cred;
    tree->call.done = call_answered;
    tree->call.arg = tree;
    nfs_submit(tree->fs->share, &tree->call);
    for (;;) {
        bool goes_on = wait_for_bell(tree, false);
        bool answered;
        {
            LOCK_SCOPE(tree->bell.lock);
            answered = tree->answered;
        }
        if (answered)
            return tree->call.result;
        if (goes_on)
            continue;
        nfs_cancel(tree->fs->share, &tree->call);
        return -ECANCELED;
    }
}

static int enter(struct warm_tree *tree, struct nfs_fh *at, const char *name) {
    tree->call = (struct nfs_call){.op = NFS_LOOKUP, .fh = *at, .name = name};
    int r = call_now(tree);
    if (r == 0)
        *at = tree->call.out_fh;
    return r;
}

static int look_up(struct warm_tree *tree) {
    char name[NFS_NAME_MAX + 1];
    struct nfs_fh fh;
    int r = nodes_handle(tree->fs->nodes, NODES_ROOT, &fh);
    for (const char *at = tree->path; r == 0 && *at;) {
        size_t len = strcspn(at, "/");
        if (len > 0 && !str_is_path_component(at, len))
            return -EINVAL;
        memcpy(name, at, len);
        name[len] = '\0';
        at += len + (at[len] == '/');
        r = len ? enter(tree, &fh, name) : 0;
    }
    if (r < 0)
        return r;
    tree->call = (struct nfs_call){.op = NFS_GETATTR, .fh = fh};
    r = call_now(tree);
    tree->attr = tree->call.attr;
    LOCK_SCOPE(tree->bell.lock);
    tree->fh = fh;
    return r;
}

static int start(struct warm_tree *tree) {
    int r = tree->path ? look_up(tree) : 0;
    tree->files = r == 0 ? mem_array(WARM_FILES, sizeof *tree->files) : NULL;
    if (r < 0 || !tree->files)
        return r < 0 ? r : -ENOMEM;
    for (unsigned i = 0; i < WARM_FILES; i++)
        tree->files[i] = (struct warm_file){.fs = tree->fs, .bell = &tree->bell, .cred = &tree->cred};
    if (tree->kind == WARM_EVICT) {
        tree->patience = EVICT_PATIENCE;
        if (cache_sync(tree->fs->copies.cache, NULL) < 0)
            log_debug("what is given up was not made durable before", LOG_I("kind", tree->kind));
    }
    if (!S_ISDIR(tree->attr.mode)) {
        struct walk_file only = {.fh = tree->fh, .attr = tree->attr, .name = tree->path ? tree->path : "the file"};
        tree->walked = true;
        tree->now.counted = true;
        if (S_ISREG(tree->attr.mode))
            take_file(tree, &only);
        return 0;
    }
    r = walk_new(tree->fs->share, &tree->cred, &tree->bell, &tree->fh, &tree->walk);
    if (r == 0 && tree->kind == WARM_FETCH)
        r = walk_new(tree->fs->share, &tree->cred, &tree->bell, &tree->fh, &tree->counting);
    return r;
}

static void report(const struct warm_tree *tree) {
    static const char *const events[] = {
        [WARM_DONE] = "warm-up is done", [WARM_CANCELLED] = "warm-up is cancelled", [WARM_FAILED] = "warm-up failed"};
    if (tree->kind != WARM_FETCH)
        return;
    log_info(events[tree->ended], LOG_S("path", tree->path ? tree->path : ""), LOG_I("files", tree->now.files_done),
             LOG_I("bytes", tree->now.bytes_done), LOG_I("skipped", tree->now.skipped),
             LOG_I("errors", tree->now.errors), LOG_S("error", tree->now.error));
}

static void finish(struct warm_tree *tree) {
    for (unsigned i = 0; tree->files && i < WARM_FILES; i++)
        warm_file_stop(&tree->files[i]);
    if (tree->now.state == WARM_RUNNING)
        tree->now.state = WARM_DONE;
    tree->ended = tree->now.state;
    if (tree->ended == WARM_DONE) { // what was found meanwhile may differ from what was counted ahead
        tree->now.counted = true;
        tree->now.files = tree->now.files_done + tree->now.skipped + tree->now.errors;
    }
    add_failures(tree, &tree->now);
    tree->walk = walk_free(tree->walk);
    tree->counting = walk_free(tree->counting);
    show(tree);
    report(tree);
    free(take_ptr(tree->files));
}

void warm_tree_run(struct warm_tree *tree) {
    int r = start(tree);
    if (r == 0) {
        work(tree);
    } else if (is_cancelled(tree)) {
        tree->now.state = WARM_CANCELLED;
    } else {
        char text[sizeof tree->now.error];
        (void)snprintf(text, sizeof text, "%s%.100s%s%s", tree->path ? "'" : "", tree->path ? tree->path : "",
                       tree->path ? "': " : "", err_name(r));
        fail(tree, text);
    }
    finish(tree);
}

void warm_tree_cancel(struct warm_tree *tree) {
    tree->cancel = true;
    (void)pthread_cond_signal(&tree->bell.cond);
}

void warm_tree_init(struct warm_tree *tree, struct fs *fs, pthread_mutex_t *lock, enum warm_kind kind,
                    const struct nfs_cred *cred) {
    *tree = (struct warm_tree){.fs = fs, .kind = kind, .cred = *cred, .bell.lock = lock};
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&tree->bell.cond, &attr);
    (void)pthread_condattr_destroy(&attr);
}

void warm_tree_done(struct warm_tree *tree) {
    (void)pthread_cond_destroy(&tree->bell.cond);
    free(tree->path);
}
