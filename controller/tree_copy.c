// SPDX-License-Identifier: Apache-2.0
#include "controller/tree_copy.h"

#include <errno.h>
#include <string.h>

#include "controller/tree_copy_engine.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"

#define CALLS_DEFAULT 32
#define FILES_DEFAULT 32
#define BUFFER_DEFAULT (16u << 20)
#define ROOT_TIMEOUT_NS (30 * NS_PER_S)

// ---- directories ------------------------------------------------------------------------------------------------

void copy_dir_open(struct copy_file *file, bool resumed) {
    struct copier *copier = file->copier;
    struct copy_dir *parent = file->dir;
    struct copy_dir *dir = mem_zalloc(sizeof *dir);
    if (!dir) {
        tree_loop_no_memory(&copier->loop);
        return;
    }
    dir->dir.fh = file->from;
    dir->to = file->to;
    dir->attr = file->attr;
    dir->again = parent && parent->again;
    dir->resumed = resumed;
    int r = tree_walk_open(&copier->walk, &dir->dir, parent ? &parent->dir : NULL, parent ? file->name : "");
    if (r == 0)
        copy_file_free(file);
}

static void dir_whole(struct tree_call *call) {
    struct copy_dir *dir = call->owner;
    struct copier *copier = copier_of(call);
    int r = call->nfs.result;
    if ((r == -EPERM || r == -EACCES) && !copier->owners_denied) {
        copier->owners_denied = true;
        dir->dir.walk->ops->end(&dir->dir);
        return;
    }
    if (r < 0) {
        char buf[TREE_PATH_MAX];
        tree_loop_fail(&copier->loop, r, "cannot set owner, mode and times of the copy of '%s': %s",
                       tree_path(&dir->dir, NULL, buf), err_name(r));
        return;
    }
    atomic_fetch_add(&copier->progress->dirs, 1);
    tree_walk_close(&dir->dir);
}

static void on_end(struct tree_dir *base) {
    struct copy_dir *dir = (struct copy_dir *)base;
    struct copier *copier = base->walk->owner;
    struct tree_call *call = tree_loop_call(&copier->loop, copier->to, NFS_SETATTR, &dir->to, NULL);
    if (!call)
        return;
    call->nfs.set = copy_set(copier, &dir->attr);
    tree_loop_submit(call, dir_whole, dir);
}

static void entry_looked_up(struct tree_call *call) {
    struct copy_dir *dir = call->owner;
    struct copier *copier = copier_of(call);
    int r = call->nfs.result;
    if (r == 0) {
        copy_file_begin(copier, dir, call->name, &call->nfs.out_fh, &call->nfs.attr);
        return;
    }
    if (copy_is_gone(r)) {
        atomic_fetch_add(&copier->progress->vanished, 1);
        tree_walk_leave(&dir->dir);
        return;
    }
    char buf[TREE_PATH_MAX];
    tree_loop_fail(&copier->loop, r, "cannot look up '%s': %s", tree_path(&dir->dir, call->name, buf), err_name(r));
}

static void on_entry(struct tree_dir *base, const struct nfs_dirent *entry) {
    struct copy_dir *dir = (struct copy_dir *)base;
    struct copier *copier = base->walk->owner;
    if (entry->has_attr && entry->has_fh) {
        copy_file_begin(copier, dir, entry->name, &entry->fh, &entry->attr);
        return;
    }
    struct tree_call *call = tree_loop_call(&copier->loop, copier->from, NFS_LOOKUP, &base->fh, entry->name);
    if (call)
        tree_loop_submit(call, entry_looked_up, dir);
}

static bool on_again(struct tree_dir *base) {
    struct copy_dir *dir = (struct copy_dir *)base;
    dir->again = dir->resumed = true;
    ((struct copier *)base->walk->owner)->links_kept = true;
    return false; // nothing goes away: what comes again costs as much as before
}

static bool on_unreadable(struct tree_dir *dir, int code) {
    char buf[TREE_PATH_MAX];
    if (copy_is_gone(code) && dir->parent)
        return true; // deleted while we were at it
    tree_loop_fail(dir->walk->loop, code == -ESTALE ? -ENOENT : code, "cannot read the directory '%s': %s",
                   tree_path(dir, NULL, buf), tree_walk_reason(code));
    return false;
}

static void dir_free(struct tree_dir *dir) {
    free(dir);
}

static const struct tree_walk_ops copy_ops = {
    .entry = on_entry,
    .again = on_again,
    .end = on_end,
    .unreadable = on_unreadable,
    .free = dir_free,
};

// ---- the whole --------------------------------------------------------------------------------------------------

// Bytes first: what is begun is finished before more is begun.
static void fill(void *arg) {
    struct copier *copier = arg;
    while (!tree_loop_full(&copier->loop) && !copier->loop.result) {
        if (copy_data_step(copier))
            continue;
        if (copier->file_count >= copier->file_limit || !tree_walk_step(&copier->walk))
            break;
    }
    if (copier->walk.open && !copier->walk.busy_newest)
        atomic_store(&copier->progress->all_found, true);
}

static int begin(struct copier *copier, const struct nfs_fh *from_dir, const char *name, struct err *err) {
    struct nfs_call call = {.op = NFS_GETATTR, .fh = *from_dir};
    call.deadline_ns = clock_monotonic(&clock_system) + ROOT_TIMEOUT_NS;
    int r = nfs_run(copier->from, &call);
    if (r < 0)
        return err_set(err, r == -ESTALE ? -ENOENT : r, "cannot read the source's root directory: %s", err_name(r));
    if (!S_ISDIR(call.attr.mode))
        return err_set(err, -ENOTDIR, "the source is no directory");
    copy_file_begin(copier, NULL, name, from_dir, &call.attr);
    return 0;
}

static void finish(struct copier *copier) {
    tree_walk_done(&copier->walk);
    copy_data_done(copier);
    while (copier->files)
        copy_file_free(copier->files);
    copy_links_done(copier);
    tree_loop_done(&copier->loop);
}

static uint32_t chunk_size(struct nfs_share *from, struct nfs_share *to) {
    uint32_t read = nfs_share_info(from)->read_max, write = nfs_share_info(to)->write_max;
    uint32_t least = read < write ? read : write;
    return least && least < NFS_IO_MAX ? least : NFS_IO_MAX;
}

int tree_copy(struct nfs_share *from, const struct nfs_fh *from_dir, struct nfs_share *to,
              const struct nfs_fh *to_parent, const char *name, const struct tree_copy_options *options,
              struct tree_copy_progress *progress, struct err *err) {
    static const struct tree_copy_options defaults;
    struct tree_copy_progress own = {0};
    if (!options)
        options = &defaults;
    struct copier copier = {.from = from, .to = to, .to_parent = *to_parent, .progress = progress ? progress : &own};
    copier.file_limit = options->files ? options->files : FILES_DEFAULT;
    copier.buffer_limit = options->buffer_bytes ? options->buffer_bytes : BUFFER_DEFAULT;
    copier.chunk = chunk_size(from, to);
    int r = tree_loop_init(&copier.loop, options->calls ? options->calls : CALLS_DEFAULT);
    if (r < 0)
        return err_set(err, r, "cannot start the copy: %s", err_name(r));
    copier.walk = (struct tree_walk){.ops = &copy_ops, .loop = &copier.loop, .share = from, .owner = &copier};
    r = begin(&copier, from_dir, name, err);
    if (r == 0)
        r = tree_loop_run(&copier.loop, fill, &copier, &options->cancel, err);
    else
        tree_loop_fail(&copier.loop, r, "%s", err_text(err));
    finish(&copier);
    return r;
}
