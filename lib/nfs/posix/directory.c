// SPDX-License-Identifier: Apache-2.0
// READDIR. Cookies are the file system's own (d_off), which stay good while entries come and go, so the verifier stays zero.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <string.h>
#include <sys/syscall.h>

#include "lib/base/mem.h"
#include "lib/nfs/posix/attr.h"
#include "lib/nfs/posix/files.h"
#include "lib/nfs/posix/node.h"

#define PAGE_BYTES 16384u
#define ENTRY_BYTES_MAX 280u // of getdents64(2): a name of 255 bytes

struct page {
    uint8_t bytes[PAGE_BYTES];
    size_t used, entries, names; // bytes, entries without "." and "..", bytes of their names
    bool eof;
};

struct entry { // struct linux_dirent64
    uint64_t ino;
    int64_t off;
    uint16_t len;
    uint8_t type;
    char name[];
};

static const struct entry *entry_at(const struct page *page, size_t at) {
    return (const struct entry *)(const void *)&page->bytes[at];
}

static bool is_dot(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int read_page(int fd, uint64_t cookie, struct page *page) {
    if (cookie > INT64_MAX || lseek(fd, (off_t)cookie, SEEK_SET) < 0)
        return -EBADE;
    while (!page->eof && page->used + ENTRY_BYTES_MAX <= PAGE_BYTES) {
        long n = syscall(SYS_getdents64, fd, page->bytes + page->used, PAGE_BYTES - page->used);
        if (n < 0)
            return errno == ENOENT ? -ESTALE : -errno;
        page->eof = n == 0;
        page->used += (size_t)n;
    }
    for (size_t at = 0; at < page->used; at += entry_at(page, at)->len)
        if (!is_dot(entry_at(page, at)->name)) {
            page->entries++;
            page->names += strlen(entry_at(page, at)->name) + 1;
        }
    return 0;
}

// What cannot be told (it is gone, another mount lies on it, the caller may not search the directory) is left out.
static void describe(struct posix_worker *worker, const struct nfs_call *call, int dir_fd, struct nfs_dirent *entry) {
    struct statx stx;
    int fd = -1;
    if (posix_open_name(dir_fd, entry->name, &fd) < 0)
        return;
    if (posix_stat(fd, false, &stx) < 0) {
        (void)close(fd);
        return;
    }
    entry->has_fh = posix_node_learn(worker, &call->fh, entry->name, fd, &stx, &entry->fh) == 0;
    entry->has_attr = true;
    posix_put_attr(&stx, &entry->attr);
}

static int fill(struct posix_worker *worker, struct nfs_call *call, int dir_fd, const struct page *page) {
    struct nfs_dirent *entries = mem_alloc(page->entries * sizeof *entries + page->names);
    if (!entries)
        return -ENOMEM;
    char *text = (char *)(entries + page->entries);
    size_t count = 0;
    for (size_t at = 0; at < page->used; at += entry_at(page, at)->len) {
        const struct entry *from = entry_at(page, at);
        call->cookie = (uint64_t)from->off;
        if (is_dot(from->name))
            continue;
        size_t len = strlen(from->name) + 1;
        struct nfs_dirent *entry = &entries[count++];
        *entry = (struct nfs_dirent){.fileid = from->ino, .cookie = (uint64_t)from->off};
        entry->name = memcpy(text, from->name, len);
        text += len;
        if (call->want_attr)
            describe(worker, call, dir_fd, entry);
    }
    call->entries = entries;
    call->entry_count = count;
    call->eof = page->eof;
    return 0;
}

// A listing from the start gets a descriptor of its own: ext4 gives nothing on one whose first read was at another place, for
// it takes 0 for the place where that one is (ext4_dx_readdir of Linux 6.18: last_pos is 0 until something was read).
static int read_start(struct posix_worker *worker, int dir_fd, struct page *page) {
    int fd cleanup_close = posix_reopen(worker, dir_fd, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fd == -ENOENT ? -ESTALE : fd;
    return read_page(fd, 0, page);
}

int posix_readdir(struct posix_worker *worker, struct nfs_call *call) {
    struct posix_file *file = NULL;
    struct page *page cleanup_free = mem_alloc(sizeof *page);
    if (!page)
        return -ENOMEM;
    page->used = page->entries = page->names = 0;
    page->eof = false;
    int r = posix_file_get(worker, &call->fh, POSIX_FILE_DIR, &file);
    if (r == 0)
        r = call->cookie ? read_page(file->fd, call->cookie, page) : read_start(worker, file->fd, page);
    if (r == 0)
        r = fill(worker, call, file->fd, page);
    posix_file_put(worker, file);
    return r;
}
