// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/nodes.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/base/mem.h"

#define NODES_MAGIC UINT64_C(0x73746f77616e6f33) // "stowano3": layout 3
#define BUCKETS_START 1024u

struct node {
    _Atomic uint64_t lookups; // 0: free; set last, so that what follows counts
    uint32_t generation;
    uint32_t next;    // in the bucket, or in the free list; a slot number, 0 ends
    uint64_t changed; // area->changes when it was last changed here
    struct node_stamp stamp, told;
    uint64_t kernel_size;
    int64_t learned_ns; // when `attr` was asked for, CLOCK_MONOTONIC; 0: not known
    struct nfs_attr attr;
    bool retired; // not found by its handle any more
    int32_t backing_id;
    struct node_stamp backing;
    int32_t error; // of written data
    uint32_t error_count;
    struct nfs_fh fh;
};

struct nodes_area { // at offset 0 of the memory file; the buckets and the nodes follow at fixed offsets
    uint64_t magic;
    uint32_t bucket_count; // a power of two, at most NODES_MAX
    uint32_t used;         // slots ever used are 1..used
    uint32_t free_head;
    uint32_t live;
    uint64_t changes;
};
#define BUCKETS_OFFSET UINT64_C(4096)
#define NODES_OFFSET (BUCKETS_OFFSET + sizeof(uint32_t) * (uint64_t)NODES_MAX)
#define AREA_SIZE (NODES_OFFSET + sizeof(struct node) * ((uint64_t)NODES_MAX + 1))

struct nodes {
    pthread_mutex_t lock;
    int fd;
    bool own_fd;
    struct nodes_area *area;
};

static uint32_t *bucket_at(const struct nodes *n, uint32_t index) {
    return (uint32_t *)(void *)((char *)n->area + BUCKETS_OFFSET) + index;
}
static struct node *node_at(const struct nodes *n, uint32_t slot) {
    return (struct node *)(void *)((char *)n->area + NODES_OFFSET) + slot;
}
static uint64_t node_id(const struct nodes *n, uint32_t slot) {
    return (uint64_t)node_at(n, slot)->generation << 32 | slot;
}

static uint32_t hash_handle(const struct nfs_fh *fh) { // FNV-1a; handles come from the server we trust with the data
    uint32_t h = 2166136261u;
    for (uint8_t i = 0; i < fh->len; i++)
        h = (h ^ fh->data[i]) * 16777619u;
    return h ^ h >> 15;
}
static uint32_t *bucket_of(const struct nodes *n, const struct nfs_fh *fh) {
    return bucket_at(n, hash_handle(fh) & (n->area->bucket_count - 1));
}

static uint32_t find_slot(const struct nodes *n, const struct nfs_fh *fh) {
    uint32_t slot = *bucket_of(n, fh);
    while (slot && !nfs_fh_eq(&node_at(n, slot)->fh, fh))
        slot = node_at(n, slot)->next;
    return slot;
}

static struct node *live_node(const struct nodes *n, uint64_t id) {
    uint32_t slot = (uint32_t)id;
    if (slot == 0 || slot > n->area->used)
        return NULL;
    struct node *node = node_at(n, slot);
    return node->lookups && node->generation == (uint32_t)(id >> 32) ? node : NULL;
}

static void link_slot(struct nodes *n, uint32_t slot) {
    struct node *node = node_at(n, slot);
    uint32_t *bucket = bucket_of(n, &node->fh);
    node->next = *bucket;
    *bucket = slot;
}

static void unlink_slot(struct nodes *n, uint32_t slot) {
    uint32_t *at = bucket_of(n, &node_at(n, slot)->fh);
    while (*at != slot)
        at = &node_at(n, *at)->next;
    *at = node_at(n, slot)->next;
}

static void grow_buckets(struct nodes *n) {
    if (n->area->live < n->area->bucket_count || n->area->bucket_count >= NODES_MAX)
        return;
    memset(bucket_at(n, 0), 0, sizeof(uint32_t) * n->area->bucket_count);
    n->area->bucket_count *= 2;
    for (uint32_t slot = 1; slot <= n->area->used; slot++)
        if (node_at(n, slot)->lookups && !node_at(n, slot)->retired)
            link_slot(n, slot);
}

static uint32_t take_slot(struct nodes *n) {
    uint32_t slot = n->area->free_head;
    if (slot) {
        n->area->free_head = node_at(n, slot)->next;
        node_at(n, slot)->generation++;
        return slot;
    }
    return n->area->used < NODES_MAX ? ++n->area->used : 0;
}

static int add_node(struct nodes *n, const struct nfs_fh *fh, uint32_t *ret_slot) {
    uint32_t slot = take_slot(n);
    if (!slot)
        return -ENFILE;
    struct node *node = node_at(n, slot);
    *node = (struct node){.generation = node->generation, .fh = *fh};
    atomic_store(&node->lookups, 1);
    link_slot(n, slot);
    n->area->live++;
    grow_buckets(n);
    *ret_slot = slot;
    return 0;
}

uint64_t nodes_layout(void) {
    return NODES_MAGIC * 1000003 + sizeof(struct node);
}

// Chains and free slots are found out anew: the process before may have ended while it changed them.
static void rebuild(struct nodes *n) {
    memset(bucket_at(n, 0), 0, sizeof(uint32_t) * n->area->bucket_count);
    n->area->free_head = n->area->live = 0;
    for (uint32_t slot = n->area->used; slot > 0; slot--) {
        if (node_at(n, slot)->lookups) {
            link_slot(n, slot);
            n->area->live++;
        } else {
            node_at(n, slot)->next = n->area->free_head;
            n->area->free_head = slot;
        }
    }
    grow_buckets(n);
}

static int map_area(struct nodes *n, bool inherited) {
    if (!inherited && ftruncate(n->fd, (off_t)AREA_SIZE) < 0)
        return -errno;
    void *at = mmap(NULL, AREA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, n->fd, 0);
    if (at == MAP_FAILED)
        return -errno;
    (void)madvise(at, AREA_SIZE, MADV_DONTDUMP); // a core would fill the gaps
    n->area = at;
    if (!inherited)
        *n->area = (struct nodes_area){.magic = NODES_MAGIC, .bucket_count = BUCKETS_START};
    return n->area->magic == NODES_MAGIC ? 0 : -EPROTO;
}

int nodes_open(int fd, const struct nfs_fh *root, struct nodes **ret, struct err *err) {
    struct nodes *n cleanup(nodes_freep) = mem_zalloc(sizeof *n);
    if (!n)
        return err_set(err, -ENOMEM, "out of memory");
    n->fd = fd;
    (void)pthread_mutex_init(&n->lock, NULL);
    int r = map_area(n, root == NULL);
    if (r < 0)
        return err_set(err, r, "cannot make the node table: %s", err_name(r));
    uint32_t slot = 0;
    if (root)
        r = add_node(n, root, &slot);
    else
        rebuild(n);
    if (r < 0)
        return err_set(err, r, "cannot make the root node");
    *ret = take_ptr(n);
    return 0;
}

int nodes_new(const struct nfs_fh *root, struct nodes **ret, struct err *err) {
    int fd cleanup_close = memfd_create("stowage-nodes", MFD_CLOEXEC);
    if (fd < 0)
        return err_set(err, -errno, "cannot make the node table: %s", err_name(errno));
    int r = nodes_open(fd, root, ret, err);
    if (r == 0) {
        (*ret)->own_fd = true;
        (void)take_fd(&fd);
    }
    return r;
}

struct nodes *nodes_free(struct nodes *n) {
    if (!n)
        return NULL;
    if (n->area)
        (void)munmap(n->area, AREA_SIZE);
    if (n->own_fd)
        (void)close(n->fd);
    (void)pthread_mutex_destroy(&n->lock);
    free(n);
    return NULL;
}

int nodes_look_up(struct nodes *n, const struct nfs_fh *fh, uint64_t *ret_id) {
    LOCK_SCOPE(&n->lock);
    uint32_t slot = find_slot(n, fh);
    if (slot) {
        node_at(n, slot)->lookups++;
    } else {
        int r = add_node(n, fh, &slot);
        if (r < 0)
            return r;
    }
    *ret_id = node_id(n, slot);
    return 0;
}

void nodes_forget(struct nodes *n, uint64_t id, uint64_t count) {
    LOCK_SCOPE(&n->lock);
    struct node *node = live_node(n, id);
    if (!node || id == NODES_ROOT)
        return;
    if (count < node->lookups) {
        node->lookups -= count;
        return;
    }
    uint32_t slot = (uint32_t)id;
    if (!node->retired)
        unlink_slot(n, slot);
    node->lookups = 0;
    node->next = n->area->free_head;
    n->area->free_head = slot;
    n->area->live--;
}

int nodes_handle(struct nodes *n, uint64_t id, struct nfs_fh *ret) {
    LOCK_SCOPE(&n->lock);
    const struct node *node = live_node(n, id);
    if (!node)
        return -ESTALE;
    *ret = node->fh;
    return 0;
}

uint64_t nodes_find(struct nodes *n, const struct nfs_fh *fh) {
    LOCK_SCOPE(&n->lock);
    uint32_t slot = find_slot(n, fh);
    return slot ? node_id(n, slot) : 0;
}

size_t nodes_count(struct nodes *n) {
    LOCK_SCOPE(&n->lock);
    return n->area->live;
}

struct node_stamp nodes_swap_stamp(struct nodes *n, uint64_t id, const struct node_stamp *now) {
    LOCK_SCOPE(&n->lock);
    struct node *node = live_node(n, id);
    if (!node)
        return (struct node_stamp){0};
    struct node_stamp old = node->stamp;
    node->stamp = *now;
    return old;
}

void nodes_tell(struct nodes *n, uint64_t id, const struct node_stamp *told) {
    LOCK_SCOPE(&n->lock);
    struct node *node = live_node(n, id);
    if (!node)
        return;
    node->told = *told;
    node->kernel_size = told->size;
}

bool nodes_was_told(struct nodes *n, uint64_t id, const struct node_stamp *now) {
    LOCK_SCOPE(&n->lock);
    const struct node *node = live_node(n, id);
    return node && node_stamp_eq(&node->told, now);
}

uint64_t nodes_kernel_size(struct nodes *n, uint64_t id) {
    LOCK_SCOPE(&n->lock);
    const struct node *node = live_node(n, id);
    return node ? node->kernel_size : 0;
}

void nodes_kernel_wrote(struct nodes *n, uint64_t id, uint64_t end) {
    LOCK_SCOPE(&n->lock);
    struct node *node = live_node(n, id);
    if (!node)
        return;
    if (node->kernel_size < end)
        node->kernel_size = end;
    node->learned_ns = 0;
}

void nodes_kernel_truncated(struct nodes *n, uint64_t id) {
    LOCK_SCOPE(&n->lock);
    struct node *node = live_node(n, id);
    if (node)
        node->kernel_size = 0;
}

void nodes_set_error(struct nodes *n, uint64_t id, int error, unsigned count) {
    LOCK_SCOPE(&n->lock);
    struct node *node = live_node(n, id);
    if (!node)
        return;
    node->error = error;
    node->error_count = count;
}

void nodes_error(struct nodes *n, uint64_t id, int *ret_error, unsigned *ret_count) {
    LOCK_SCOPE(&n->lock);
    const struct node *node = live_node(n, id);
    *ret_error = node ? node->error : 0;
    *ret_count = node ? node->error_count : 0;
}

uint64_t nodes_moment(struct nodes *n) {
    LOCK_SCOPE(&n->lock);
    return n->area->changes;
}

uint64_t nodes_changed(struct nodes *n, uint64_t id) {
    LOCK_SCOPE(&n->lock);
    struct node *node = live_node(n, id);
    if (node) {
        node->changed = ++n->area->changes;
        node->learned_ns = 0;
    }
    return n->area->changes;
}

bool nodes_changed_since(struct nodes *n, const struct nfs_fh *fh, uint64_t moment) {
    LOCK_SCOPE(&n->lock);
    uint32_t slot = find_slot(n, fh);
    return slot && node_at(n, slot)->changed > moment;
}

void nodes_learn(struct nodes *n, uint64_t id, const struct nfs_attr *attr, int64_t now_ns) {
    LOCK_SCOPE(&n->lock);
    struct node *node = live_node(n, id);
    if (!node)
        return;
    node->attr = *attr;
    node->learned_ns = now_ns;
}

bool nodes_known(struct nodes *n, uint64_t id, int64_t since_ns, struct nfs_attr *ret) {
    LOCK_SCOPE(&n->lock);
    const struct node *node = live_node(n, id);
    if (!node || node->learned_ns == 0 || node->learned_ns < since_ns || node->retired)
        return false;
    *ret = node->attr;
    return true;
}

void nodes_set_backing(struct nodes *n, uint64_t id, int32_t backing_id, const struct node_stamp *state) {
    LOCK_SCOPE(&n->lock);
    struct node *node = live_node(n, id);
    if (!node)
        return;
    if (state)
        node->backing = *state;
    node->backing_id = backing_id;
}

int32_t nodes_backing(struct nodes *n, uint64_t id, struct node_stamp *ret) {
    LOCK_SCOPE(&n->lock);
    const struct node *node = live_node(n, id);
    if (!node)
        return 0;
    *ret = node->backing;
    return node->backing_id;
}

uint64_t nodes_next_backing(struct nodes *n, uint64_t after) {
    LOCK_SCOPE(&n->lock);
    for (uint32_t slot = (uint32_t)after + 1; slot <= n->area->used; slot++)
        if (node_at(n, slot)->lookups && node_at(n, slot)->backing_id)
            return node_id(n, slot);
    return 0;
}

void nodes_retire(struct nodes *n, uint64_t id) {
    LOCK_SCOPE(&n->lock);
    struct node *node = live_node(n, id);
    if (!node || node->retired || id == NODES_ROOT)
        return;
    unlink_slot(n, (uint32_t)id);
    node->retired = true;
}

bool nodes_is_live(struct nodes *n, uint64_t id) {
    LOCK_SCOPE(&n->lock);
    return live_node(n, id) != NULL;
}

bool nodes_is_retired(struct nodes *n, uint64_t id) {
    LOCK_SCOPE(&n->lock);
    const struct node *node = live_node(n, id);
    return node && node->retired;
}

static bool time_eq(const struct timespec *a, const struct timespec *b) {
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool node_stamp_eq(const struct node_stamp *a, const struct node_stamp *b) {
    return a->valid && b->valid && a->size == b->size && time_eq(&a->mtime, &b->mtime) && time_eq(&a->ctime, &b->ctime);
}
