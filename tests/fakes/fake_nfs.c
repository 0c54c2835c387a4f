// SPDX-License-Identifier: Apache-2.0
// The fake's store and shares: a queue and a thread per share.
#include "tests/fakes/fake_nfs.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "tests/fakes/fake_nfs_tree.h"

struct queued {
    struct nfs_call *call;
    struct queued *next;
};

struct fake_share {
    struct nfs_share base;
    struct fake_nfs_store *store;
    struct nfs_info info;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct queued *first, **end;
    struct nfs_call *running;
    bool closing;
};

static void set_verifier(struct fake_nfs_store *store, uint64_t value) {
    memcpy(store->verifier, &value, sizeof value);
}

struct fake_nfs_store *fake_nfs_store_new(void) {
    struct fake_nfs_store *store = mem_zalloc(sizeof *store);
    struct fake_inode *root = NULL;
    if (!store)
        return NULL;
    (void)pthread_mutex_init(&store->lock, NULL);
    store->refs = 1;
    store->page = 64;
    store->limit = UINT64_C(1) << 40;
    store->file_limit = 1000 * 1000;
    set_verifier(store, 1);
    if (fake_inode_new(store, S_IFDIR | 0755, &root) < 0)
        return fake_nfs_store_free(store);
    root->attr.nlink = 2;
    return store;
}

struct fake_nfs_store *fake_nfs_store_free(struct fake_nfs_store *store) {
    if (!store)
        return NULL;
    (void)pthread_mutex_lock(&store->lock);
    bool last = --store->refs == 0;
    (void)pthread_mutex_unlock(&store->lock);
    if (!last)
        return NULL;
    for (size_t i = 0; i < store->inode_count; i++)
        fake_inode_destroy(store->inodes[i]);
    free(store->inodes);
    (void)pthread_mutex_destroy(&store->lock);
    free(store);
    return NULL;
}

void fake_nfs_set_limit(struct fake_nfs_store *store, uint64_t bytes) {
    LOCK_SCOPE(&store->lock);
    store->limit = bytes ? bytes : UINT64_C(1) << 40;
}

void fake_nfs_set_file_limit(struct fake_nfs_store *store, uint64_t files) {
    LOCK_SCOPE(&store->lock);
    store->file_limit = files ? files : 1000 * 1000;
}

void fake_nfs_set_denied(struct fake_nfs_store *store, bool denied) {
    LOCK_SCOPE(&store->lock);
    store->denied = denied;
}

void fake_nfs_set_page(struct fake_nfs_store *store, size_t entries) {
    LOCK_SCOPE(&store->lock);
    store->page = entries ? entries : 64;
}

void fake_nfs_set_confused(struct fake_nfs_store *store, unsigned count) {
    LOCK_SCOPE(&store->lock);
    store->confused = count;
}

void fake_nfs_set_strict_cookies(struct fake_nfs_store *store, bool strict) {
    LOCK_SCOPE(&store->lock);
    store->strict_cookies = strict;
}

void fake_nfs_restart_server(struct fake_nfs_store *store, bool lose) {
    LOCK_SCOPE(&store->lock);
    uint64_t value = 0;
    memcpy(&value, store->verifier, sizeof value);
    set_verifier(store, value + 1);
    for (size_t i = 0; i < store->inode_count; i++) {
        if (lose)
            fake_content_revert(store, store->inodes[i]);
        else
            fake_content_commit(store->inodes[i]);
    }
}

uint64_t fake_nfs_file_count(struct fake_nfs_store *store) {
    LOCK_SCOPE(&store->lock);
    return store->live;
}

static struct nfs_call *pop(struct fake_share *share) {
    struct queued *q = share->first;
    if (!q)
        return NULL;
    struct nfs_call *call = q->call;
    share->first = q->next;
    if (!share->first)
        share->end = &share->first;
    free(q);
    return call;
}

static void run_one(struct fake_share *share, struct nfs_call *call, bool closing) {
    int result = -ECANCELED;
    if (!closing) {
        LOCK_SCOPE(&share->store->lock);
        result = fake_nfs_perform(share->store, call);
    }
    call->result = result;
    call->done(call);
}

static void *share_main(void *arg) {
    struct fake_share *share = arg;
    (void)pthread_mutex_lock(&share->lock);
    for (;;) {
        struct nfs_call *call = pop(share);
        if (!call && share->closing)
            break;
        if (!call) {
            (void)pthread_cond_wait(&share->changed, &share->lock);
            continue;
        }
        share->running = call;
        bool closing = share->closing;
        (void)pthread_mutex_unlock(&share->lock);
        run_one(share, call, closing);
        (void)pthread_mutex_lock(&share->lock);
        share->running = NULL;
        (void)pthread_cond_broadcast(&share->changed);
    }
    (void)pthread_mutex_unlock(&share->lock);
    return NULL;
}

static void fake_submit(struct nfs_share *base, struct nfs_call *call) {
    struct fake_share *share = (struct fake_share *)base;
    struct queued *q = malloc(sizeof *q); // not through mem.h: the test fails the product's allocations, not the fake's
    if (!q)
        abort();
    *q = (struct queued){.call = call};
    nfs_call_reset(call);
    LOCK_SCOPE(&share->lock);
    *share->end = q;
    share->end = &q->next;
    (void)pthread_cond_broadcast(&share->changed);
}

static void fake_cancel(struct nfs_share *base, struct nfs_call *call) {
    struct fake_share *share = (struct fake_share *)base;
    LOCK_SCOPE(&share->lock);
    for (struct queued **at = &share->first; *at; at = &(*at)->next) {
        struct queued *q = *at;
        if (q->call != call)
            continue;
        *at = q->next;
        if (!q->next)
            share->end = at;
        free(q);
        call->result = -ECANCELED;
        return;
    }
    while (share->running == call && !pthread_equal(pthread_self(), share->thread))
        (void)pthread_cond_wait(&share->changed, &share->lock);
}

static const struct nfs_info *fake_info(struct nfs_share *base) {
    return &((struct fake_share *)base)->info;
}

static void fake_close(struct nfs_share *base) {
    struct fake_share *share = (struct fake_share *)base;
    (void)pthread_mutex_lock(&share->lock);
    share->closing = true;
    (void)pthread_cond_broadcast(&share->changed);
    (void)pthread_mutex_unlock(&share->lock);
    (void)pthread_join(share->thread, NULL);
    (void)fake_nfs_store_free(share->store);
    (void)pthread_cond_destroy(&share->changed);
    (void)pthread_mutex_destroy(&share->lock);
    free(share);
}

static void take_root(struct fake_nfs_store *store, struct nfs_fh *ret) {
    LOCK_SCOPE(&store->lock); // other shares make inodes meanwhile
    fake_inode_fh(store->inodes[0], ret);
}

struct nfs_share *fake_nfs_open(struct fake_nfs_store *store) {
    static const struct nfs_backend backend = {fake_submit, fake_cancel, fake_info, fake_close};
    struct fake_share *share = mem_zalloc(sizeof *share);
    if (!share)
        return NULL;
    share->base.backend = &backend;
    share->end = &share->first;
    share->store = store;
    share->info = (struct nfs_info){
        .version = 3, .read_max = NFS_IO_MAX, .write_max = NFS_IO_MAX, .server = "fake", .path = "/fake"};
    take_root(store, &share->info.root);
    (void)pthread_mutex_init(&share->lock, NULL);
    (void)pthread_cond_init(&share->changed, NULL);
    if (pthread_create(&share->thread, NULL, share_main, share) != 0) {
        free(share);
        return NULL;
    }
    LOCK_SCOPE(&store->lock);
    store->refs++;
    return &share->base;
}

struct nfs_share *fake_nfs_new(void) {
    struct fake_nfs_store *store cleanup(fake_nfs_store_freep) = fake_nfs_store_new();
    return store ? fake_nfs_open(store) : NULL;
}
