// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/fetch.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/workq.h"
#include "lib/cache/cache.h"
#include "node-plugin/cachefs/copy.h"
#include "node-plugin/cachefs/fetch_room.h"
#include "node-plugin/cachefs/inode.h"
#include "node-plugin/cachefs/op.h"

#define IN_FLIGHT_MOST 64u
#define STORERS 4u
#define STORE_WAIT 300u  // times 10 ms, for a disk that does not take what it was given
#define DATA_ALIGN 4096u // of what is written past the page cache

// How many of a priority may be read at a time, and that while somebody waits for others.
static const struct {
    unsigned most, beside_demand;
} limits[FETCH_PRIORITY_COUNT] = {
    [FETCH_DEMAND] = {IN_FLIGHT_MOST, IN_FLIGHT_MOST},
    [FETCH_AHEAD] = {48, 32},
    [FETCH_WARM] = {8, 1},
};

enum fetch_state { QUEUED, READING, LANDED };

struct fetch {
    struct fetch *next;   // of its inode
    struct fetch *queued; // the next in its queue
    struct inode *inode;
    struct cached *object;
    struct nfs_cred cred;
    uint64_t offset;
    uint32_t len, got;
    enum fetch_priority priority;
    enum fetch_state state;
    bool store, stored, checked;
    uint32_t memory; // taken of the node's
    unsigned refs;
    int result;
    void *buf;
    char *data; // in it, where a disk can take it from
    struct fetch_wait *waits;
    struct nfs_call call;
    struct work work;
};

struct queue {
    struct fetch *head, *tail;
};

struct fetcher {
    struct fs *fs;
    pthread_mutex_t lock;
    struct workq *storers;
    struct queue queues[FETCH_PRIORITY_COUNT];
    unsigned reading[FETCH_PRIORITY_COUNT];
    struct fetch_room room;
    uint64_t memory_limit;
};

int fetch_result(const struct fetch *f) {
    return f->result;
}
bool fetch_is_stored(const struct fetch *f) {
    return f->stored;
}
uint64_t fetch_offset(const struct fetch *f) {
    return f->offset;
}
uint32_t fetch_len(const struct fetch *f) {
    return f->got;
}
const char *fetch_data(const struct fetch *f) {
    return f->data;
}

// ---- the end of a fetch

static void run_waits(struct fetch_wait *wait) {
    while (wait) {
        struct fetch_wait *next = wait->next; // the wait may be gone after its run
        wait->run(wait);
        wait = next;
    }
}

static void give_memory(struct fetcher *fetcher, uint32_t bytes) {
    struct fetch_wait *due;
    cache_memory_give(fetcher->fs->copies.cache, bytes);
    {
        LOCK_SCOPE(&fetcher->lock);
        due = fetch_room_given(&fetcher->room, clock_monotonic(fetcher->fs->clock));
    }
    run_waits(due);
}

static void fetch_destroy(struct fs *fs, struct fetch *f) {
    uint32_t memory = f->memory;
    bufs_put(&fs->bufs, f->buf);
    (void)cached_put(f->object);
    inode_put(f->inode);
    free(f);
    if (memory)
        give_memory(fs->fetcher, memory);
}

void fetch_put(struct fs *fs, struct fetch *f) {
    {
        LOCK_SCOPE(&fs->fetcher->lock);
        if (--f->refs)
            return;
    }
    fetch_destroy(fs, f);
}

// Takes the waits that are due; each gets a reference.
static struct fetch_wait *take_waits(struct fetch *f, bool stored_too) {
    struct fetch_wait *due = NULL;
    for (struct fetch_wait **at = &f->waits, *wait; (wait = *at);) {
        if (wait->stored && !stored_too) {
            at = &wait->next;
            continue;
        }
        *at = wait->next;
        wait->linked = false;
        wait->fetch = f;
        f->refs++;
        wait->next = due;
        due = wait;
    }
    return due;
}

static void finish(struct fetch *f) {
    struct fs *fs = f->inode->fs;
    struct fetch_wait *due;
    {
        LOCK_SCOPE(&fs->fetcher->lock);
        struct fetch **at = &f->inode->fetches;
        while (*at != f)
            at = &(*at)->next;
        *at = f->next;
        due = take_waits(f, true);
    }
    run_waits(due);
    fetch_put(fs, f);
}

static void store(struct work *work) {
    struct fetch *f = (struct fetch *)(void *)((char *)work - offsetof(struct fetch, work));
    f->stored = cached_write(f->object, f->offset, f->data, f->got) == 0;
    finish(f);
}

static void land(struct fetch *f) {
    struct fetcher *fetcher = f->inode->fs->fetcher;
    struct fetch_wait *due;
    {
        LOCK_SCOPE(&fetcher->lock);
        f->state = LANDED;
        due = take_waits(f, false);
    }
    run_waits(due);
    if (f->store && workq_push(fetcher->storers, &f->work) == 0)
        return;
    if (f->store)
        cached_unreserve(f->object, f->len);
    finish(f);
}

// ---- reading

static void pump(struct fetcher *fetcher);
static void ask(struct fetch *f);

static void give_up_storing(struct fetch *f) {
    if (f->store)
        cached_unreserve(f->object, f->len);
    f->store = false;
}

// The attributes after the data say whether it was still the version that is cached.
static void judge(struct fetch *f) {
    struct fs *fs = f->inode->fs;
    if (f->result == 0 && (f->got < f->len || !copy_is_version(f->object, &f->call.attr)))
        copy_outdated(f->inode, f->object);
    if (f->result < 0 || f->got < f->len || cached_is_dropped(f->object))
        give_up_storing(f);
    cache_count_bytes(fs->copies.cache, 0, f->got);
    {
        LOCK_SCOPE(&fs->fetcher->lock);
        fs->fetcher->reading[f->priority]--;
    }
    land(f);
    pump(fs->fetcher);
}

static void checked(struct nfs_call *call) {
    struct fetch *f = call->arg;
    f->result = call->result;
    judge(f);
}

static void answered(struct nfs_call *call) {
    struct fetch *f = call->arg;
    f->result = call->result;
    if (call->result == 0)
        f->got += call->count;
    if (call->result == 0 && f->got < f->len && !call->eof && call->count) {
        ask(f);
    } else if (call->result == 0 && !call->has_attr) { // a server may leave them out
        f->call = (struct nfs_call){.op = NFS_GETATTR, .cred = &f->cred, .fh = f->inode->fh, .done = checked, .arg = f};
        nfs_submit(f->inode->fs->share, &f->call);
    } else {
        judge(f);
    }
}

static void ask(struct fetch *f) {
    f->call = (struct nfs_call){.op = NFS_READ,
                                .cred = &f->cred,
                                .fh = f->inode->fh,
                                .offset = f->offset + f->got,
                                .data = f->data + f->got,
                                .count = f->len - f->got,
                                .want_attr = true,
                                .done = answered,
                                .arg = f};
    nfs_submit(f->inode->fs->share, &f->call);
}

static struct fetch *pop(struct fetcher *fetcher) {
    LOCK_SCOPE(&fetcher->lock);
    bool demand = fetcher->queues[FETCH_DEMAND].head || fetcher->reading[FETCH_DEMAND];
    unsigned all = 0;
    for (int p = 0; p < FETCH_PRIORITY_COUNT; p++)
        all += fetcher->reading[p];
    for (int p = 0; p < FETCH_PRIORITY_COUNT && all < IN_FLIGHT_MOST; p++) {
        struct queue *queue = &fetcher->queues[p];
        struct fetch *f = queue->head;
        if (!f || fetcher->reading[p] >= (demand ? limits[p].beside_demand : limits[p].most))
            continue;
        queue->head = f->queued;
        if (!queue->head)
            queue->tail = NULL;
        f->state = READING;
        fetcher->reading[p]++;
        return f;
    }
    return NULL;
}

static char *aligned(void *buf) { // a buffer has room for that
    return (char *)(((uintptr_t)buf + DATA_ALIGN - 1) / DATA_ALIGN * DATA_ALIGN);
}

static void pump(struct fetcher *fetcher) {
    struct fetch *f;
    while ((f = pop(fetcher))) {
        f->buf = bufs_get(&fetcher->fs->bufs);
        if (f->buf) {
            f->data = aligned(f->buf);
            ask(f);
            continue;
        }
        f->result = -ENOMEM;
        judge(f);
    }
}

// ---- asking

static void enqueue(struct fetcher *fetcher, struct fetch *f) {
    struct queue *queue = &fetcher->queues[f->priority];
    f->queued = NULL;
    *(queue->tail ? &queue->tail->queued : &queue->head) = f;
    queue->tail = f;
}

static void dequeue(struct fetcher *fetcher, struct fetch *f) {
    struct queue *queue = &fetcher->queues[f->priority];
    struct fetch *before = NULL;
    for (struct fetch *at = queue->head; at != f; at = at->queued)
        before = at;
    *(before ? &before->queued : &queue->head) = f->queued;
    if (queue->tail == f)
        queue->tail = before;
}

static void raise_priority(struct fetcher *fetcher, struct fetch *f, enum fetch_priority priority) {
    if (f->state != QUEUED || f->priority <= priority)
        return;
    dequeue(fetcher, f);
    f->priority = priority;
    enqueue(fetcher, f);
}

static struct fetch *find(const struct inode *inode, uint64_t offset) {
    struct fetch *f = inode->fetches;
    while (f && (offset < f->offset || offset >= f->offset + f->len))
        f = f->next;
    return f;
}

// The longest run from `from` that is neither here nor on its way, at most one READ.
static uint32_t missing_run(const struct fetch_range *r, uint64_t from, uint64_t to) {
    uint64_t end = from;
    while (end < to && end - from < NFS_IO_MAX && !find(r->inode, end) && !cached_has(r->object, end, 1))
        end += CACHE_BLOCK;
    return (uint32_t)((end < to ? end : to) - from);
}

static int add(struct fetcher *fetcher, const struct fetch_range *r, uint64_t offset, uint32_t len) {
    bool demand = r->priority == FETCH_DEMAND;
    bool memory = cache_memory_take(fetcher->fs->copies.cache, len, fetcher->memory_limit);
    if (!memory && !demand)
        return -ENOBUFS;
    if (!memory && fetch_room_moves(&fetcher->room, clock_monotonic(fetcher->fs->clock)))
        return -EAGAIN;
    int room = memory ? cached_reserve(r->object, len) : -ENOBUFS;
    struct fetch *f = demand || room == 0 ? mem_zalloc(sizeof *f) : NULL;
    if (!f) {
        if (room == 0)
            cached_unreserve(r->object, len);
        if (memory)
            cache_memory_give(fetcher->fs->copies.cache, len);
        return room < 0 && !demand ? -ENOSPC : -ENOMEM;
    }
    *f = (struct fetch){.inode = r->inode,
                        .object = r->object,
                        .cred = *r->cred,
                        .offset = offset,
                        .len = len,
                        .refs = 1,
                        .priority = r->priority,
                        .store = room == 0,
                        .memory = memory ? len : 0,
                        .work.run = store};
    if (memory)
        fetch_room_taken(&fetcher->room, clock_monotonic(fetcher->fs->clock));
    inode_hold(r->inode);
    cached_hold(r->object);
    f->next = r->inode->fetches;
    r->inode->fetches = f;
    enqueue(fetcher, f);
    return 0;
}

static int request(struct fetcher *fetcher, const struct fetch_range *r, uint64_t to) {
    LOCK_SCOPE(&fetcher->lock);
    for (uint64_t at = r->from / CACHE_BLOCK * CACHE_BLOCK; at < to;) {
        struct fetch *f = find(r->inode, at);
        uint32_t run = f ? 0 : missing_run(r, at, to);
        if (f) {
            raise_priority(fetcher, f, r->priority);
            at = f->offset + f->len;
        } else if (run == 0) {
            at += CACHE_BLOCK;
        } else {
            int error = add(fetcher, r, at, run);
            if (error < 0)
                return error;
            at += run;
        }
    }
    return 0;
}

int fetch_request(const struct fetch_range *r) {
    struct fetcher *fetcher = r->inode->fs->fetcher;
    uint64_t to = (r->to + CACHE_BLOCK - 1) / CACHE_BLOCK * CACHE_BLOCK, size = cached_size(r->object);
    int error = request(fetcher, r, to < size ? to : size);
    pump(fetcher);
    return error;
}

int fetch_join(struct inode *inode, uint64_t offset, struct fetch_wait *wait) {
    struct fetcher *fetcher = inode->fs->fetcher;
    LOCK_SCOPE(&fetcher->lock);
    struct fetch *f = find(inode, offset);
    if (!f)
        return -ENOENT;
    if (f->state == LANDED && !(wait->stored && f->store)) {
        f->refs++;
        wait->fetch = f;
        return 1;
    }
    wait->linked = true;
    wait->fetch = f; // not held: fetch_unwait looks there
    wait->next = f->waits;
    f->waits = wait;
    return 0;
}

bool fetch_wait_room(struct fs *fs, struct fetch_wait *wait) {
    {
        LOCK_SCOPE(&fs->fetcher->lock);
        if (!fetch_room_moves(&fs->fetcher->room, clock_monotonic(fs->clock)))
            return false;
        fetch_room_wait(&fs->fetcher->room, wait);
    }
    watch_work(fs);
    return true;
}

bool fetch_tick(struct fs *fs) {
    if (!fs->fetcher)
        return false;
    struct fetch_wait *due;
    bool left;
    {
        LOCK_SCOPE(&fs->fetcher->lock);
        due = fetch_room_tick(&fs->fetcher->room, clock_monotonic(fs->clock));
        left = fs->fetcher->room.head != NULL;
    }
    run_waits(due);
    return left;
}

bool fetch_unwait(struct fs *fs, struct fetch_wait *wait) {
    if (!fs->fetcher)
        return false;
    LOCK_SCOPE(&fs->fetcher->lock);
    if (!wait->linked)
        return false;
    if (!wait->fetch) {
        fetch_room_leave(&fs->fetcher->room, wait);
        return true;
    }
    struct fetch_wait **at = &wait->fetch->waits;
    while (*at != wait)
        at = &(*at)->next;
    *at = wait->next;
    wait->linked = false;
    wait->fetch = NULL;
    return true;
}

// ---- life

int fetcher_new(struct fs *fs, uint64_t memory_limit, struct fetcher **ret, struct err *err) {
    struct fetcher *fetcher = mem_zalloc(sizeof *fetcher);
    if (!fetcher)
        return err_set(err, -ENOMEM, "out of memory");
    fetcher->fs = fs;
    fetcher->memory_limit = memory_limit;
    (void)pthread_mutex_init(&fetcher->lock, NULL);
    int r = workq_new("store", STORERS, &fetcher->storers, err);
    if (r < 0) {
        free(fetcher);
        return r;
    }
    *ret = fetcher;
    return 0;
}

static void drop_queued(struct fetcher *fetcher) {
    for (int p = 0; p < FETCH_PRIORITY_COUNT; p++) {
        struct fetch *f;
        while ((f = fetcher->queues[p].head)) {
            fetcher->queues[p].head = f->queued;
            f->result = -ECANCELED;
            give_up_storing(f);
            finish(f);
        }
    }
}

struct fetcher *fetcher_free(struct fetcher *fetcher) {
    if (!fetcher)
        return NULL;
    struct timespec pause = {.tv_nsec = 10 * NS_PER_MS};
    for (unsigned i = 0; i < STORE_WAIT && workq_pending(fetcher->storers) > 0; i++)
        (void)nanosleep(&pause,
                        NULL); // once, at the end of the process: what has arrived should not have to come again
    workq_stop(fetcher->storers);
    drop_queued(fetcher);
    (void)workq_free(fetcher->storers);
    (void)pthread_mutex_destroy(&fetcher->lock);
    free(fetcher);
    return NULL;
}
