// SPDX-License-Identifier: Apache-2.0
// The table of operations, and the life of a mounted share.
//
// Left out on purpose, so that the kernel knows better than a slow refusal: access (default_permissions), xattrs
// (EOPNOTSUPP after the first try; on cached mounts two of them are there, see ops_add_xattrs), fallocate and copy_file_range (no such call in NFSv3; programs fall back), lseek
// (the kernel's own: everything is data), locks (the kernel's own, among the processes of this node).
#include "node-plugin/cachefs/ops.h"

#include <errno.h>
#include <time.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "node-plugin/cachefs/dir.h"
#include "node-plugin/cachefs/inode.h"
#include "node-plugin/cachefs/warm.h"

#define BACKGROUND_MAX 256 // readahead and direct requests the kernel may have in flight (its default: 12)

static void on_init(void *userdata, struct fuse_conn_info *conn) {
    struct fs *fs = userdata;
    unsigned want = FUSE_CAP_ASYNC_READ | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_READDIRPLUS |
                    FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS |
                    FUSE_CAP_HANDLE_KILLPRIV;
    if (fs->copies.cache)
        want |= FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE;
    // HANDLE_KILLPRIV: the server drops set-user-id bits when a file is written, as NFS servers do.
    conn->want = want & conn->capable;
    if (fs->copies.cache)
        conn->want |= FUSE_CAP_IOCTL_DIR; // libfuse's own
    conn->max_background = BACKGROUND_MAX;
    conn->congestion_threshold = BACKGROUND_MAX * 3 / 4;
    conn->max_write = fs->wb.write_max;
    conn->max_read = fs->read_max;
    conn->time_gran = 1;
}

const struct fuse_lowlevel_ops fs_operations = {
    .init = on_init,
    .lookup = ops_lookup,
    .forget = ops_forget,
    .forget_multi = ops_forget_multi,
    .getattr = ops_getattr,
    .setattr = ops_setattr,
    .readlink = ops_readlink,
    .mknod = ops_mknod,
    .mkdir = ops_mkdir,
    .unlink = ops_unlink,
    .rmdir = ops_rmdir,
    .symlink = ops_symlink,
    .rename = ops_rename,
    .link = ops_link,
    .open = ops_open,
    .create = ops_create,
    .read = ops_read,
    .write = ops_write,
    .flush = ops_flush,
    .release = ops_release,
    .fsync = ops_fsync,
    .opendir = ops_opendir,
    .readdir = ops_readdir,
    .readdirplus = ops_readdirplus,
    .releasedir = ops_releasedir,
    .fsyncdir = ops_fsyncdir,
    .statfs = ops_statfs,
};

static uint32_t clamp_read(uint32_t server) {
    return server && server < NFS_IO_MAX ? server : NFS_IO_MAX;
}

#define FOREVER_S (365.0 * 24 * 3600)
#define ABSENT_S 1.0

static void set_timeouts(struct fs *fs) {
    fs->timeout_s = FS_TIMEOUT_S;
    if (fs->copies.trust == TRUST_TTL) {
        fs->timeout_s = (double)fs->copies.ttl_ns / NS_PER_S;
        fs->absent_s = fs->timeout_s < ABSENT_S ? fs->timeout_s : ABSENT_S;
    } else if (fs->copies.trust == TRUST_IMMUTABLE) {
        fs->timeout_s = fs->absent_s = FOREVER_S;
    }
}

int fs_new(struct nfs_share *share, const struct nfs_fh *root, const struct copy_options *copies, bool read_only,
           struct fs **ret, struct err *err) {
    struct fs *fs cleanup(fs_freep) = mem_zalloc(sizeof *fs);
    if (!fs)
        return err_set(err, -ENOMEM, "out of memory");
    *fs = (struct fs){.share = share, .clock = &clock_system, .read_only = read_only, .device = -1};
    if (copies)
        fs->copies = *copies;
    set_timeouts(fs);
    (void)pthread_mutex_init(&fs->copy_lock, NULL);
    (void)pthread_mutex_init(&fs->lock, NULL);
    (void)pthread_mutex_init(&fs->watch_lock, NULL);
    (void)pthread_mutex_init(&fs->files.lock, NULL);
    (void)pthread_mutex_init(&fs->dirs.lock, NULL);
    (void)pthread_mutex_init(&fs->parents.lock, NULL);
    (void)pthread_mutex_init(&fs->rewalk.lock, NULL);
    fs->creds = (struct creds)CREDS_INIT(fs->clock);
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&fs->idle, &attr);
    (void)pthread_condattr_destroy(&attr);
    clock_random(fs->clock, &fs->silly_next, sizeof fs->silly_next);
    // A whole request: libfuse reads up to 256 pages and one more for its head.
    bufs_init(&fs->bufs, (size_t)sysconf(_SC_PAGESIZE) * 256 + 65536);
    wb_mount_init(&fs->wb, share, &fs->bufs, FS_DIRTY_MAX);
    fs->read_max = clamp_read(nfs_share_info(share)->read_max);
    int r = nodes_new(root, &fs->nodes, err);
    if (r == 0 && fs->copies.cache)
        r = fetcher_new(fs, fs->copies.memory_limit, &fs->fetcher, err);
    if (r == 0 && fs->copies.cache)
        r = warmer_new(fs, err);
    if (r == 0)
        r = watch_start(fs, err);
    if (r < 0)
        return r;
    *ret = take_ptr(fs);
    return 0;
}

static void close_handles(struct fs *fs) {
    uint64_t handle;
    struct file *file;
    struct dir *dir;
    while ((file = handles_any(&fs->files, &handle))) {
        (void)handles_remove(&fs->files, handle);
        free(file); // its inode goes with inode_drop_all
    }
    while ((dir = handles_any(&fs->dirs, &handle))) {
        (void)handles_remove(&fs->dirs, handle);
        dir_put(dir);
    }
    handles_done(&fs->files);
    handles_done(&fs->dirs);
}

struct fs *fs_free(struct fs *fs) {
    if (!fs)
        return NULL;
    watch_stop(fs);
    fs->warmer = warmer_free(fs->warmer);
    fs->fetcher = fetcher_free(fs->fetcher);
    close_handles(fs);
    inode_drop_all(fs);
    (void)nodes_free(fs->nodes);
    bufs_done(&fs->bufs);
    wb_mount_done(&fs->wb);
    free(fs);
    return NULL;
}

bool fs_drain(struct fs *fs, int64_t deadline_ns) {
    struct timespec pause = {.tv_nsec = 5 * NS_PER_MS};
    if (fs->warmer)
        warmer_stop(fs->warmer);
    while (clock_monotonic(fs->clock) < deadline_ns) {
        wb_sync_all(&fs->wb);
        size_t ops;
        {
            LOCK_SCOPE(&fs->lock);
            ops = fs->op_count;
        }
        if (ops == 0 && wb_mount_used(&fs->wb) == 0)
            return true;
        (void)nanosleep(&pause, NULL); // runs once, at the end of the process
    }
    return false;
}
