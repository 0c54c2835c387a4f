// SPDX-License-Identifier: Apache-2.0
// The fake's inodes, directories and file contents. Private to tests/fakes/fake_nfs*.c; the store's lock is held.
#pragma once

#include <pthread.h>

#include "lib/base/strmap.h"
#include "tests/fakes/fake_nfs.h"

#define FAKE_CHUNK ((size_t)64 * 1024) // content is kept in chunks; one that was never written is a hole
#define FAKE_FILE_MAX (UINT64_C(1) << 36)

struct fake_content {
    unsigned char **chunks;
    size_t count;
    uint64_t size;
};

struct fake_entry {
    char *name;
    struct fake_inode *inode;
    uint64_t cookie;
    struct fake_entry *prev, *next;
};

struct fake_inode {
    struct nfs_attr attr;
    bool removed;
    struct fake_content data;
    struct fake_content *stable; // what a server restart goes back to; NULL: `data` is committed
    char *target;                // symlink
    struct strmap names;         // directory: name → struct fake_entry
    struct fake_entry *first, *last;
    uint64_t last_cookie;
    uint64_t changes; // of the directory: the verifier of its cookies
    struct fake_inode *parent;
};

struct fake_nfs_store {
    pthread_mutex_t lock;
    unsigned refs;
    struct fake_inode **inodes; // by fileid - 1; those removed stay until the store goes, so that a handle is stale
    size_t inode_count, live;
    uint64_t used, limit, file_limit;
    bool denied, strict_cookies;
    unsigned confused; // READDIRs, of which every other one is -ENOENT
    size_t page;
    uint8_t verifier[8];
    int64_t last_ns;
};

struct timespec fake_now(struct fake_nfs_store *s); // never the same twice
int fake_inode_new(struct fake_nfs_store *s, uint32_t mode, struct fake_inode **ret) must_check;
void fake_inode_unref(struct fake_nfs_store *s, struct fake_inode *inode); // one link less; gone with the last
void fake_inode_destroy(struct fake_inode *inode);
int fake_inode_get(struct fake_nfs_store *s, const struct nfs_fh *fh, struct fake_inode **ret) must_check; // -ESTALE
void fake_inode_fh(const struct fake_inode *inode, struct nfs_fh *ret);

struct fake_entry *fake_dir_find(struct fake_inode *dir, const char *name);
int fake_dir_add(struct fake_nfs_store *s, struct fake_inode *dir, const char *name,
                 struct fake_inode *inode) must_check;
void fake_dir_remove(struct fake_nfs_store *s, struct fake_inode *dir, struct fake_entry *entry);

void fake_content_read(const struct fake_content *c, uint64_t offset, void *buf, size_t len);
int fake_content_write(struct fake_nfs_store *s, struct fake_inode *inode, uint64_t offset, const void *buf,
                       size_t len) must_check;
int fake_content_resize(struct fake_nfs_store *s, struct fake_inode *inode, uint64_t size) must_check;
int fake_content_keep_stable(struct fake_inode *inode) must_check; // before an unstable write
void fake_content_commit(struct fake_inode *inode);
void fake_content_revert(struct fake_nfs_store *s, struct fake_inode *inode);

int fake_nfs_perform(struct fake_nfs_store *s, struct nfs_call *call) must_check; // fake_nfs_ops.c
