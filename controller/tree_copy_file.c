// SPDX-License-Identifier: Apache-2.0
// One entry's way:  begin → create (or find what an earlier attempt left) → bytes → COMMIT → owner, mode, times → end
//
// The modification time comes last, so that it marks what is whole; a file that differs from its source in size or
// modification time is emptied and copied again.
#include <errno.h>
#include <string.h>

#include "controller/tree_copy_engine.h"
#include "lib/base/mem.h"

#define ATTEMPTS_MAX 8

void copy_file_fail(struct copy_file *file, const char *what, int code) {
    char buf[TREE_PATH_MAX];
    const char *path = file->dir ? tree_path(&file->dir->dir, file->name, buf) : ".";
    tree_loop_fail(&file->copier->loop, code, "cannot %s '%s': %s", what, path, err_name(code));
}

struct tree_call *copy_file_call(struct copy_file *file, enum nfs_op op, const char *name) {
    struct copier *copier = file->copier;
    return tree_loop_call(&copier->loop, copier->to, op, file->dir ? &file->dir->to : &copier->to_parent, name);
}

void copy_file_free(struct copy_file *file) {
    struct copier *copier = file->copier;
    *(file->newer ? &file->newer->older : &copier->files) = file->older;
    if (file->older)
        file->older->newer = file->newer;
    copier->file_count--;
    free(file->name);
    free(file->target);
    free(file);
}

void copy_file_end(struct copy_file *file) {
    struct copy_dir *dir = file->dir;
    copy_link_whole(file);
    copy_file_free(file);
    if (dir)
        tree_walk_leave(&dir->dir);
}

static void vanish(struct copy_file *file) {
    file->vanished = true;
    atomic_fetch_add(&file->copier->progress->vanished, 1);
    copy_file_end(file);
}

// ---- owner, mode, times -----------------------------------------------------------------------------------------

static void send_set(struct copy_file *file);

struct nfs_setattr copy_set(const struct copier *copier, const struct nfs_attr *attr) {
    struct nfs_setattr set = {.mask = NFS_SET_ATIME | NFS_SET_MTIME, .atime = attr->atime, .mtime = attr->mtime};
    if (!S_ISLNK(attr->mode)) {
        set.mask |= NFS_SET_MODE;
        set.mode = attr->mode & 07777;
    }
    if (!copier->owners_denied) {
        set.mask |= NFS_SET_UID | NFS_SET_GID;
        set.uid = attr->uid;
        set.gid = attr->gid;
    } else if (S_ISREG(attr->mode)) {
        set.mode &= 01777; // never setuid or setgid for another owner
    }
    return set;
}

static void attributes_set(struct tree_call *call) {
    struct copy_file *file = call->owner;
    struct copier *copier = file->copier;
    int r = call->nfs.result;
    if ((r == -EPERM || r == -EACCES) && !copier->owners_denied) {
        copier->owners_denied = true;
        send_set(file);
        return;
    }
    if (r < 0 && !(S_ISLNK(file->attr.mode) && r != -ETIMEDOUT && r != -ESHUTDOWN)) { // many servers cannot for links
        copy_file_fail(file, "set owner, mode and times of the copy of", r);
        return;
    }
    atomic_fetch_add(&copier->progress->files, 1);
    copy_file_end(file);
}

static void owner_set(struct tree_call *call) {
    struct copy_file *file = call->owner;
    file->owner_set = true;
    if (call->nfs.result == -EPERM || call->nfs.result == -EACCES)
        file->copier->owners_denied = true;
    else if (call->nfs.result < 0)
        copy_file_fail(file, "set the owner of the copy of", call->nfs.result);
    send_set(file);
}

// Servers clear setuid and setgid when the owner changes (chown(2)), some also within one SETATTR: the owner goes first.
static void send_set(struct copy_file *file) {
    struct copier *copier = file->copier;
    struct tree_call *call = tree_loop_call(&copier->loop, copier->to, NFS_SETATTR, &file->to, NULL);
    if (!call)
        return;
    call->nfs.set = copy_set(copier, &file->attr);
    if (S_ISREG(file->attr.mode) && (file->attr.mode & 06000) && !copier->owners_denied && !file->owner_set) {
        call->nfs.set.mask = NFS_SET_UID | NFS_SET_GID;
        tree_loop_submit(call, owner_set, file);
        return;
    }
    if (file->owner_set)
        call->nfs.set.mask &= ~(unsigned)(NFS_SET_UID | NFS_SET_GID);
    if (S_ISREG(file->attr.mode) && file->written_end < file->size) { // ends with a hole
        call->nfs.set.mask |= NFS_SET_SIZE;
        call->nfs.set.size = file->size;
    }
    tree_loop_submit(call, attributes_set, file);
}

// ---- bytes ------------------------------------------------------------------------------------------------------

static void emptied(struct tree_call *call) {
    struct copy_file *file = call->owner;
    if (call->nfs.result < 0)
        copy_file_fail(file, "empty the unfinished copy of", call->nfs.result);
    else
        copy_data_begin(file);
}

static void empty(struct copy_file *file) {
    struct tree_call *call = tree_loop_call(&file->copier->loop, file->copier->to, NFS_SETATTR, &file->to, NULL);
    if (!call)
        return;
    call->nfs.set = (struct nfs_setattr){.mask = NFS_SET_SIZE};
    tree_loop_submit(call, emptied, file);
}

static void committed(struct tree_call *call) {
    struct copy_file *file = call->owner;
    if (call->nfs.result < 0) {
        copy_file_fail(file, "commit the copy of", call->nfs.result);
        return;
    }
    if (!file->resend && memcmp(call->nfs.verifier, file->verifier, sizeof file->verifier) == 0) {
        send_set(file);
        return;
    }
    atomic_fetch_add(&file->copier->progress->resent, 1); // the server restarted and forgot what was not committed
    if (++file->attempts > ATTEMPTS_MAX)
        copy_file_fail(file, "keep the server from losing the copy of", -EIO);
    else
        empty(file);
}

static void vanished_removed(struct tree_call *call) {
    struct copy_file *file = call->owner;
    if (call->nfs.result < 0 && !copy_is_gone(call->nfs.result))
        copy_file_fail(file, "remove the copy of the deleted", call->nfs.result);
    else
        vanish(file);
}

void copy_file_data_done(struct copy_file *file) {
    if (file->vanished) {
        struct tree_call *call = copy_file_call(file, NFS_REMOVE, file->name);
        if (call)
            tree_loop_submit(call, vanished_removed, file);
        return;
    }
    if (!file->has_verifier) {
        send_set(file);
        return;
    }
    struct tree_call *call = tree_loop_call(&file->copier->loop, file->copier->to, NFS_COMMIT, &file->to, NULL);
    if (call)
        tree_loop_submit(call, committed, file);
}

// ---- create -----------------------------------------------------------------------------------------------------

static void look_for_copy(struct copy_file *file);

static void made(struct tree_call *call) {
    struct copy_file *file = call->owner;
    int r = call->nfs.result;
    if (r == -EEXIST && file->attempts++ < ATTEMPTS_MAX) {
        look_for_copy(file);
        return;
    }
    if (r < 0) {
        copy_file_fail(file, "create the copy of", r);
        return;
    }
    file->to = call->nfs.out_fh;
    if (S_ISDIR(file->attr.mode))
        copy_dir_open(file, false);
    else if (S_ISREG(file->attr.mode))
        copy_data_begin(file);
    else
        send_set(file);
}

static void target_read(struct tree_call *call) {
    struct copy_file *file = call->owner;
    if (copy_is_gone(call->nfs.result)) {
        vanish(file);
    } else if (call->nfs.result < 0) {
        copy_file_fail(file, "read the symbolic link", call->nfs.result);
    } else {
        file->target = take_ptr(call->nfs.text);
        copy_file_make(file);
    }
}

static void read_target(struct copy_file *file) {
    struct tree_call *call = tree_loop_call(&file->copier->loop, file->copier->from, NFS_READLINK, &file->from, NULL);
    if (call)
        tree_loop_submit(call, target_read, file);
}

static void create(struct copy_file *file) {
    mode_t type = file->attr.mode & S_IFMT;
    if (type == S_IFLNK && !file->target) {
        read_target(file);
        return;
    }
    enum nfs_op op = type == S_IFREG   ? NFS_CREATE
                     : type == S_IFDIR ? NFS_MKDIR
                     : type == S_IFLNK ? NFS_SYMLINK
                                       : NFS_MKNOD;
    struct tree_call *call = copy_file_call(file, op, file->name);
    if (!call)
        return;
    call->nfs.exclusive = true;
    call->nfs.target = file->target;
    call->nfs.rdev_major = file->attr.rdev_major;
    call->nfs.rdev_minor = file->attr.rdev_minor;
    call->nfs.set = (struct nfs_setattr){.mask = NFS_SET_MODE, .mode = type == S_IFDIR ? 0700 : 0600};
    if (type == S_IFLNK)
        call->nfs.set.mode = 0777;
    else if (op == NFS_MKNOD)
        call->nfs.set.mode |= type;
    tree_loop_submit(call, made, file);
}

// ---- what an earlier attempt left -------------------------------------------------------------------------------

static bool same_time(const struct timespec *a, const struct timespec *b) {
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_whole(const struct copy_file *file, const struct nfs_attr *copy) {
    if ((copy->mode & S_IFMT) != (file->attr.mode & S_IFMT) || !same_time(&copy->mtime, &file->attr.mtime))
        return false;
    return !S_ISREG(copy->mode) || copy->size == file->attr.size;
}

static void old_removed(struct tree_call *call) {
    struct copy_file *file = call->owner;
    if (call->nfs.result < 0 && !copy_is_gone(call->nfs.result))
        copy_file_fail(file, "replace", call->nfs.result);
    else
        create(file);
}

// What is whole in a directory that is listed again was counted when this run copied it.
static void count_whole(struct copy_file *file, const struct nfs_attr *copy) {
    struct tree_copy_progress *progress = file->copier->progress;
    bool again = file->dir && file->dir->again;
    if (again && S_ISREG(copy->mode))
        atomic_fetch_sub(&progress->bytes_found, copy->size);
    else if (S_ISREG(copy->mode))
        atomic_fetch_add(&progress->bytes, copy->size);
    atomic_fetch_add(&progress->skipped, 1);
    atomic_fetch_add(&progress->files, again ? 0 : 1);
}

static void copy_exists(struct copy_file *file, const struct nfs_attr *copy) {
    bool dir = S_ISDIR(file->attr.mode);
    if (dir != (bool)S_ISDIR(copy->mode)) {
        copy_file_fail(file, "replace what is in the place of the copy of", -EEXIST);
    } else if (dir) {
        copy_dir_open(file, true);
    } else if (is_whole(file, copy)) {
        count_whole(file, copy);
        copy_file_end(file);
    } else if (S_ISREG(file->attr.mode) && S_ISREG(copy->mode)) {
        empty(file);
    } else {
        struct tree_call *call = copy_file_call(file, NFS_REMOVE, file->name);
        if (call)
            tree_loop_submit(call, old_removed, file);
    }
}

static void copy_looked_up(struct tree_call *call) {
    struct copy_file *file = call->owner;
    if (call->nfs.result == -ENOENT) {
        create(file);
    } else if (call->nfs.result < 0) {
        copy_file_fail(file, "look up the copy of", call->nfs.result);
    } else {
        file->to = call->nfs.out_fh;
        copy_exists(file, &call->nfs.attr);
    }
}

static void look_for_copy(struct copy_file *file) {
    struct tree_call *call = copy_file_call(file, NFS_LOOKUP, file->name);
    if (call)
        tree_loop_submit(call, copy_looked_up, file);
}

void copy_file_make(struct copy_file *file) {
    if (file->dir && file->dir->resumed)
        look_for_copy(file);
    else
        create(file);
}

void copy_file_begin(struct copier *copier, struct copy_dir *dir, const char *name, const struct nfs_fh *from,
                     const struct nfs_attr *attr) {
    struct copy_file *file = mem_zalloc(sizeof *file);
    char *copy = mem_strdup(name);
    if (!file || !copy) {
        free(file);
        free(copy);
        tree_loop_no_memory(&copier->loop);
        return;
    }
    *file = (struct copy_file){.copier = copier, .dir = dir, .name = copy, .from = *from, .attr = *attr};
    file->older = copier->files;
    if (file->older)
        file->older->newer = file;
    copier->files = file;
    copier->file_count++;
    bool more_names = attr->nlink > 1 && !S_ISDIR(attr->mode);
    if (more_names && copy_link_begin(file))
        return;
    if (S_ISREG(attr->mode))
        atomic_fetch_add(&copier->progress->bytes_found, attr->size);
    copy_file_make(file);
}
