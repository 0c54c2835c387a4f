// SPDX-License-Identifier: Apache-2.0
#include "lib/nfs/posix/share.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/nfs/posix/files.h"
#include "lib/nfs/posix/node.h"
#include "lib/nfs/posix/table.h"

#define THREADS 64
#define THREADS_MAX 256
#define DESCRIPTORS 256

static posix_op *const ops[NFS_OP_COUNT] = {
    [NFS_GETATTR] = posix_getattr, [NFS_SETATTR] = posix_setattr,   [NFS_LOOKUP] = posix_lookup,
    [NFS_ACCESS] = posix_access,   [NFS_READLINK] = posix_readlink, [NFS_READ] = posix_read,
    [NFS_WRITE] = posix_write,     [NFS_COMMIT] = posix_commit,     [NFS_CREATE] = posix_create,
    [NFS_MKDIR] = posix_mkdir,     [NFS_SYMLINK] = posix_symlink,   [NFS_MKNOD] = posix_mknod,
    [NFS_LINK] = posix_link,       [NFS_REMOVE] = posix_remove,     [NFS_RMDIR] = posix_rmdir,
    [NFS_RENAME] = posix_rename,   [NFS_READDIR] = posix_readdir,   [NFS_FSSTAT] = posix_fsstat,
};

static int run(struct posix_worker *worker, struct nfs_call *call) {
    return ops[call->op](worker, call);
}

static void tick(struct posix_worker *worker) {
    if (posix_files_trim(worker))
        posix_pool_want_tick(worker->pool);
}

static void share_submit(struct nfs_share *base, struct nfs_call *call) {
    struct posix_share *share = (struct posix_share *)base;
    posix_pool_submit(share->pool, call, &share->cred);
}

static void share_cancel(struct nfs_share *base, struct nfs_call *call) {
    posix_pool_cancel(((struct posix_share *)base)->pool, call);
}

static const struct nfs_info *share_info(struct nfs_share *base) {
    return &((struct posix_share *)base)->info;
}

static void share_close(struct nfs_share *base) {
    posix_pool_close(((struct posix_share *)base)->pool); // frees the share, now or when the last thread comes back
}

static void share_free(void *owner) {
    struct posix_share *share = owner;
    (void)posix_files_free(share->files);
    (void)posix_table_free(share->table);
    if (share->root_fd >= 0)
        (void)close(share->root_fd);
    if (share->proc_fd >= 0)
        (void)close(share->proc_fd);
    free(share->path);
    free(share);
}

static int check_options(const struct posix_options *o, struct err *err) {
    if (str_empty(o->path) || o->path[0] != '/')
        return err_set(err, -EINVAL, "'%.200s' is not an absolute path; start it with '/'", o->path ? o->path : "");
    if (o->threads > THREADS_MAX)
        return err_set(err, -EINVAL, "%u threads are too many: at most %d", o->threads, THREADS_MAX);
    if (o->cred.group_count > NFS_GROUPS_MAX)
        return err_set(err, -EINVAL, "%u groups are too many: at most %d", o->cred.group_count, NFS_GROUPS_MAX);
    return 0;
}

static int open_directories(struct posix_share *share, struct err *err) {
    share->root_fd = open(share->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC); // O_PATH is not enough to open by handle
    if (share->root_fd < 0)
        return err_set(err, -errno, "directory '%.200s' cannot be opened: %s", share->path, err_name(errno));
    share->proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (share->proc_fd < 0)
        return err_set(err, -errno, "/proc/self/fd cannot be opened: %s; mount proc on /proc", err_name(errno));
    return 0;
}

static int start(struct posix_share *share, const struct posix_options *o, struct err *err) {
    const struct posix_pool_options pool = {.threads = o->threads ? o->threads : THREADS,
                                            .owner = share,
                                            .run = run,
                                            .tick = tick,
                                            .free_owner = share_free};
    unsigned long long verifier;
    clock_random(share->clock, &verifier, sizeof verifier);
    atomic_init(&share->verifier, verifier);
    int r = open_directories(share, err);
    if (r == 0)
        r = posix_node_start(share, o->no_kernel_handles, err);
    if (r < 0)
        return r;
    r = posix_files_new(o->descriptors ? o->descriptors : DESCRIPTORS, &share->files);
    return r < 0 ? err_set(err, r, "out of memory") : posix_pool_new(&pool, &share->pool, err);
}

int posix_share_open(const struct posix_options *options, struct nfs_share **ret, struct err *err) {
    static const struct nfs_backend backend = {share_submit, share_cancel, share_info, share_close};
    int r = check_options(options, err);
    if (r < 0)
        return r;
    struct posix_share *share = mem_zalloc(sizeof *share);
    if (!share)
        return err_set(err, -ENOMEM, "out of memory");
    share->base.backend = &backend;
    share->cred = options->cred;
    share->clock = options->clock ? options->clock : &clock_system;
    share->uncached = options->uncached;
    share->root_fd = share->proc_fd = -1;
    share->path = mem_strdup(options->path);
    share->info = (struct nfs_info){.read_max = NFS_IO_MAX, .write_max = NFS_IO_MAX, .server = "", .path = share->path};
    r = share->path ? start(share, options, err) : err_set(err, -ENOMEM, "out of memory");
    if (r < 0) {
        share_free(share);
        return r;
    }
    *ret = &share->base;
    return 0;
}

bool posix_share_has_kernel_handles(struct nfs_share *share) {
    return ((struct posix_share *)share)->table == NULL;
}
