// SPDX-License-Identifier: Apache-2.0
#include "lib/nfs/posix/node.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "lib/nfs/posix/table.h"

#define FUSE_MAGIC 0x65735546ul    // statfs(2)
#define TABLE_ENTRIES (256u << 10) // about 150 bytes each
#define TABLE_DESCRIPTORS 2048u

enum { KERNEL_FH = 1, KERNEL_FH_HEAD = 5 }; // kind, then the kernel's type in four bytes, then its handle

struct kernel_handle {
    struct file_handle head;
    uint8_t room[NFS_FH_MAX]; // behind the head's flexible member
};

int posix_open_name(int dir_fd, const char *name, int *ret_fd) {
    struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};
    long fd;
    do
        fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof how);
    while (fd < 0 && errno == EAGAIN); // a rename somewhere above went on meanwhile
    if (fd < 0)
        return -errno;
    *ret_fd = (int)fd;
    return 0;
}

int posix_reopen(struct posix_worker *worker, int fd, int flags) {
    char number[16];
    (void)snprintf(number, sizeof number, "%d", fd);
    int opened = openat(posix_owner(worker)->proc_fd, number, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return opened < 0 ? -errno : opened;
}

int posix_dir_error(int dir_fd, int result) {
    struct stat st;
    return result == -ENOENT && fstat(dir_fd, &st) == 0 && st.st_nlink == 0 ? -ESTALE : result;
}

// ---- the kernel's handles

static int encode(int fd, struct nfs_fh *ret) {
    struct kernel_handle handle = {.head.handle_bytes = NFS_FH_MAX - KERNEL_FH_HEAD};
    int mount_id;
    if (name_to_handle_at(fd, "", &handle.head, &mount_id, AT_EMPTY_PATH) < 0)
        return -errno;
    *ret = (struct nfs_fh){.len = (uint8_t)(KERNEL_FH_HEAD + handle.head.handle_bytes), .data = {KERNEL_FH}};
    memcpy(&ret->data[1], &handle.head.handle_type, 4);
    memcpy(&ret->data[KERNEL_FH_HEAD], handle.head.f_handle, handle.head.handle_bytes);
    return 0;
}

static int decode(int root_fd, const struct nfs_fh *fh, int *ret_fd) {
    if (fh->len <= KERNEL_FH_HEAD || fh->data[0] != KERNEL_FH)
        return -ESTALE;
    struct kernel_handle handle = {.head.handle_bytes = fh->len - KERNEL_FH_HEAD};
    memcpy(&handle.head.handle_type, &fh->data[1], 4);
    memcpy(handle.head.f_handle, &fh->data[KERNEL_FH_HEAD], handle.head.handle_bytes);
    int fd = open_by_handle_at(root_fd, &handle.head, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == EINVAL || errno == ENOENT || errno == EOPNOTSUPP ? -ESTALE : -errno;
    *ret_fd = fd;
    return 0;
}

static bool kernel_handles_work(const struct posix_share *share) {
    struct nfs_fh fh;
    int fd cleanup_close = -1;
    struct statfs fs;
    struct stat a, b;
    // A FUSE server's numbers for files are good only while the kernel remembers the file.
    if (fstatfs(share->root_fd, &fs) < 0 || (unsigned long)fs.f_type == FUSE_MAGIC)
        return false;
    return encode(share->root_fd, &fh) == 0 && decode(share->root_fd, &fh, &fd) == 0 && fstat(fd, &a) == 0 &&
           fstat(share->root_fd, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

// ---- both kinds

int posix_node_start(struct posix_share *share, bool no_kernel_handles, struct err *err) {
    const struct posix_table_limits limits = {.entries = TABLE_ENTRIES, .descriptors = TABLE_DESCRIPTORS};
    int r;
    if (!no_kernel_handles && kernel_handles_work(share)) {
        r = encode(share->root_fd, &share->info.root);
    } else {
        r = posix_table_new(share->root_fd, &limits, &share->table);
        if (r == 0)
            posix_table_root(share->table, &share->info.root);
    }
    return r < 0 ? err_set(err, r, "%s: no file handles: %s", share->path, err_name(r)) : 0;
}

// What has to be opened is opened as root: its name was found by somebody who may. The call is made as its caller afterwards.
static int get_by_table(struct posix_worker *worker, const struct nfs_fh *fh, struct posix_node *ret) {
    struct posix_share *share = posix_owner(worker);
    ret->table = share->table;
    int r = posix_table_get(share->table, fh, false, &ret->entry);
    if (r == -EAGAIN) {
        const struct nfs_cred root = {0}, caller = worker->creds.now;
        r = posix_creds_become(&worker->creds, &root);
        if (r == 0)
            r = posix_table_get(share->table, fh, true, &ret->entry);
        int back = posix_creds_become(&worker->creds, &caller);
        r = r < 0 ? r : back;
    }
    if (r == 0)
        ret->fd = posix_entry_fd(ret->entry);
    return r;
}

int posix_node_get(struct posix_worker *worker, const struct nfs_fh *fh, struct posix_node *ret) {
    struct posix_share *share = posix_owner(worker);
    if (share->table)
        return get_by_table(worker, fh, ret);
    if (nfs_fh_eq(fh, &share->info.root)) {
        ret->fd = share->root_fd;
        ret->borrowed = true;
        return 0;
    }
    int r = posix_creds_raise(&worker->creds);
    if (r == 0)
        r = decode(share->root_fd, fh, &ret->fd);
    posix_creds_lower(&worker->creds);
    return r;
}

void posix_node_put(struct posix_node *node) {
    if (node->entry)
        posix_table_put(node->table, node->entry);
    else if (node->fd >= 0 && !node->borrowed)
        (void)close(node->fd);
    *node = POSIX_NODE_NONE;
}

int posix_node_learn(struct posix_worker *worker, const struct nfs_fh *dir, const char *name, int fd,
                     const struct statx *stx, struct nfs_fh *ret) {
    struct posix_share *share = posix_owner(worker);
    if (share->table)
        return posix_table_learn(share->table, dir, name, fd, stx, ret);
    int r = encode(fd, ret);
    (void)close(fd);
    return r;
}
