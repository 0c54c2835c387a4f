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
#include "node-plugin/cachefs/resume.h"
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
    struct state_head *head = fs->state->head;
    if (!fs->state->resumed) { // else the kernel goes by what was agreed, whatever the server says now
        head->max_write = fs->wb.write_max;
        head->max_read = fs->read_max;
    }
    conn->max_write = head->max_write;
    conn->max_read = head->max_read;
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

static void open_slots(const struct state *state, enum state_region region, struct slots *ret) {
    size_t bytes, record;
    void *memory = state_region(state, region, &bytes, &record);
    slots_open(ret, memory, bytes, record);
}

static void open_handles(const struct state *state, enum state_region region, struct handles *ret) {
    size_t bytes, record;
    void *memory = state_region(state, region, &bytes, &record);
    handles_open(ret, memory, bytes, record);
}

// Everything that lies in memory which outlives this process.
static int open_state(struct fs *fs, struct state *state, const struct nfs_fh *root, struct err *err) {
    int r = state ? 0 : state_open(NULL, false, &fs->state, err);
    if (r < 0)
        return r;
    fs->own_state = state == NULL;
    fs->state = state ? state : fs->state;
    fs->device = fs->state->fds[STATE_FUSE];
    open_handles(fs->state, STATE_FILES, &fs->files);
    open_handles(fs->state, STATE_DIRS, &fs->dirs);
    open_slots(fs->state, STATE_CALLS, &fs->calls);
    open_slots(fs->state, STATE_SILLY, &fs->sillies);
    open_slots(fs->state, STATE_PIECES, &fs->pieces);
    r = spool_open(&fs->spool, fs->state->fds[STATE_SPOOL]);
    if (r < 0)
        return err_set(err, r, "cannot make the memory for written data: %s", err_name(r));
    return nodes_open(fs->state->fds[STATE_NODES], fs->state->resumed ? NULL : root, &fs->nodes, err);
}

static int make_cache(struct fs *fs, struct err *err) {
    int r = fetcher_new(fs, fs->copies.memory_limit, &fs->fetcher, err);
    return r < 0 ? r : warmer_new(fs, err);
}

int fs_new(const struct fs_options *o, struct fs **ret, struct err *err) {
    struct fs *fs cleanup(fs_freep) = mem_zalloc(sizeof *fs);
    if (!fs)
        return err_set(err, -ENOMEM, "out of memory");
    *fs = (struct fs){.share = o->share, .clock = &clock_system, .read_only = o->read_only, .device = -1};
    if (o->copies)
        fs->copies = *o->copies;
    set_timeouts(fs);
    (void)pthread_mutex_init(&fs->copy_lock, NULL);
    (void)pthread_mutex_init(&fs->lock, NULL);
    (void)pthread_mutex_init(&fs->watch_lock, NULL);
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
    bufs_init(&fs->bufs, (size_t)sysconf(_SC_PAGESIZE) * 256 + 65536, NULL);
    bufs_init(&fs->requests, fs->bufs.size, &fs->spool);
    wb_mount_init(&fs->wb, o->share, &fs->requests, &fs->pieces, FS_DIRTY_MAX);
    fs->read_max = clamp_read(nfs_share_info(o->share)->read_max);
    int r = open_state(fs, o->state, o->root, err);
    if (r == 0 && fs->copies.cache)
        r = make_cache(fs, err);
    if (r == 0 && fs->state->resumed)
        r = resume_state(fs, err);
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
    if (fs->spool.base) // else nothing was taken from it
        bufs_done(&fs->requests);
    wb_mount_done(&fs->wb);
    spool_done(&fs->spool);
    slots_done(&fs->calls);
    slots_done(&fs->sillies);
    slots_done(&fs->pieces);
    if (fs->own_state)
        (void)state_free(fs->state);
    free(fs);
    return NULL;
}

size_t fs_op_count(struct fs *fs) {
    LOCK_SCOPE(&fs->lock);
    return fs->op_count;
}

bool fs_drain(struct fs *fs, int64_t deadline_ns) {
    struct timespec pause = {.tv_nsec = 5 * NS_PER_MS};
    if (fs->warmer)
        warmer_stop(fs->warmer);
    while (clock_monotonic(fs->clock) < deadline_ns) {
        wb_sync_all(&fs->wb);
        if (fs_op_count(fs) == 0 && wb_mount_used(&fs->wb) == 0)
            return true;
        (void)nanosleep(&pause, NULL); // runs once, at the end of the process
    }
    return false;
}
