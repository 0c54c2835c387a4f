// SPDX-License-Identifier: Apache-2.0
// One function per operation, each with the rules of a POSIX file system.
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "tests/fakes/fake_nfs_tree.h"

static void fill_attr(struct nfs_call *call, struct fake_inode *inode) {
    struct nfs_attr *attr = &inode->attr;
    if (S_ISREG(attr->mode)) {
        attr->size = inode->data.size;
        attr->used = 0;
        for (size_t i = 0; i < inode->data.count; i++)
            attr->used += inode->data.chunks[i] ? FAKE_CHUNK : 0;
    } else {
        attr->size = S_ISLNK(attr->mode) ? strlen(inode->target) : 4096;
    }
    call->attr = *attr;
    call->has_attr = true;
}

static int get_dir(struct fake_nfs_store *s, const struct nfs_fh *fh, struct fake_inode **ret) {
    int r = fake_inode_get(s, fh, ret);
    if (r < 0)
        return r;
    return S_ISDIR((*ret)->attr.mode) ? 0 : -ENOTDIR;
}

static int apply_set(struct fake_nfs_store *s, struct fake_inode *inode, const struct nfs_setattr *set) {
    struct nfs_attr *attr = &inode->attr;
    struct timespec now = fake_now(s);
    if (set->mask & NFS_SET_SIZE) {
        if (!S_ISREG(attr->mode))
            return S_ISDIR(attr->mode) ? -EISDIR : -EINVAL;
        int r = fake_content_resize(s, inode, set->size);
        if (r < 0)
            return r;
        attr->mtime = now;
    }
    if (set->mask & NFS_SET_MODE)
        attr->mode = (attr->mode & S_IFMT) | (set->mode & 07777);
    if (set->mask & NFS_SET_UID)
        attr->uid = set->uid;
    if (set->mask & NFS_SET_GID)
        attr->gid = set->gid;
    if (set->mask & (NFS_SET_ATIME | NFS_SET_ATIME_NOW))
        attr->atime = set->mask & NFS_SET_ATIME ? set->atime : now;
    if (set->mask & (NFS_SET_MTIME | NFS_SET_MTIME_NOW))
        attr->mtime = set->mask & NFS_SET_MTIME ? set->mtime : now;
    attr->ctime = now;
    return 0;
}

static int op_getattr(struct fake_nfs_store *s, struct nfs_call *call) {
    struct fake_inode *inode = NULL;
    int r = fake_inode_get(s, &call->fh, &inode);
    if (r == 0)
        fill_attr(call, inode);
    return r;
}

static int op_setattr(struct fake_nfs_store *s, struct nfs_call *call) {
    struct fake_inode *inode = NULL;
    int r = fake_inode_get(s, &call->fh, &inode);
    if (r == 0)
        r = apply_set(s, inode, &call->set);
    if (r == 0)
        fill_attr(call, inode);
    return r;
}

static int op_lookup(struct fake_nfs_store *s, struct nfs_call *call) {
    struct fake_inode *dir = NULL;
    int r = get_dir(s, &call->fh, &dir);
    if (r < 0)
        return r;
    struct fake_entry *e = fake_dir_find(dir, call->name);
    if (!e)
        return -ENOENT;
    fake_inode_fh(e->inode, &call->out_fh);
    fill_attr(call, e->inode);
    return 0;
}

static int op_access(struct fake_nfs_store *s, struct nfs_call *call) {
    struct fake_inode *inode = NULL;
    int r = fake_inode_get(s, &call->fh, &inode);
    if (r < 0)
        return r;
    static const struct nfs_cred root;
    const struct nfs_cred *cred = call->cred ? call->cred : &root;
    const struct nfs_attr *attr = &inode->attr;
    uint32_t bits = attr->mode & 7;
    if (cred->uid == attr->uid)
        bits = attr->mode >> 6 & 7;
    else if (cred->gid == attr->gid)
        bits = attr->mode >> 3 & 7;
    if (cred->uid == 0)
        bits = R_OK | W_OK | (S_ISDIR(attr->mode) || (attr->mode & 0111) ? X_OK : 0U);
    call->access &= bits;
    fill_attr(call, inode);
    return 0;
}

static int op_readlink(struct fake_nfs_store *s, struct nfs_call *call) {
    struct fake_inode *inode = NULL;
    int r = fake_inode_get(s, &call->fh, &inode);
    if (r < 0)
        return r;
    if (!S_ISLNK(inode->attr.mode))
        return -EINVAL;
    call->text = mem_strdup(inode->target);
    return call->text ? 0 : -ENOMEM;
}

static int get_file(struct fake_nfs_store *s, struct nfs_call *call, struct fake_inode **ret) {
    int r = fake_inode_get(s, &call->fh, ret);
    if (r < 0)
        return r;
    if (S_ISDIR((*ret)->attr.mode))
        return -EISDIR;
    return S_ISREG((*ret)->attr.mode) ? 0 : -EINVAL;
}

static int op_read(struct fake_nfs_store *s, struct nfs_call *call) {
    struct fake_inode *inode = NULL;
    int r = get_file(s, call, &inode);
    if (r < 0)
        return r;
    uint64_t left = call->offset < inode->data.size ? inode->data.size - call->offset : 0;
    if (call->count > NFS_IO_MAX)
        call->count = NFS_IO_MAX;
    if (call->count > left)
        call->count = (uint32_t)left;
    fake_content_read(&inode->data, call->offset, call->data, call->count);
    call->eof = call->offset + call->count >= inode->data.size;
    inode->attr.atime = fake_now(s);
    fill_attr(call, inode);
    return 0;
}

static int op_write(struct fake_nfs_store *s, struct nfs_call *call) {
    struct fake_inode *inode = NULL;
    int r = get_file(s, call, &inode);
    if (r == 0 && !call->stable)
        r = fake_content_keep_stable(inode);
    if (call->count > NFS_IO_MAX)
        call->count = NFS_IO_MAX;
    if (r == 0)
        r = fake_content_write(s, inode, call->offset, call->data, call->count);
    if (r < 0)
        return r;
    if (call->stable)
        fake_content_commit(inode);
    call->committed = call->stable;
    memcpy(call->verifier, s->verifier, sizeof call->verifier);
    inode->attr.mtime = inode->attr.ctime = fake_now(s);
    fill_attr(call, inode);
    return 0;
}

static int op_commit(struct fake_nfs_store *s, struct nfs_call *call) {
    struct fake_inode *inode = NULL;
    int r = get_file(s, call, &inode);
    if (r < 0)
        return r;
    fake_content_commit(inode);
    memcpy(call->verifier, s->verifier, sizeof call->verifier);
    return 0;
}

// A new object under call->name in call->fh; `target` for a symlink.
static int make(struct fake_nfs_store *s, struct nfs_call *call, uint32_t type, uint32_t mode, const char *target) {
    struct fake_inode *dir = NULL, *inode = NULL;
    int r = get_dir(s, &call->fh, &dir);
    if (r < 0)
        return r;
    if (fake_dir_find(dir, call->name))
        return -EEXIST;
    r = fake_inode_new(s, type | mode, &inode);
    if (r < 0)
        return r;
    inode->attr.uid = call->cred ? call->cred->uid : 0;
    inode->attr.gid = dir->attr.mode & S_ISGID ? dir->attr.gid : call->cred ? call->cred->gid : 0;
    inode->attr.rdev_major = call->rdev_major;
    inode->attr.rdev_minor = call->rdev_minor;
    if (S_ISDIR(type))
        inode->attr.mode |= dir->attr.mode & S_ISGID;
    inode->target = mem_strdup(target);
    if (target && !inode->target)
        r = -ENOMEM;
    struct nfs_setattr set = call->set;
    if (S_ISLNK(type))
        set.mask &= ~(unsigned)NFS_SET_MODE;
    if (r == 0)
        r = apply_set(s, inode, &set);
    if (r == 0)
        r = fake_dir_add(s, dir, call->name, inode);
    if (r < 0) {
        inode->attr.nlink = S_ISDIR(type) ? 2 : 1;
        fake_inode_unref(s, inode);
        return r;
    }
    fake_inode_fh(inode, &call->out_fh);
    fill_attr(call, inode);
    return 0;
}

static int op_create(struct fake_nfs_store *s, struct nfs_call *call) {
    struct fake_inode *dir = NULL;
    int r = get_dir(s, &call->fh, &dir);
    if (r < 0)
        return r;
    struct fake_entry *e = fake_dir_find(dir, call->name);
    if (!e)
        return make(s, call, S_IFREG, 0644, NULL);
    if (call->exclusive || !S_ISREG(e->inode->attr.mode))
        return -EEXIST;
    fake_inode_fh(e->inode, &call->out_fh);
    fill_attr(call, e->inode);
    return 0;
}

static int op_mkdir(struct fake_nfs_store *s, struct nfs_call *call) {
    return make(s, call, S_IFDIR, 0755, NULL);
}

static int op_symlink(struct fake_nfs_store *s, struct nfs_call *call) {
    return make(s, call, S_IFLNK, 0777, call->target);
}

static int op_mknod(struct fake_nfs_store *s, struct nfs_call *call) {
    uint32_t type = call->set.mode & S_IFMT;
    if (type != S_IFIFO && type != S_IFSOCK && type != S_IFCHR && type != S_IFBLK)
        return -EINVAL;
    return make(s, call, type, call->set.mode & 07777, NULL);
}

static int op_link(struct fake_nfs_store *s, struct nfs_call *call) {
    struct fake_inode *inode = NULL, *dir = NULL;
    int r = fake_inode_get(s, &call->fh, &inode);
    if (r == 0)
        r = get_dir(s, &call->fh2, &dir);
    if (r < 0)
        return r;
    if (S_ISDIR(inode->attr.mode))
        return -EISDIR;
    if (fake_dir_find(dir, call->name))
        return -EEXIST;
    r = fake_dir_add(s, dir, call->name, inode);
    if (r == 0)
        fill_attr(call, inode);
    return r;
}

static int unlink_entry(struct fake_nfs_store *s, struct nfs_call *call, bool directory) {
    struct fake_inode *dir = NULL;
    int r = get_dir(s, &call->fh, &dir);
    if (r < 0)
        return r;
    struct fake_entry *e = fake_dir_find(dir, call->name);
    if (!e)
        return -ENOENT;
    if (directory != S_ISDIR(e->inode->attr.mode))
        return directory ? -ENOTDIR : -EISDIR;
    if (directory && e->inode->first)
        return -ENOTEMPTY;
    fake_dir_remove(s, dir, e);
    return 0;
}

static int op_remove(struct fake_nfs_store *s, struct nfs_call *call) {
    return unlink_entry(s, call, false);
}

static int op_rmdir(struct fake_nfs_store *s, struct nfs_call *call) {
    return unlink_entry(s, call, true);
}

// May `e` take the place of `old`? (rename(2))
static int check_replace(const struct fake_entry *e, const struct fake_entry *old) {
    bool dir = S_ISDIR(e->inode->attr.mode), old_dir = S_ISDIR(old->inode->attr.mode);
    if (dir != old_dir)
        return dir ? -ENOTDIR : -EISDIR;
    return old_dir && old->inode->first ? -ENOTEMPTY : 0;
}

static int op_rename(struct fake_nfs_store *s, struct nfs_call *call) {
    struct fake_inode *from = NULL, *to = NULL;
    int r = get_dir(s, &call->fh, &from);
    if (r == 0)
        r = get_dir(s, &call->fh2, &to);
    if (r < 0)
        return r;
    struct fake_entry *e = fake_dir_find(from, call->name), *old = fake_dir_find(to, call->name2);
    if (!e)
        return -ENOENT;
    for (const struct fake_inode *up = to; up; up = up->parent)
        if (up == e->inode)
            return -EINVAL;
    if (old && old->inode == e->inode)
        return 0;
    r = old ? check_replace(e, old) : 0;
    if (r < 0)
        return r;
    struct fake_inode *inode = e->inode;
    if (old)
        fake_dir_remove(s, to, old);
    r = fake_dir_add(s, to, call->name2, inode);
    if (r == 0)
        fake_dir_remove(s, from, e);
    if (r == 0 && S_ISDIR(inode->attr.mode))
        inode->parent = to;
    return r;
}

static int op_readdir(struct fake_nfs_store *s, struct nfs_call *call) {
    struct fake_inode *dir = NULL;
    int r = get_dir(s, &call->fh, &dir);
    if (r < 0)
        return r;
    if (s->confused > 0 && s->confused-- % 2 == 0)
        return -ENOENT;
    if (s->strict_cookies && call->cookie && memcmp(call->verifier, &dir->changes, sizeof call->verifier) != 0)
        return -EBADE;
    memcpy(call->verifier, &dir->changes, sizeof call->verifier);
    struct fake_entry *e = dir->first;
    while (e && e->cookie <= call->cookie)
        e = e->next;
    size_t count = 0, text = 0;
    struct fake_entry *end = e;
    for (; end && count < s->page; end = end->next, count++)
        text += strlen(end->name) + 1;
    struct nfs_dirent *entries = mem_zalloc(count * sizeof *entries + text);
    if (!entries)
        return -ENOMEM;
    char *names = (char *)(entries + count);
    for (size_t i = 0; i < count; i++, e = e->next) {
        struct nfs_dirent *out = &entries[i];
        *out = (struct nfs_dirent){.fileid = e->inode->attr.fileid, .cookie = e->cookie, .name = names};
        names = stpcpy(names, e->name) + 1;
        if (!call->want_attr)
            continue;
        struct nfs_call attr = {0};
        fill_attr(&attr, e->inode);
        out->attr = attr.attr;
        out->has_attr = out->has_fh = true;
        fake_inode_fh(e->inode, &out->fh);
    }
    call->entries = entries;
    call->entry_count = count;
    call->eof = !end;
    if (count > 0)
        call->cookie = entries[count - 1].cookie;
    return 0;
}

static int op_fsstat(struct fake_nfs_store *s, struct nfs_call *call) {
    struct fake_inode *inode = NULL;
    int r = fake_inode_get(s, &call->fh, &inode);
    if (r < 0)
        return r;
    uint64_t free_bytes = s->limit > s->used ? s->limit - s->used : 0;
    uint64_t free_files = s->file_limit > s->live ? s->file_limit - s->live : 0;
    call->fsstat = (struct nfs_fsstat){s->limit, free_bytes, free_bytes, s->file_limit, free_files, free_files};
    return 0;
}

int fake_nfs_perform(struct fake_nfs_store *s, struct nfs_call *call) {
    static int (*const ops[NFS_OP_COUNT])(struct fake_nfs_store *, struct nfs_call *) = {
        [NFS_GETATTR] = op_getattr,   [NFS_SETATTR] = op_setattr, [NFS_LOOKUP] = op_lookup,   [NFS_ACCESS] = op_access,
        [NFS_READLINK] = op_readlink, [NFS_READ] = op_read,       [NFS_WRITE] = op_write,     [NFS_COMMIT] = op_commit,
        [NFS_CREATE] = op_create,     [NFS_MKDIR] = op_mkdir,     [NFS_SYMLINK] = op_symlink, [NFS_MKNOD] = op_mknod,
        [NFS_LINK] = op_link,         [NFS_REMOVE] = op_remove,   [NFS_RMDIR] = op_rmdir,     [NFS_RENAME] = op_rename,
        [NFS_READDIR] = op_readdir,   [NFS_FSSTAT] = op_fsstat,
    };
    int r = nfs_call_check(call);
    if (r < 0)
        return r;
    if (s->denied && nfs_op_changes(call->op))
        return -EACCES;
    return ops[call->op](s, call);
}
