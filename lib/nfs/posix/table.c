// SPDX-License-Identifier: Apache-2.0
#include "lib/nfs/posix/table.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/nfs/posix/node.h"

#define BUCKETS 65536u
#define DEPTH_MAX 1024 // directories above one another; a loop of names that were moved meanwhile ends here too
#define CLOSE_AT_ONCE 32
#define LOOK_FOR_OLD 64

struct link { // of a ring
    struct link *prev, *next;
};

struct posix_entry {
    struct link by_use, by_fd_use; // the latest first
    struct posix_entry *hash_next, *parent;
    unsigned refs, children;
    int fd;
    struct nfs_fh fh;
    char *name;
};

struct posix_table {
    pthread_mutex_t lock;
    struct posix_entry *buckets[BUCKETS];
    struct posix_entry *root;
    struct posix_table_limits limits;
    size_t entries, descriptors;
    struct link by_use, by_fd_use;
};

#define ENTRY_OF(ring, member) ((struct posix_entry *)(void *)((char *)(ring)-offsetof(struct posix_entry, member)))

static void ring_remove(struct link *at) {
    at->prev->next = at->next;
    at->next->prev = at->prev;
    at->prev = at->next = at;
}

static void ring_to_front(struct link *ring, struct link *at) {
    ring_remove(at);
    at->next = ring->next;
    at->prev = ring;
    ring->next->prev = at;
    ring->next = at;
}

// ---- handles: what makes an object itself. The birth time, where there is one, tells inode numbers apart that are used again.

enum { TABLE_FH = 2, TABLE_FH_LEN = 22 };

static void make_fh(const struct statx *stx, struct nfs_fh *ret) {
    *ret = (struct nfs_fh){.len = TABLE_FH_LEN, .data = {TABLE_FH}};
    uint64_t ino = stx->stx_ino;
    ret->data[1] = (uint8_t)(stx->stx_mode >> 12);
    memcpy(&ret->data[2], &ino, sizeof ino);
    if (stx->stx_mask & STATX_BTIME) {
        memcpy(&ret->data[10], &stx->stx_btime.tv_sec, 8);
        memcpy(&ret->data[18], &stx->stx_btime.tv_nsec, 4);
    }
}

static struct posix_entry **bucket(struct posix_table *table, const struct nfs_fh *fh) {
    uint64_t ino = 0;
    memcpy(&ino, &fh->data[2], sizeof ino);
    return &table->buckets[(ino * UINT64_C(0x9e3779b97f4a7c15) >> 48) % BUCKETS];
}

static struct posix_entry *find(struct posix_table *table, const struct nfs_fh *fh) {
    if (fh->len != TABLE_FH_LEN || fh->data[0] != TABLE_FH)
        return NULL;
    struct posix_entry *entry = *bucket(table, fh);
    while (entry && !nfs_fh_eq(&entry->fh, fh))
        entry = entry->hash_next;
    return entry;
}

// ---- making room. Descriptors are closed without the lock, by whoever made room necessary.

struct closing {
    int fds[CLOSE_AT_ONCE];
    size_t count;
};

static void close_all(struct closing *closing) {
    while (closing->count > 0)
        (void)close(closing->fds[--closing->count]);
}

static void drop_fd(struct posix_table *table, struct posix_entry *entry, struct closing *closing) {
    if (entry->fd < 0)
        return;
    closing->fds[closing->count++] = take_fd(&entry->fd);
    ring_remove(&entry->by_fd_use);
    table->descriptors--;
}

static void drop_entry(struct posix_table *table, struct posix_entry *entry, struct closing *closing) {
    struct posix_entry **at = bucket(table, &entry->fh);
    while (*at != entry)
        at = &(*at)->hash_next;
    *at = entry->hash_next;
    drop_fd(table, entry, closing);
    ring_remove(&entry->by_use);
    if (entry->parent)
        entry->parent->children--;
    table->entries--;
    free(entry->name);
    free(entry);
}

static void make_room(struct posix_table *table, struct closing *closing) {
    struct link *at = table->by_fd_use.prev;
    for (int i = 0; i < LOOK_FOR_OLD && table->descriptors > table->limits.descriptors && at != &table->by_fd_use;
         i++) {
        struct posix_entry *entry = ENTRY_OF(at, by_fd_use);
        at = at->prev;
        if (entry->refs == 0 && closing->count < CLOSE_AT_ONCE)
            drop_fd(table, entry, closing);
    }
    at = table->by_use.prev;
    for (int i = 0; i < LOOK_FOR_OLD && table->entries > table->limits.entries && at != &table->by_use; i++) {
        struct posix_entry *entry = ENTRY_OF(at, by_use);
        at = at->prev;
        if (entry->refs == 0 && entry->children == 0 && closing->count < CLOSE_AT_ONCE)
            drop_entry(table, entry, closing);
    }
}

static void give_fd(struct posix_table *table, struct posix_entry *entry, int *fd) {
    if (entry->fd >= 0)
        return;
    entry->fd = take_fd(fd);
    table->descriptors++;
}

static void touch(struct posix_table *table, struct posix_entry *entry) {
    if (entry == table->root)
        return;
    ring_to_front(&table->by_use, &entry->by_use);
    if (entry->fd >= 0)
        ring_to_front(&table->by_fd_use, &entry->by_fd_use);
}

// ---- learning

static struct posix_entry *add(struct posix_table *table, const struct nfs_fh *fh, char *name,
                               struct posix_entry *parent) {
    struct posix_entry *entry = mem_zalloc(sizeof *entry);
    if (!entry)
        return NULL;
    entry->by_use = (struct link){&entry->by_use, &entry->by_use};
    entry->by_fd_use = (struct link){&entry->by_fd_use, &entry->by_fd_use};
    entry->fh = *fh;
    entry->fd = -1;
    entry->name = name;
    entry->parent = parent;
    if (parent)
        parent->children++;
    struct posix_entry **at = bucket(table, fh);
    entry->hash_next = *at;
    *at = entry;
    table->entries++;
    return entry;
}

static void move(struct posix_entry *entry, struct posix_entry *parent, char **name) {
    if (entry->parent == parent && strcmp(entry->name, *name) == 0)
        return;
    free(entry->name);
    entry->name = take_ptr(*name);
    entry->parent->children--;
    entry->parent = parent;
    parent->children++;
}

int posix_table_learn(struct posix_table *table, const struct nfs_fh *dir, const char *name, int fd,
                      const struct statx *stx, struct nfs_fh *ret) {
    struct closing closing = {.count = 0};
    int own cleanup_close = fd;
    char *copy cleanup_free = mem_strdup(name);
    int r = copy ? 0 : -ENOMEM;
    make_fh(stx, ret);
    {
        LOCK_SCOPE(&table->lock);
        struct posix_entry *parent = find(table, dir), *entry = find(table, ret);
        if (r == 0 && !parent)
            r = -ESTALE;
        if (r == 0 && entry && entry != table->root) {
            move(entry, parent, &copy);
        } else if (r == 0 && !entry) {
            entry = add(table, ret, copy, parent);
            r = entry ? 0 : -ENOMEM;
            if (entry)
                copy = NULL;
        }
        if (r == 0) {
            give_fd(table, entry, &own);
            touch(table, entry);
            entry->refs++; // not this one, when it makes room
            make_room(table, &closing);
            entry->refs--;
        }
    }
    close_all(&closing);
    return r;
}

void posix_table_forget(struct posix_table *table, const struct statx *stx) {
    struct closing closing = {.count = 0};
    struct nfs_fh fh;
    make_fh(stx, &fh);
    {
        LOCK_SCOPE(&table->lock);
        struct posix_entry *entry = find(table, &fh);
        if (entry && entry != table->root && entry->refs == 0 && entry->children == 0)
            drop_entry(table, entry, &closing);
        else if (entry && entry != table->root && entry->refs == 0)
            drop_fd(table, entry, &closing);
    }
    close_all(&closing);
}

// ---- finding

static int get(struct posix_table *table, struct posix_entry *entry, int depth);

static void put(struct posix_table *table, struct posix_entry *entry) {
    LOCK_SCOPE(&table->lock);
    entry->refs--;
}

// `entry` is held. Opens it by its name in its directory.
static int open_again(struct posix_table *table, struct posix_entry *entry, int depth) {
    struct closing closing = {.count = 0};
    struct statx stx;
    struct nfs_fh found;
    struct posix_entry *parent;
    char name[NFS_NAME_MAX + 1];
    {
        LOCK_SCOPE(&table->lock);
        parent = entry->parent;
        parent->refs++;
        (void)memcpy(name, entry->name, strlen(entry->name) + 1);
    }
    int fd cleanup_close = -1;
    int r = get(table, parent, depth + 1);
    if (r == 0) {
        r = posix_open_name(parent->fd, name, &fd);
        put(table, parent);
    }
    put(table, parent);
    if (r == 0 && statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &stx) < 0)
        r = -errno;
    if (r == -ENOENT || r == -ENOTDIR || r == -EXDEV || r == -ELOOP)
        r = -ESTALE;
    if (r < 0)
        return r;
    make_fh(&stx, &found);
    if (!nfs_fh_eq(&found, &entry->fh))
        return -ESTALE;
    {
        LOCK_SCOPE(&table->lock);
        give_fd(table, entry, &fd);
        touch(table, entry);
        make_room(table, &closing);
    }
    close_all(&closing);
    return 0;
}

// Adds a hold, under which the entry has a descriptor. The caller has one already, without.
static int get(struct posix_table *table, struct posix_entry *entry, int depth) {
    bool open;
    if (depth > DEPTH_MAX)
        return -ESTALE;
    {
        LOCK_SCOPE(&table->lock);
        entry->refs++;
        open = entry->fd >= 0;
        if (open)
            touch(table, entry);
    }
    int r = open ? 0 : open_again(table, entry, depth);
    if (r < 0)
        put(table, entry);
    return r;
}

int posix_table_get(struct posix_table *table, const struct nfs_fh *fh, bool may_open, struct posix_entry **ret) {
    struct posix_entry *entry;
    {
        LOCK_SCOPE(&table->lock);
        entry = find(table, fh);
        if (!entry)
            return -ESTALE;
        if (entry->fd < 0 && !may_open)
            return -EAGAIN;
        entry->refs++;
    }
    int r = get(table, entry, 0);
    put(table, entry);
    if (r == 0)
        *ret = entry;
    return r;
}

void posix_table_put(struct posix_table *table, struct posix_entry *entry) {
    put(table, entry);
}

int posix_entry_fd(const struct posix_entry *entry) {
    return entry->fd;
}

// ---- the table

int posix_table_new(int root_fd, const struct posix_table_limits *limits, struct posix_table **ret) {
    struct statx stx;
    struct nfs_fh fh;
    if (statx(root_fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &stx) < 0)
        return -errno;
    struct posix_table *table = mem_zalloc(sizeof *table);
    if (!table)
        return -ENOMEM;
    (void)pthread_mutex_init(&table->lock, NULL);
    table->by_use = (struct link){&table->by_use, &table->by_use};
    table->by_fd_use = (struct link){&table->by_fd_use, &table->by_fd_use};
    table->limits = *limits;
    make_fh(&stx, &fh);
    table->root = add(table, &fh, NULL, NULL);
    if (!table->root) {
        (void)posix_table_free(table);
        return -ENOMEM;
    }
    table->root->fd = root_fd; // the share's
    *ret = table;
    return 0;
}

void posix_table_root(const struct posix_table *table, struct nfs_fh *ret) {
    *ret = table->root->fh;
}

struct posix_table *posix_table_free(struct posix_table *table) {
    if (!table)
        return NULL;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct posix_entry *entry = table->buckets[i]; entry;) {
            struct posix_entry *gone = entry;
            entry = entry->hash_next;
            if (gone != table->root && gone->fd >= 0)
                (void)close(gone->fd);
            free(gone->name);
            free(gone);
        }
    (void)pthread_mutex_destroy(&table->lock);
    free(table);
    return NULL;
}
