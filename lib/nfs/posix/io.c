// SPDX-License-Identifier: Apache-2.0
// READ, WRITE, COMMIT.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>

#include "lib/nfs/posix/attr.h"
#include "lib/nfs/posix/files.h"
#include "lib/nfs/posix/node.h"

#define WRITERS_MAX 16 // users who write one file at the same time

void posix_forget_writes(struct posix_share *share) {
    (void)atomic_fetch_add(&share->verifier, 1);
}

void posix_get_verifier(struct posix_share *share, uint8_t ret[static 8]) {
    unsigned long long verifier = atomic_load(&share->verifier);
    _Static_assert(sizeof verifier == 8, "as the verifier of NFS");
    memcpy(ret, &verifier, 8);
}

// ---- reading

static int hand_over(struct posix_worker *worker, uint32_t at, const void *data, size_t len) {
    char *buf = posix_lend(worker);
    if (!buf)
        return -ECANCELED;
    memcpy(buf + at, data, len);
    posix_return(worker);
    return 0;
}

// What is in memory already goes straight into the caller's buffer: this does not wait.
static uint32_t read_cached(struct posix_worker *worker, int fd, const struct nfs_call *call) {
    struct iovec iov = {.iov_base = posix_lend(worker), .iov_len = call->count};
    if (!iov.iov_base)
        return 0;
    ssize_t n = preadv2(fd, &iov, 1, (off_t)call->offset, RWF_NOWAIT);
    posix_return(worker);
    return n > 0 ? (uint32_t)n : 0;
}

static int read_buffered(struct posix_worker *worker, struct nfs_call *call, uint32_t *done) {
    struct posix_file *file = NULL;
    char *bounce;
    int r = posix_file_get(worker, &call->fh, POSIX_FILE_READ, &file);
    if (r < 0)
        return r;
    *done = read_cached(worker, file->fd, call);
    while (r == 0 && *done < call->count && !call->eof) {
        bounce = posix_bounce(worker);
        ssize_t n = bounce ? pread(file->fd, bounce, call->count - *done, (off_t)(call->offset + *done)) : -1;
        if (n < 0 && (*done == 0 || !bounce))
            r = bounce ? -errno : -ENOMEM;
        if (n < 0)
            break;
        call->eof = n == 0;
        r = n == 0 ? 0 : hand_over(worker, *done, bounce, (size_t)n);
        *done += (uint32_t)n;
    }
    if (posix_owner(worker)->uncached)
        (void)posix_fadvise(file->fd, (off_t)call->offset, *done, POSIX_FADV_DONTNEED);
    posix_file_put(worker, file);
    return r;
}

// -EOPNOTSUPP: to be read otherwise.
static int read_direct(struct posix_worker *worker, struct nfs_call *call, uint32_t *done) {
    struct posix_file *file = NULL;
    if (call->offset % POSIX_ALIGN != 0)
        return -EOPNOTSUPP;
    int r = posix_file_get(worker, &call->fh, POSIX_FILE_DIRECT, &file);
    void *bounce = r == 0 ? posix_bounce(worker) : NULL;
    if (r == 0 && !bounce)
        r = -ENOMEM;
    if (r == 0) {
        size_t whole = (call->count + POSIX_ALIGN - 1) / POSIX_ALIGN * POSIX_ALIGN;
        ssize_t n = pread(file->fd, bounce, whole, (off_t)call->offset);
        r = n < 0 ? (errno == EINVAL ? -EOPNOTSUPP : -errno) : 0;
        if (r == 0) {
            *done = (uint32_t)((size_t)n < call->count ? (size_t)n : call->count);
            call->eof = *done < call->count;
            r = hand_over(worker, 0, bounce, *done);
        }
    }
    posix_file_put(worker, file);
    return r;
}

int posix_read(struct posix_worker *worker, struct nfs_call *call) {
    struct posix_node node cleanup_node = POSIX_NODE_NONE;
    uint32_t done = 0;
    call->count = call->count > NFS_IO_MAX ? NFS_IO_MAX : call->count;
    if (call->offset > INT64_MAX - NFS_IO_MAX)
        return -EINVAL;
    int r = posix_owner(worker)->uncached && call->count ? read_direct(worker, call, &done) : -EOPNOTSUPP;
    if (r == -EOPNOTSUPP)
        r = read_buffered(worker, call, &done);
    call->count = done;
    if (r == 0 && call->want_attr)
        r = posix_node_get(worker, &call->fh, &node);
    if (r == 0 && call->want_attr)
        r = posix_tell_attr(call, node.fd, false);
    return r;
}

// ---- writing. WRITE tells the verifier of a moment before it, COMMIT that of a moment after it: they are equal when no data
// was lost between.

static int take_data(struct posix_worker *worker, const struct nfs_call *call, char **ret) {
    *ret = posix_bounce(worker);
    if (!*ret)
        return -ENOMEM;
    if (call->count == 0)
        return 0;
    const char *data = posix_lend(worker);
    if (!data)
        return -ECANCELED;
    memcpy(*ret, data, call->count);
    posix_return(worker);
    return 0;
}

int posix_write(struct posix_worker *worker, struct nfs_call *call) {
    struct posix_file *file = NULL;
    char *data = NULL;
    uint32_t done = 0;
    call->count = call->count > NFS_IO_MAX ? NFS_IO_MAX : call->count;
    if (call->offset > INT64_MAX - NFS_IO_MAX)
        return -EFBIG;
    int r = take_data(worker, call, &data);
    if (r == 0)
        r = posix_file_get(worker, &call->fh, POSIX_FILE_WRITE, &file);
    if (r < 0)
        return r;
    posix_get_verifier(posix_owner(worker), call->verifier);
    while (r == 0 && done < call->count) {
        ssize_t n = pwrite(file->fd, data + done, call->count - done, (off_t)(call->offset + done));
        if (n > 0)
            done += (uint32_t)n;
        else
            r = n < 0 ? -errno : -EIO;
    }
    (void)atomic_fetch_add(&file->written, 1);
    if (done > 0)
        r = 0; // the rest fails when it is written again
    if (r == 0 && call->stable) {
        uint8_t after[8];
        r = posix_file_sync(worker, file);
        posix_get_verifier(posix_owner(worker), after);
        call->committed =
            r == 0 && memcmp(after, call->verifier, sizeof after) == 0; // else somebody else was told of a loss
    }
    call->count = done;
    posix_file_put(worker, file);
    return r;
}

// Nobody has it open for writing: the kernel may hold its data all the same.
static int commit_unopened(struct posix_worker *worker, struct nfs_call *call) {
    struct posix_node node cleanup_node = POSIX_NODE_NONE;
    struct statx stx;
    int r = posix_node_get(worker, &call->fh, &node);
    if (r == 0)
        r = posix_stat(node.fd, false, &stx);
    if (r == 0 && !S_ISREG(stx.stx_mode) && !S_ISDIR(stx.stx_mode))
        r = -EINVAL;
    if (r == 0)
        r = posix_creds_raise(&worker->creds);
    if (r < 0)
        return r;
    int fd cleanup_close = posix_reopen(worker, node.fd, O_RDONLY);
    posix_creds_lower(&worker->creds);
    r = fd < 0 ? fd : posix_fd_sync(worker, &call->fh, fd);
    return r == -ENOENT ? -ESTALE : r;
}

int posix_commit(struct posix_worker *worker, struct nfs_call *call) {
    struct posix_file *files[WRITERS_MAX];
    size_t count = posix_files_dirty(worker, &call->fh, files, WRITERS_MAX);
    int r = count == 0 ? commit_unopened(worker, call) : 0;
    for (size_t i = 0; i < count; i++) {
        int each = posix_file_sync(worker, files[i]);
        r = r < 0 ? r : each;
        if (posix_owner(worker)->uncached)
            (void)posix_fadvise(files[i]->fd, 0, 0, POSIX_FADV_DONTNEED);
        posix_file_put(worker, files[i]);
    }
    posix_get_verifier(posix_owner(worker), call->verifier);
    return r;
}
