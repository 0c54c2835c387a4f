// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/walk.h"

#include <errno.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"

#define RESTARTS_MAX 64 // of one directory, which never stops changing

struct pending { // a directory that is not read to its end
    struct nfs_fh fh;
    uint64_t cookie;
    uint8_t verifier[8];
    unsigned restarts;
    bool read; // to its end
};

struct walk {
    struct nfs_share *share;
    const struct nfs_cred *cred;
    struct bell *bell;
    struct pending *stack; // the top is read next; the page in `call` is of stack[current]
    size_t count, cap, current;
    bool calling, answered; // answered: under the bell's lock
    bool has_page;
    size_t index;    // in the page
    uint64_t before; // cookie that leads to the entry at `index`
    int64_t asked_ns;
    unsigned failures;
    int error;
    struct nfs_call call;   // READDIR
    struct nfs_call lookup; // of an entry that came without its handle or attributes
    bool looking;
};

void bell_ring(struct bell *bell, bool *flag) {
    LOCK_SCOPE(bell->lock);
    *flag = true;
    bell->rung = true;
    (void)pthread_cond_signal(&bell->cond);
}

static void answered(struct nfs_call *call) {
    struct walk *walk = call->arg;
    bell_ring(walk->bell, &walk->answered);
}

static void submit(struct walk *walk, struct nfs_call *call) {
    call->cred = walk->cred;
    call->done = answered;
    call->arg = walk;
    call->want_attr = true;
    walk->calling = true;
    walk->answered = false;
    walk->asked_ns = clock_monotonic(&clock_system);
    nfs_submit(walk->share, call);
}

static void fail(struct walk *walk, int error) {
    walk->failures++;
    walk->error = error;
}

static bool push(struct walk *walk, const struct nfs_fh *fh) {
    if (walk->count == walk->cap) {
        size_t cap = walk->cap ? walk->cap * 2 : 64;
        struct pending *grown = cap > WALK_STACK_MAX ? NULL : mem_realloc(walk->stack, cap, sizeof *grown);
        if (!grown)
            return false;
        walk->stack = grown;
        walk->cap = cap;
    }
    walk->stack[walk->count++] = (struct pending){.fh = *fh};
    return true;
}

static void drop_page(struct walk *walk) {
    free(walk->call.entries);
    walk->call.entries = NULL;
    walk->has_page = false;
}

static void read_page(struct walk *walk) {
    const struct pending *dir = &walk->stack[walk->count - 1];
    walk->current = walk->count - 1;
    walk->call = (struct nfs_call){.op = NFS_READDIR, .fh = dir->fh, .cookie = dir->cookie};
    memcpy(walk->call.verifier, dir->verifier, sizeof dir->verifier);
    submit(walk, &walk->call);
}

// As in dir.c: the cookies ended with a change (-EBADE), or nfs-ganesha took a removed entry for the directory (-ENOENT).
static bool restart(struct pending *dir, int reason) {
    if (reason != -ENOENT && (reason != -EBADE || dir->cookie == 0))
        return false;
    if (dir->restarts++ == RESTARTS_MAX)
        return false;
    dir->cookie = 0;
    memset(dir->verifier, 0, sizeof dir->verifier);
    return true;
}

static void take_page(struct walk *walk) {
    struct nfs_call *call = &walk->call;
    struct pending *dir = &walk->stack[walk->current];
    if (call->result < 0) {
        drop_page(walk);
        if (restart(dir, call->result))
            return;
        dir->read = true;
        if (call->result != -ESTALE)
            fail(walk, call->result);
        return;
    }
    walk->before = dir->cookie;
    dir->read = call->eof || call->entry_count == 0;
    dir->cookie = call->cookie;
    memcpy(dir->verifier, call->verifier, sizeof dir->verifier);
    walk->has_page = true;
    walk->index = 0;
}

// Servers may leave out handles and attributes.
static void look_up(struct walk *walk, const struct nfs_dirent *entry) {
    walk->looking = true;
    walk->lookup = (struct nfs_call){.op = NFS_GETATTR, .fh = entry->fh};
    if (!entry->has_fh)
        walk->lookup = (struct nfs_call){.op = NFS_LOOKUP, .fh = walk->stack[walk->current].fh, .name = entry->name};
    submit(walk, &walk->lookup);
}

static void take_lookup(struct walk *walk, struct nfs_dirent *entry) {
    const struct nfs_call *call = &walk->lookup;
    int r = call->result == 0 && call->op == NFS_GETATTR && !call->has_attr ? -EBADMSG : call->result;
    walk->looking = false;
    if (r < 0) {
        if (r != -ENOENT && r != -ESTALE) // gone meanwhile
            fail(walk, r);
        walk->before = entry->cookie;
        walk->index++;
        return;
    }
    if (call->op == NFS_LOOKUP)
        entry->fh = call->out_fh;
    entry->has_fh = true;
    entry->has_attr = call->has_attr;
    entry->attr = call->attr;
}

// No room for a directory: the page is read once more from here, when what lies above it is done.
static void come_back(struct walk *walk) {
    struct pending *page = &walk->stack[walk->current];
    if (walk->count - 1 == walk->current) { // nothing lies above it
        fail(walk, -EMLINK);
        walk->before = walk->call.entries[walk->index++].cookie;
        return;
    }
    page->cookie = walk->before;
    page->read = false;
    drop_page(walk);
}

// The next file of the page; false at its end, or when something has to come first.
static bool next_of_page(struct walk *walk, struct walk_file *ret) {
    while (walk->has_page && walk->index < walk->call.entry_count) {
        struct nfs_dirent *entry = &walk->call.entries[walk->index];
        if (!entry->has_fh || !entry->has_attr) {
            look_up(walk, entry);
            return false;
        }
        if (S_ISDIR(entry->attr.mode) && !push(walk, &entry->fh)) {
            come_back(walk);
            continue;
        }
        walk->before = entry->cookie;
        walk->index++;
        if (!S_ISREG(entry->attr.mode))
            continue;
        *ret =
            (struct walk_file){.fh = entry->fh, .attr = entry->attr, .asked_ns = walk->asked_ns, .name = entry->name};
        return true;
    }
    drop_page(walk);
    return false;
}

static bool take_answer(struct walk *walk) {
    {
        LOCK_SCOPE(walk->bell->lock);
        if (!walk->answered)
            return false;
    }
    walk->calling = false;
    if (walk->looking)
        take_lookup(walk, &walk->call.entries[walk->index]);
    else
        take_page(walk);
    return true;
}

enum walk_result walk_next(struct walk *walk, struct walk_file *ret) {
    for (;;) {
        if (walk->calling && !take_answer(walk))
            return WALK_WAIT;
        if (walk->has_page) {
            if (next_of_page(walk, ret))
                return WALK_FILE;
            continue;
        }
        while (walk->count && walk->stack[walk->count - 1].read)
            walk->count--;
        if (walk->count == 0)
            return WALK_END;
        read_page(walk);
    }
}

unsigned walk_failures(const struct walk *walk, int *ret_error) {
    *ret_error = walk->error;
    return walk->failures;
}

int walk_new(struct nfs_share *share, const struct nfs_cred *cred, struct bell *bell, const struct nfs_fh *dir,
             struct walk **ret) {
    struct walk *walk cleanup(walk_freep) = mem_zalloc(sizeof *walk);
    if (!walk)
        return -ENOMEM;
    *walk = (struct walk){.share = share, .cred = cred, .bell = bell};
    if (!push(walk, dir))
        return -ENOMEM;
    *ret = take_ptr(walk);
    return 0;
}

struct walk *walk_free(struct walk *walk) {
    if (!walk)
        return NULL;
    if (walk->calling)
        nfs_cancel(walk->share, walk->looking ? &walk->lookup : &walk->call);
    free(walk->call.entries);
    free(walk->stack);
    free(walk);
    return NULL;
}
