// SPDX-License-Identifier: Apache-2.0
#include "tests/fakes/fake_nfs_tree.h"

#include <errno.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"

struct timespec fake_now(struct fake_nfs_store *s) {
    int64_t now = clock_wall(&clock_system);
    s->last_ns = now > s->last_ns ? now : s->last_ns + 1;
    return (struct timespec){.tv_sec = s->last_ns / NS_PER_S, .tv_nsec = s->last_ns % NS_PER_S};
}

int fake_inode_new(struct fake_nfs_store *s, uint32_t mode, struct fake_inode **ret) {
    if (s->live >= s->file_limit)
        return -ENOSPC;
    struct fake_inode **grown = mem_realloc(s->inodes, s->inode_count + 1, sizeof(struct fake_inode *));
    if (!grown)
        return -ENOMEM;
    s->inodes = grown;
    struct fake_inode *inode = mem_zalloc(sizeof *inode);
    if (!inode)
        return -ENOMEM;
    s->inodes[s->inode_count++] = inode;
    s->live++;
    struct timespec now = fake_now(s);
    inode->attr =
        (struct nfs_attr){.mode = mode, .fsid = 1, .fileid = s->inode_count, .atime = now, .mtime = now, .ctime = now};
    if (S_ISDIR(mode))
        inode->attr.nlink = 1; // "." ; the entry in the parent is the other
    *ret = inode;
    return 0;
}

static void content_done(struct fake_content *c) {
    for (size_t i = 0; i < c->count; i++)
        free(c->chunks[i]);
    free(c->chunks);
    *c = (struct fake_content){0};
}

static uint64_t content_used(const struct fake_content *c) {
    uint64_t used = 0;
    for (size_t i = 0; i < c->count; i++)
        used += c->chunks[i] ? FAKE_CHUNK : 0;
    return used;
}

void fake_inode_unref(struct fake_nfs_store *s, struct fake_inode *inode) {
    inode->attr.nlink--;
    inode->attr.ctime = fake_now(s);
    if (inode->attr.nlink > (S_ISDIR(inode->attr.mode) ? 1U : 0U))
        return;
    inode->removed = true;
    s->live--;
    s->used -= content_used(&inode->data);
    content_done(&inode->data);
    fake_content_commit(inode);
}

void fake_inode_destroy(struct fake_inode *inode) {
    content_done(&inode->data);
    fake_content_commit(inode);
    for (struct fake_entry *e = inode->first, *next; e; e = next) {
        next = e->next;
        free(e->name);
        free(e);
    }
    strmap_done(&inode->names);
    free(inode->target);
    free(inode);
}

void fake_inode_fh(const struct fake_inode *inode, struct nfs_fh *ret) {
    *ret = (struct nfs_fh){.len = sizeof(uint64_t)};
    memcpy(ret->data, &inode->attr.fileid, sizeof(uint64_t));
}

int fake_inode_get(struct fake_nfs_store *s, const struct nfs_fh *fh, struct fake_inode **ret) {
    uint64_t id = 0;
    if (fh->len != sizeof id)
        return -EBADF;
    memcpy(&id, fh->data, sizeof id);
    if (id == 0 || id > s->inode_count)
        return -EBADF;
    if (s->inodes[id - 1]->removed)
        return -ESTALE;
    *ret = s->inodes[id - 1];
    return 0;
}

struct fake_entry *fake_dir_find(struct fake_inode *dir, const char *name) {
    return strmap_get(&dir->names, name);
}

int fake_dir_add(struct fake_nfs_store *s, struct fake_inode *dir, const char *name, struct fake_inode *inode) {
    struct fake_entry *e = mem_zalloc(sizeof *e);
    if (!e)
        return -ENOMEM;
    *e = (struct fake_entry){
        .name = mem_strdup(name), .inode = inode, .cookie = dir->last_cookie + 1, .prev = dir->last};
    if (!e->name || strmap_put(&dir->names, name, e) < 0) {
        free(e->name);
        free(e);
        return -ENOMEM;
    }
    dir->last_cookie++;
    dir->changes++;
    *(dir->last ? &dir->last->next : &dir->first) = e;
    dir->last = e;
    inode->attr.nlink++;
    if (S_ISDIR(inode->attr.mode)) {
        inode->parent = dir;
        dir->attr.nlink++;
    }
    dir->attr.mtime = dir->attr.ctime = inode->attr.ctime = fake_now(s);
    return 0;
}

void fake_dir_remove(struct fake_nfs_store *s, struct fake_inode *dir, struct fake_entry *e) {
    (void)strmap_remove(&dir->names, e->name);
    dir->changes++;
    *(e->prev ? &e->prev->next : &dir->first) = e->next;
    *(e->next ? &e->next->prev : &dir->last) = e->prev;
    if (S_ISDIR(e->inode->attr.mode))
        dir->attr.nlink--;
    fake_inode_unref(s, e->inode);
    dir->attr.mtime = dir->attr.ctime = fake_now(s);
    free(e->name);
    free(e);
}

// Contents. ---------------------------------------------------------------------------------------------------------

void fake_content_read(const struct fake_content *c, uint64_t offset, void *buf, size_t len) {
    for (unsigned char *to = buf; len > 0;) {
        size_t index = offset / FAKE_CHUNK, at = offset % FAKE_CHUNK;
        size_t n = len < FAKE_CHUNK - at ? len : FAKE_CHUNK - at;
        if (index < c->count && c->chunks[index])
            memcpy(to, c->chunks[index] + at, n);
        else
            memset(to, 0, n);
        to += n, offset += n, len -= n;
    }
}

static int chunk_get(struct fake_nfs_store *s, struct fake_content *c, size_t index, unsigned char **ret) {
    if (index >= c->count) {
        unsigned char **grown = mem_realloc(c->chunks, index + 1, sizeof(unsigned char *));
        if (!grown)
            return -ENOMEM;
        memset(grown + c->count, 0, (index + 1 - c->count) * sizeof(unsigned char *));
        c->chunks = grown;
        c->count = index + 1;
    }
    if (!c->chunks[index]) {
        if (s->used + FAKE_CHUNK > s->limit)
            return -ENOSPC;
        c->chunks[index] = mem_zalloc(FAKE_CHUNK);
        if (!c->chunks[index])
            return -ENOMEM;
        s->used += FAKE_CHUNK;
    }
    *ret = c->chunks[index];
    return 0;
}

int fake_content_write(struct fake_nfs_store *s, struct fake_inode *inode, uint64_t offset, const void *buf,
                       size_t len) {
    if (offset > FAKE_FILE_MAX || len > FAKE_FILE_MAX - offset)
        return -EFBIG;
    struct fake_content *c = &inode->data;
    for (const unsigned char *from = buf; len > 0;) {
        size_t index = offset / FAKE_CHUNK, at = offset % FAKE_CHUNK;
        size_t n = len < FAKE_CHUNK - at ? len : FAKE_CHUNK - at;
        unsigned char *chunk = NULL;
        int r = chunk_get(s, c, index, &chunk);
        if (r < 0)
            return r;
        memcpy(chunk + at, from, n);
        from += n, offset += n, len -= n;
        if (offset > c->size)
            c->size = offset;
    }
    return 0;
}

int fake_content_resize(struct fake_nfs_store *s, struct fake_inode *inode, uint64_t size) {
    if (size > FAKE_FILE_MAX)
        return -EFBIG;
    struct fake_content *c = &inode->data;
    for (size_t i = size / FAKE_CHUNK; i < c->count; i++) {
        size_t keep = i == size / FAKE_CHUNK ? size % FAKE_CHUNK : 0;
        if (c->chunks[i] && keep > 0) {
            memset(c->chunks[i] + keep, 0, FAKE_CHUNK - keep);
        } else if (c->chunks[i]) {
            free(take_ptr(c->chunks[i]));
            s->used -= FAKE_CHUNK;
        }
    }
    c->size = size;
    return 0;
}

int fake_content_keep_stable(struct fake_inode *inode) {
    if (inode->stable)
        return 0;
    struct fake_content *copy = mem_zalloc(sizeof *copy);
    if (!copy)
        return -ENOMEM;
    copy->size = inode->data.size;
    copy->chunks = mem_array(inode->data.count, sizeof(unsigned char *));
    if (!copy->chunks) {
        free(copy);
        return -ENOMEM;
    }
    inode->stable = copy;
    for (copy->count = 0; copy->count < inode->data.count; copy->count++) {
        const unsigned char *from = inode->data.chunks[copy->count];
        if (!from)
            continue;
        unsigned char *to = mem_alloc(FAKE_CHUNK);
        if (!to) {
            fake_content_commit(inode);
            return -ENOMEM;
        }
        memcpy(to, from, FAKE_CHUNK);
        copy->chunks[copy->count] = to;
    }
    return 0;
}

void fake_content_commit(struct fake_inode *inode) {
    if (inode->stable)
        content_done(inode->stable);
    free(take_ptr(inode->stable));
}

void fake_content_revert(struct fake_nfs_store *s, struct fake_inode *inode) {
    if (!inode->stable)
        return;
    s->used -= content_used(&inode->data);
    content_done(&inode->data);
    inode->data = *inode->stable;
    free(take_ptr(inode->stable));
    s->used += content_used(&inode->data);
}
