// SPDX-License-Identifier: Apache-2.0
#include "controller/tree_remove.h"

#include <errno.h>
#include <string.h>

#include "controller/tree_walk.h"
#include "lib/base/mem.h"

#define CALLS_DEFAULT 32
#define IDLE_RESCANS_MAX 3 // passes over a directory that says ENOTEMPTY while nothing in it is left to remove

struct remover {
    struct tree_loop loop;
    struct tree_walk walk;
    struct nfs_share *share;
    struct nfs_fh parent;
    const char *name;
    struct tree_remove_progress *progress;
    struct err first; // the first entry that stays
};

struct remove_dir {
    struct tree_dir dir;
    bool denied, opened;     // something in it said EACCES; its permissions were widened
    bool keeps;              // something in it cannot be removed
    uint64_t removed;        // in this pass
    uint64_t removed_before; // when the listing broke off last
    unsigned idle_rescans;
};

static struct remover *remover_of(const struct tree_call *call) {
    return (struct remover *)((char *)call->loop - offsetof(struct remover, loop));
}

// Does this failure concern one entry, so that the others are still to be removed?
static bool concerns_entry(int code) {
    switch (code) {
    case -EACCES:
    case -EPERM:
    case -EBUSY:
    case -ENOTEMPTY:
    case -EEXIST:
    case -EISDIR:
    case -ENOTDIR:
    case -EIO:
    case -EINVAL:
    case -ENAMETOOLONG:
        return true;
    default:
        return false;
    }
}

static bool is_gone(int code) {
    return code == -ENOENT || code == -ESTALE;
}

static void count_removed(struct remover *remover, struct remove_dir *in) {
    atomic_fetch_add(&remover->progress->removed, 1);
    if (in)
        in->removed++;
}

// The entry `name` of `in` (NULL: the tree itself) stays, or everything has to stop.
static void failed(struct remover *remover, struct remove_dir *in, const char *name, int code) {
    char buf[TREE_PATH_MAX];
    const char *path = in ? tree_path(&in->dir, name, buf) : name;
    if (!concerns_entry(code)) {
        tree_loop_fail(&remover->loop, code, "cannot remove '%s': %s", path, err_name(code));
        return;
    }
    if (code == -EACCES && in && !in->opened) {
        in->denied = true; // tried again when the directory was opened
        return;
    }
    if (in)
        in->keeps = true;
    if (atomic_fetch_add(&remover->progress->failed, 1) == 0)
        (void)err_set(&remover->first, code, "cannot remove '%s': %s", path, err_name(code));
}

static void open_dir(struct remover *remover, struct remove_dir *in, const char *name, const struct nfs_fh *fh) {
    struct remove_dir *sub = mem_zalloc(sizeof *sub);
    if (!sub) {
        tree_loop_no_memory(&remover->loop);
        return;
    }
    sub->dir.fh = *fh;
    (void)tree_walk_open(&remover->walk, &sub->dir, in ? &in->dir : NULL, name);
}

static void looked_up(struct tree_call *call);

static void look_up(struct remover *remover, struct remove_dir *in, const char *name) {
    const struct nfs_fh *fh = in ? &in->dir.fh : &remover->parent;
    struct tree_call *call = tree_loop_call(&remover->loop, remover->share, NFS_LOOKUP, fh, name);
    if (call)
        tree_loop_submit(call, looked_up, in);
}

static void file_removed(struct tree_call *call) {
    struct remover *remover = remover_of(call);
    struct remove_dir *in = call->owner;
    int r = call->nfs.result;
    if (r == 0 || is_gone(r))
        count_removed(remover, in);
    else
        failed(remover, in, call->name, r);
    if (in)
        tree_walk_leave(&in->dir);
}

static void remove_file(struct remover *remover, struct remove_dir *in, const char *name) {
    const struct nfs_fh *fh = in ? &in->dir.fh : &remover->parent;
    struct tree_call *call = tree_loop_call(&remover->loop, remover->share, NFS_REMOVE, fh, name);
    if (call)
        tree_loop_submit(call, file_removed, in);
}

// An entry whose type the directory did not tell, or the tree itself.
static void looked_up(struct tree_call *call) {
    struct remover *remover = remover_of(call);
    struct remove_dir *in = call->owner;
    int r = call->nfs.result;
    if (r == 0 && S_ISDIR(call->nfs.attr.mode)) {
        open_dir(remover, in, call->name, &call->nfs.out_fh);
        return;
    }
    if (r == 0) {
        remove_file(remover, in, call->name);
        return;
    }
    if (!is_gone(r))
        failed(remover, in, call->name, r);
    if (in)
        tree_walk_leave(&in->dir);
}

static void on_entry(struct tree_dir *dir, const struct nfs_dirent *entry) {
    struct remover *remover = dir->walk->owner;
    struct remove_dir *in = (struct remove_dir *)dir;
    if (!entry->has_attr || (S_ISDIR(entry->attr.mode) && !entry->has_fh))
        look_up(remover, in, entry->name);
    else if (S_ISDIR(entry->attr.mode))
        open_dir(remover, in, entry->name, &entry->fh);
    else
        remove_file(remover, in, entry->name);
}

static void rescan(struct remove_dir *rd) {
    rd->removed = rd->removed_before = 0;
    tree_walk_rescan(&rd->dir);
}

static void dir_opened(struct tree_call *call) {
    rescan(call->owner); // what is denied now stays denied, and is told then
}

static void widen(struct remover *remover, struct remove_dir *rd) {
    struct tree_call *call = tree_loop_call(&remover->loop, remover->share, NFS_SETATTR, &rd->dir.fh, NULL);
    if (!call)
        return;
    rd->opened = true;
    rd->denied = false;
    call->nfs.set = (struct nfs_setattr){.mask = NFS_SET_MODE, .mode = 0700};
    tree_loop_submit(call, dir_opened, rd);
}

static void dir_removed(struct tree_call *call) {
    struct remover *remover = remover_of(call);
    struct remove_dir *rd = call->owner;
    struct remove_dir *in = (struct remove_dir *)rd->dir.parent;
    int r = call->nfs.result;
    bool filled = r == -ENOTEMPTY || r == -EEXIST; // RFC 1813 allows both
    if (filled && (rd->removed || rd->idle_rescans++ < IDLE_RESCANS_MAX)) {
        rescan(rd); // the server skipped entries while others went, or somebody still writes here
        return;
    }
    if (r == 0 || is_gone(r))
        count_removed(remover, in);
    else
        failed(remover, in, call->name, r);
    tree_walk_close(&rd->dir);
}

static void on_end(struct tree_dir *dir) {
    struct remover *remover = dir->walk->owner;
    struct remove_dir *rd = (struct remove_dir *)dir;
    if (remover->loop.result)
        return;
    if (rd->denied) {
        widen(remover, rd);
        return;
    }
    if (rd->keeps) { // told already, with the path of what stays
        if (dir->parent)
            ((struct remove_dir *)dir->parent)->keeps = true;
        tree_walk_close(dir);
        return;
    }
    const struct nfs_fh *parent = dir->parent ? &dir->parent->fh : &remover->parent;
    struct tree_call *call = tree_loop_call(&remover->loop, remover->share, NFS_RMDIR, parent, dir->name);
    if (call)
        tree_loop_submit(call, dir_removed, rd);
}

static bool on_again(struct tree_dir *dir) {
    struct remove_dir *rd = (struct remove_dir *)dir;
    bool fewer = rd->removed > rd->removed_before;
    rd->removed_before = rd->removed;
    return fewer;
}

static bool on_unreadable(struct tree_dir *dir, int code) {
    struct remove_dir *rd = (struct remove_dir *)dir;
    char buf[TREE_PATH_MAX];
    if (code == -EAGAIN)
        tree_loop_fail(dir->walk->loop, code, "cannot read '%s': %s", tree_path(dir, NULL, buf),
                       tree_walk_reason(code));
    else if (!is_gone(code))
        failed(dir->walk->owner, rd, ".", code);
    return dir->walk->loop->result == 0;
}

static void dir_free(struct tree_dir *dir) {
    free(dir);
}

static const struct tree_walk_ops remove_ops = {
    .entry = on_entry,
    .again = on_again,
    .end = on_end,
    .unreadable = on_unreadable,
    .free = dir_free,
};

static void fill(void *arg) {
    struct remover *remover = arg;
    while (!tree_loop_full(&remover->loop) && tree_walk_step(&remover->walk))
        continue;
}

int tree_remove(struct nfs_share *share, const struct nfs_fh *parent, const char *name,
                const struct tree_remove_options *options, struct tree_remove_progress *progress, struct err *err) {
    static const struct tree_remove_options defaults;
    struct tree_remove_progress own = {0};
    if (!options)
        options = &defaults;
    struct remover remover = {.share = share, .parent = *parent, .name = name, .progress = progress ? progress : &own};
    int r = tree_loop_init(&remover.loop, options->calls ? options->calls : CALLS_DEFAULT);
    if (r < 0)
        return err_set(err, r, "cannot start removing '%s': %s", name, err_name(r));
    remover.walk = (struct tree_walk){.ops = &remove_ops, .loop = &remover.loop, .share = share, .owner = &remover};
    look_up(&remover, NULL, name);
    r = tree_loop_run(&remover.loop, fill, &remover, &options->cancel, err);
    tree_walk_done(&remover.walk);
    tree_loop_done(&remover.loop);
    if (r < 0 || !remover.first.code)
        return r;
    uint64_t count = atomic_load(&remover.progress->failed);
    return err_set(err, remover.first.code, "%s (%llu in all stay)", remover.first.msg, (unsigned long long)count);
}
