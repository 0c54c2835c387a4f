// SPDX-License-Identifier: Apache-2.0
#include "tests/support/tree_kit.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define BLOCK (64 * 1024)

static struct nfs_call run(struct nfs_share *share, struct nfs_call call) {
    int r = nfs_run(share, &call);
    if (r < 0)
        fail_msg("%s '%s': %s", nfs_op_name(call.op), call.name ? call.name : "", err_name(r));
    return call;
}

struct nfs_fh kit_mkdir(struct nfs_share *share, const struct nfs_fh *parent, const char *name) {
    struct nfs_call call = {.op = NFS_MKDIR, .fh = *parent, .name = name};
    call.set = (struct nfs_setattr){.mask = NFS_SET_MODE, .mode = 0755};
    return run(share, call).out_fh;
}

static struct nfs_fh create(struct nfs_share *share, const struct nfs_fh *parent, const char *name) {
    struct nfs_call call = {.op = NFS_CREATE, .fh = *parent, .name = name, .exclusive = true};
    call.set = (struct nfs_setattr){.mask = NFS_SET_MODE, .mode = 0644};
    return run(share, call).out_fh;
}

static void put(struct nfs_share *share, const struct nfs_fh *fh, uint64_t offset, const void *data, size_t len) {
    char *copy = mem_alloc(len);
    memcpy(copy, data, len);
    struct nfs_call call = {.op = NFS_WRITE, .fh = *fh, .offset = offset, .data = copy, .count = (uint32_t)len};
    call.stable = true;
    assert_int_equal(run(share, call).count, len);
    free(copy);
}

struct nfs_fh kit_file(struct nfs_share *share, const struct nfs_fh *parent, const char *name, const char *text) {
    struct nfs_fh fh = create(share, parent, name);
    if (*text)
        put(share, &fh, 0, text, strlen(text));
    return fh;
}

struct nfs_fh kit_sparse(struct nfs_share *share, const struct nfs_fh *parent, const char *name, uint64_t size,
                         uint64_t offset, unsigned blocks) {
    struct nfs_fh fh = create(share, parent, name);
    kit_set(share, &fh, &(struct nfs_setattr){.mask = NFS_SET_SIZE, .size = size});
    unsigned char *block = mem_alloc(BLOCK);
    for (unsigned i = 0; i < blocks; i++) {
        for (unsigned at = 0; at < BLOCK; at++)
            block[at] = (unsigned char)(at * 31 + i * 7 + 1);
        put(share, &fh, offset + (uint64_t)i * BLOCK, block, BLOCK);
    }
    free(block);
    return fh;
}

void kit_link(struct nfs_share *share, const struct nfs_fh *file, const struct nfs_fh *dir, const char *name) {
    (void)run(share, (struct nfs_call){.op = NFS_LINK, .fh = *file, .fh2 = *dir, .name = name});
}

void kit_symlink(struct nfs_share *share, const struct nfs_fh *dir, const char *name, const char *target) {
    (void)run(share, (struct nfs_call){.op = NFS_SYMLINK, .fh = *dir, .name = name, .target = target});
}

void kit_set(struct nfs_share *share, const struct nfs_fh *fh, const struct nfs_setattr *set) {
    (void)run(share, (struct nfs_call){.op = NFS_SETATTR, .fh = *fh, .set = *set});
}

struct nfs_attr kit_attr(struct nfs_share *share, const struct nfs_fh *fh) {
    return run(share, (struct nfs_call){.op = NFS_GETATTR, .fh = *fh}).attr;
}

int kit_lookup(struct nfs_share *share, const struct nfs_fh *dir, const char *name, struct nfs_fh *ret) {
    struct nfs_call call = {.op = NFS_LOOKUP, .fh = *dir, .name = name};
    int r = nfs_run(share, &call);
    if (ret)
        *ret = call.out_fh;
    return r;
}

int kit_unlink(struct nfs_share *share, const struct nfs_fh *dir, const char *name) {
    struct nfs_call call = {.op = NFS_REMOVE, .fh = *dir, .name = name};
    return nfs_run(share, &call);
}

static void node(struct nfs_share *share, const struct nfs_fh *dir, const char *name, uint32_t mode) {
    struct nfs_call call = {.op = NFS_MKNOD, .fh = *dir, .name = name, .rdev_major = 1, .rdev_minor = 3};
    call.set = (struct nfs_setattr){.mask = NFS_SET_MODE, .mode = mode};
    (void)run(share, call);
}

static void dress(struct nfs_share *share, const struct nfs_fh *fh, uint32_t mode, uint32_t uid, time_t when) {
    struct nfs_setattr set = {.mask = NFS_SET_UID | NFS_SET_GID, .uid = uid, .gid = uid + 1};
    kit_set(share, fh, &set);
    set = (struct nfs_setattr){.mask = NFS_SET_MODE | NFS_SET_ATIME | NFS_SET_MTIME, .mode = mode};
    set.mtime = (struct timespec){.tv_sec = when, .tv_nsec = 123456789};
    set.atime = (struct timespec){.tv_sec = when + 5, .tv_nsec = 987654321};
    kit_set(share, fh, &set);
}

void kit_odd_tree(struct nfs_share *share, const struct nfs_fh *dir) {
    char longest[NFS_NAME_MAX + 1];
    memset(longest, 'n', NFS_NAME_MAX);
    longest[NFS_NAME_MAX] = '\0';
    struct nfs_fh a = kit_mkdir(share, dir, "a"), b = kit_mkdir(share, dir, "b");
    struct nfs_fh deep = kit_mkdir(share, &a, "deeper");
    struct nfs_fh empty = kit_mkdir(share, dir, "empty");
    struct nfs_fh tool = kit_file(share, &a, "tool", "#!/bin/sh\n");
    struct nfs_fh linked = kit_file(share, &a, "linked", "one file, three names");
    kit_link(share, &linked, &b, "linked too");
    kit_link(share, &linked, &deep, "linked three");
    (void)kit_file(share, &deep, longest, "the longest name");
    (void)kit_file(share, &deep,
                   "Gr\xc3\xbc\xc3\x9f"
                   "e \xe6\x97\xa5\xe6\x9c\xac \n\t\\ \"",
                   "any name");
    (void)kit_file(share, &b, "nothing", "");
    (void)kit_sparse(share, &b, "sparse", 8 << 20, 3 << 20, 2);
    (void)kit_sparse(share, &b, "large", 3 << 20, 0, 48);
    kit_symlink(share, &b, "out", "/etc/../etc/passwd");
    kit_symlink(share, &b, "up", "..");
    node(share, &b, "pipe", S_IFIFO | 0620);
    node(share, &b, "null", S_IFCHR | 0666);
    dress(share, &tool, 06755, 1000, 1000000000);
    dress(share, &linked, 0400, 2000, 1100000000);
    dress(share, &empty, 01777, 0, 1200000000);
    dress(share, &deep, 02750, 1000, 1300000000);
    dress(share, &a, 0555, 7, 1400000000);
    dress(share, &b, 0700, 0, 1500000000);
}

// ---- description --------------------------------------------------------------------------------------------------

struct names { // first name of each file that has several
    uint64_t fileid;
    char *path;
};
struct describer {
    struct nfs_share *share;
    char **lines;
    size_t count;
    struct names *links;
    size_t link_count;
};

static void content(struct nfs_share *share, const struct nfs_fh *fh, uint64_t size, char ret[HASH_ID_LEN + 1]) {
    char sum[HASH_ID_LEN + 1] = "-";
    char *buf = mem_alloc(NFS_IO_MAX + sizeof sum);
    bool eof = false;
    for (uint64_t at = 0; !eof && at < size && at < (64u << 20);) { // of a huge file only the beginning
        struct nfs_call call = {.op = NFS_READ, .fh = *fh, .offset = at, .data = buf, .count = NFS_IO_MAX};
        call = run(share, call);
        memcpy(buf + call.count, sum, sizeof sum);
        hash_id(buf, call.count + sizeof sum, sum);
        at += call.count;
        eof = call.eof || !call.count;
    }
    free(buf);
    memcpy(ret, sum, sizeof sum);
}

static const char *first_name(struct describer *d, uint64_t fileid, const char *path) {
    for (size_t i = 0; i < d->link_count; i++)
        if (d->links[i].fileid == fileid)
            return d->links[i].path;
    d->links = mem_realloc(d->links, d->link_count + 1, sizeof *d->links);
    d->links[d->link_count++] = (struct names){.fileid = fileid, .path = mem_strdup(path)};
    return path;
}

static void line(struct describer *d, const char *path, const struct nfs_fh *fh, const struct nfs_attr *attr) {
    struct str s = {0};
    (void)str_printf(&s, "%s %o %u:%u", path, attr->mode, attr->uid, attr->gid);
    if (!S_ISLNK(attr->mode))
        (void)str_printf(&s, " %lld.%09ld", (long long)attr->mtime.tv_sec, attr->mtime.tv_nsec);
    if (S_ISREG(attr->mode)) {
        char sum[HASH_ID_LEN + 1];
        content(d->share, fh, attr->size, sum);
        (void)str_printf(&s, " %llu %s", (unsigned long long)attr->size, sum);
    } else if (S_ISLNK(attr->mode)) {
        char *target = run(d->share, (struct nfs_call){.op = NFS_READLINK, .fh = *fh}).text;
        (void)str_printf(&s, " -> %s", target);
        free(target);
    } else if (S_ISCHR(attr->mode)) {
        (void)str_printf(&s, " %u,%u", attr->rdev_major, attr->rdev_minor);
    }
    if (attr->nlink > 1 && !S_ISDIR(attr->mode))
        (void)str_printf(&s, " (%u names, first %s)", attr->nlink, first_name(d, attr->fileid, path));
    d->lines = mem_realloc(d->lines, d->count + 1, sizeof *d->lines);
    d->lines[d->count++] = str_take(&s);
}

struct item {
    char *name;
    struct nfs_fh fh;
    struct nfs_attr attr;
};

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

static struct item *list(struct nfs_share *share, const struct nfs_fh *dir, size_t *ret_count) {
    struct item *items = mem_array(1, sizeof *items);
    struct nfs_call call = {.op = NFS_READDIR, .fh = *dir, .want_attr = true};
    *ret_count = 0;
    for (;;) {
        call = run(share, call);
        items = mem_realloc(items, *ret_count + call.entry_count + 1, sizeof *items);
        for (size_t i = 0; i < call.entry_count; i++) {
            struct nfs_dirent *e = &call.entries[i];
            struct item *item = &items[(*ret_count)++];
            item->name = mem_strdup(e->name);
            assert_int_equal(kit_lookup(share, dir, e->name, &item->fh), 0);
            item->attr = kit_attr(share, &item->fh);
            call.cookie = e->cookie;
        }
        bool end = call.eof || !call.entry_count;
        free(call.entries);
        call.entries = NULL;
        if (end)
            break;
    }
    qsort(items, *ret_count, sizeof *items, by_name);
    return items;
}

static void describe(struct describer *d, const struct nfs_fh *dir, const char *path) {
    size_t count;
    struct item *items = list(d->share, dir, &count);
    for (size_t i = 0; i < count; i++) {
        char *sub = mem_printf("%s/%s", path, items[i].name);
        line(d, sub, &items[i].fh, &items[i].attr);
        if (S_ISDIR(items[i].attr.mode))
            describe(d, &items[i].fh, sub);
        free(sub);
        free(items[i].name);
    }
    free(items);
}

char *kit_describe(struct nfs_share *share, const struct nfs_fh *dir) {
    struct describer d = {.share = share};
    struct nfs_attr attr = kit_attr(share, dir);
    line(&d, ".", dir, &attr);
    describe(&d, dir, ".");
    struct str all = {0};
    for (size_t i = 0; i < d.count; i++) {
        (void)str_append(&all, d.lines[i]);
        (void)str_append(&all, "\n");
        free(d.lines[i]);
    }
    for (size_t i = 0; i < d.link_count; i++)
        free(d.links[i].path);
    free(d.lines);
    free(d.links);
    return str_take(&all);
}

size_t kit_entries(struct nfs_share *share, const struct nfs_fh *dir) {
    size_t count;
    struct item *items = list(share, dir, &count);
    for (size_t i = 0; i < count; i++)
        free(items[i].name);
    free(items);
    return count;
}
