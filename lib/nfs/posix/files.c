// SPDX-License-Identifier: Apache-2.0
#include "lib/nfs/posix/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

#include "lib/base/mem.h"
#include "lib/nfs/posix/attr.h"
#include "lib/nfs/posix/node.h"

#define IDLE_NS (4 * NS_PER_S)
#define SYNC_LOCKS 64u

struct posix_files {
    pthread_mutex_t lock;
    struct posix_file *first;
    unsigned count, limit;
    pthread_mutex_t
        sync[SYNC_LOCKS]; // one holds all files that share it for one fsync; taken before `lock`, by none with it
};

bool posix_may(int fd, int mode) {
    return syscall(SYS_faccessat2, fd, "", mode, AT_EMPTY_PATH | AT_EACCESS) == 0;
}

int posix_files_new(unsigned limit, struct posix_files **ret) {
    struct posix_files *files = mem_zalloc(sizeof *files);
    if (!files)
        return -ENOMEM;
    (void)pthread_mutex_init(&files->lock, NULL);
    for (size_t i = 0; i < SYNC_LOCKS; i++)
        (void)pthread_mutex_init(&files->sync[i], NULL);
    files->limit = limit;
    *ret = files;
    return 0;
}

struct posix_files *posix_files_free(struct posix_files *files) {
    if (!files)
        return NULL;
    while (files->first) {
        struct posix_file *file = files->first;
        files->first = file->next;
        (void)close(file->fd);
        free(file);
    }
    for (size_t i = 0; i < SYNC_LOCKS; i++)
        (void)pthread_mutex_destroy(&files->sync[i]);
    (void)pthread_mutex_destroy(&files->lock);
    free(files);
    return NULL;
}

// ---- syncing

static pthread_mutex_t *sync_lock(struct posix_worker *worker, const struct nfs_fh *fh) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < fh->len; i++)
        hash = (hash ^ fh->data[i]) * 16777619u;
    return &posix_owner(worker)->files->sync[hash % SYNC_LOCKS];
}

static int sync_locked(struct posix_worker *worker, int fd) {
    if (fsync(fd) == 0)
        return 0;
    int r = -errno;
    posix_forget_writes(posix_owner(worker));
    return r;
}

int posix_fd_sync(struct posix_worker *worker, const struct nfs_fh *fh, int fd) {
    LOCK_SCOPE(sync_lock(worker, fh));
    return sync_locked(worker, fd);
}

int posix_file_sync(struct posix_worker *worker, struct posix_file *file) {
    LOCK_SCOPE(sync_lock(worker, &file->fh));
    unsigned long written = atomic_load(&file->written);
    int r = sync_locked(worker, file->fd);
    atomic_store(&file->synced, written);
    return r;
}

static bool is_dirty(const struct posix_file *file) {
    return atomic_load(&file->written) != atomic_load(&file->synced);
}

// ---- the list. What leaves it is closed without the lock: the file system may take its time.

static void close_list(struct posix_file *list) {
    while (list) {
        struct posix_file *file = list;
        list = file->next;
        (void)close(file->fd);
        free(file);
    }
}

static bool matches(const struct posix_file *file, const struct nfs_fh *fh, enum posix_file_kind kind,
                    const struct nfs_cred *cred) {
    return file->kind == kind && nfs_fh_eq(&file->fh, fh) && posix_cred_eq(&file->cred, cred) &&
           (kind != POSIX_FILE_DIR || file->refs == 0);
}

static struct posix_file *find(struct posix_worker *worker, const struct nfs_fh *fh, enum posix_file_kind kind) {
    struct posix_files *files = posix_owner(worker)->files;
    LOCK_SCOPE(&files->lock);
    for (struct posix_file **at = &files->first; *at; at = &(*at)->next) {
        struct posix_file *file = *at;
        if (!matches(file, fh, kind, &worker->creds.now))
            continue;
        *at = file->next;
        file->next = files->first;
        files->first = file;
        file->refs++;
        file->used_ns = clock_monotonic(posix_owner(worker)->clock);
        return file;
    }
    return NULL;
}

static void unlist(struct posix_files *files, struct posix_file **at) {
    struct posix_file *file = *at;
    *at = file->next;
    file->next = NULL;
    file->listed = false;
    files->count--;
}

void posix_file_put(struct posix_worker *worker, struct posix_file *file) {
    if (!file)
        return;
    {
        LOCK_SCOPE(&posix_owner(worker)->files->lock);
        if (--file->refs > 0 || file->listed)
            return;
    }
    close_list(file);
}

// Takes out the oldest that nobody uses. One with unsynced writes stays, and is to be synced and put instead.
static struct posix_file *take_oldest(struct posix_files *files, int64_t idle_since_ns, struct posix_file **ret_dirty) {
    struct posix_file **oldest = NULL;
    for (struct posix_file **at = &files->first; *at; at = &(*at)->next)
        if ((*at)->refs == 0 && (*at)->used_ns < idle_since_ns)
            oldest = at;
    if (!oldest)
        return NULL;
    struct posix_file *file = *oldest;
    if (is_dirty(file)) {
        file->refs++;
        *ret_dirty = file;
        return NULL;
    }
    unlist(files, oldest);
    return file;
}

// True: one less.
static bool close_oldest(struct posix_worker *worker, unsigned limit, int64_t idle_since_ns) {
    struct posix_files *files = posix_owner(worker)->files;
    struct posix_file *old = NULL, *dirty = NULL;
    {
        LOCK_SCOPE(&files->lock);
        if (files->count > limit)
            old = take_oldest(files, idle_since_ns, &dirty);
    }
    close_list(old);
    if (dirty) {
        (void)!posix_file_sync(worker, dirty); // an error shows in the verifier
        posix_file_put(worker, dirty);
    }
    return old || dirty;
}

static void add(struct posix_worker *worker, struct posix_file *file) {
    struct posix_files *files = posix_owner(worker)->files;
    {
        LOCK_SCOPE(&files->lock);
        file->next = files->first;
        file->listed = true;
        files->first = file;
        files->count++;
    }
    (void)close_oldest(worker, files->limit, INT64_MAX);
    posix_pool_want_tick(worker->pool);
}

void posix_files_drop(struct posix_worker *worker, uint64_t ino) {
    struct posix_files *files = posix_owner(worker)->files;
    struct posix_file *out = NULL;
    {
        LOCK_SCOPE(&files->lock);
        for (struct posix_file **at = &files->first; *at;) {
            struct posix_file *file = *at;
            if (file->ino != ino) {
                at = &file->next;
                continue;
            }
            unlist(files, at);
            if (file->refs == 0) {
                file->next = out;
                out = file;
            }
        }
    }
    close_list(out);
}

bool posix_files_trim(struct posix_worker *worker) {
    struct posix_files *files = posix_owner(worker)->files;
    int64_t idle_since_ns = clock_monotonic(posix_owner(worker)->clock) - IDLE_NS;
    while (close_oldest(worker, 0, idle_since_ns))
        ;
    LOCK_SCOPE(&files->lock);
    return files->count > 0;
}

size_t posix_files_dirty(struct posix_worker *worker, const struct nfs_fh *fh, struct posix_file **ret, size_t max) {
    struct posix_files *files = posix_owner(worker)->files;
    size_t count = 0;
    LOCK_SCOPE(&files->lock);
    for (struct posix_file *file = files->first; file && count < max; file = file->next)
        if (file->kind == POSIX_FILE_WRITE && is_dirty(file) && nfs_fh_eq(&file->fh, fh)) {
            file->refs++;
            ret[count++] = file;
        }
    return count;
}

// ---- opening

static const int flags_of[] = {
    [POSIX_FILE_READ] = O_RDONLY,
    [POSIX_FILE_DIRECT] = O_RDONLY | O_DIRECT,
    [POSIX_FILE_WRITE] = O_WRONLY,
    [POSIX_FILE_DIR] = O_RDONLY | O_DIRECTORY,
};

// What an NFS server lets through although the mode says no: the owner, whose open file may have lost its mode meanwhile,
// and reading of what may be executed.
static bool is_excused(const struct posix_worker *worker, int fd, const struct statx *stx, enum posix_file_kind kind) {
    if (kind == POSIX_FILE_DIR)
        return false;
    return worker->creds.now.uid == stx->stx_uid || (kind != POSIX_FILE_WRITE && posix_may(fd, X_OK));
}

// First with the caller's own name, which a server that does not trust root may insist on.
static int open_excused(struct posix_worker *worker, int fd, int flags) {
    int r = posix_creds_raise(&worker->creds);
    int opened = r < 0 ? r : posix_reopen(worker, fd, flags);
    posix_creds_lower(&worker->creds);
    if (opened != -EACCES)
        return opened;
    const struct nfs_cred root = {0}, caller = worker->creds.now;
    r = posix_creds_become(&worker->creds, &root);
    opened = r < 0 ? r : posix_reopen(worker, fd, flags);
    r = posix_creds_become(&worker->creds, &caller);
    if (r < 0 && opened >= 0)
        (void)close(opened);
    return r < 0 ? r : opened;
}

static int open_fd(struct posix_worker *worker, int fd, const struct statx *stx, enum posix_file_kind kind) {
    int opened = posix_reopen(worker, fd, flags_of[kind]);
    if (opened == -EACCES && is_excused(worker, fd, stx, kind))
        opened = open_excused(worker, fd, flags_of[kind]);
    if (opened == -EINVAL && kind == POSIX_FILE_DIRECT)
        return -EOPNOTSUPP;
    return opened == -ENOENT ? -ESTALE : opened;
}

static int check_type(const struct statx *stx, enum posix_file_kind kind) {
    if (kind == POSIX_FILE_DIR)
        return S_ISDIR(stx->stx_mode) ? 0 : -ENOTDIR;
    return S_ISREG(stx->stx_mode) ? 0 : S_ISDIR(stx->stx_mode) ? -EISDIR : -EINVAL;
}

static struct posix_file *file_new(struct posix_worker *worker, const struct nfs_fh *fh, enum posix_file_kind kind,
                                   int fd, uint64_t ino) {
    struct posix_file *file = mem_zalloc(sizeof *file);
    if (!file) {
        (void)close(fd);
        return NULL;
    }
    file->fd = fd;
    file->kind = kind;
    file->refs = 1;
    file->ino = ino;
    file->fh = *fh;
    file->cred = worker->creds.now;
    file->used_ns = clock_monotonic(posix_owner(worker)->clock);
    return file;
}

int posix_file_get(struct posix_worker *worker, const struct nfs_fh *fh, enum posix_file_kind kind,
                   struct posix_file **ret) {
    struct posix_node node cleanup_node = POSIX_NODE_NONE;
    struct statx stx;
    *ret = find(worker, fh, kind);
    if (*ret)
        return 0;
    int r = posix_node_get(worker, fh, &node);
    if (r == 0)
        r = posix_stat(node.fd, false, &stx);
    if (r == 0)
        r = check_type(&stx, kind);
    int fd = r < 0 ? r : open_fd(worker, node.fd, &stx, kind);
    if (fd < 0)
        return fd;
    *ret = file_new(worker, fh, kind, fd, stx.stx_ino);
    if (!*ret)
        return -ENOMEM;
    add(worker, *ret);
    return 0;
}

void posix_file_keep(struct posix_worker *worker, const struct nfs_fh *fh, enum posix_file_kind kind, int fd) {
    struct stat st;
    if (fstat(fd, &st) < 0) {
        (void)close(fd);
        return;
    }
    struct posix_file *file = file_new(worker, fh, kind, fd, st.st_ino);
    if (!file)
        return;
    add(worker, file);
    posix_file_put(worker, file);
}
