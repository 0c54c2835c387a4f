// SPDX-License-Identifier: Apache-2.0
// Listing: the cache is brought up to date with READDIRPLUS, files that changed are read many at a time.
#include <errno.h>
#include <string.h>

#include "controller/directory.h"
#include "controller/store_private.h"
#include "lib/base/mem.h"

#define READS_AT_ONCE 32
#define SETTLED_NS (2 * NS_PER_S)

struct listing {
    struct share *share;
    enum shared_kind kind;
    int64_t deadline_ns;
    uint32_t number;
    struct store_key *keys;
    size_t count, cap;
};

struct batch { // reads in flight
    pthread_mutex_t lock;
    pthread_cond_t done;
    size_t pending;
};

struct reading {
    struct nfs_call call;
    const struct nfs_dirent *entry;
    struct store_key key;
    char *text;
};

static void listing_done(struct listing *listing) {
    free(listing->keys);
}

static bool same_time(const struct timespec *a, const struct timespec *b) {
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

// "<key>.json"? Other names are not ours.
static bool entry_key(const char *name, struct store_key *ret) {
    if (strlen(name) != STORE_NAME_SIZE - 1 || strcmp(name + HASH_ID_LEN, ".json") != 0)
        return false;
    (void)memcpy(ret->text, name, HASH_ID_LEN);
    ret->text[HASH_ID_LEN] = '\0';
    return hash_is_id(ret->text);
}

static int add_key(struct listing *listing, const struct store_key *key) {
    if (listing->count == listing->cap) {
        size_t cap = listing->cap ? listing->cap * 2 : 256;
        struct store_key *grown = mem_realloc(listing->keys, cap, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        listing->keys = grown;
        listing->cap = cap;
    }
    listing->keys[listing->count++] = *key;
    return 0;
}

// True when the cached text is this file's; it is then marked as met.
static bool is_cached(struct listing *listing, const char *key, const struct nfs_dirent *file) {
    LOCK_SCOPE(&listing->share->store->lock);
    struct cached *entry = strmap_get(&store_cache(listing->share, listing->kind)->entries, key);
    if (!cache_matches(entry, &file->fh, &file->attr))
        return false;
    if (entry->seen < listing->number)
        entry->seen = listing->number;
    return true;
}

static void read_done(struct nfs_call *call) {
    struct batch *batch = call->arg;
    LOCK_SCOPE(&batch->lock);
    if (--batch->pending == 0)
        (void)pthread_cond_signal(&batch->done);
}

static int keep(struct listing *listing, const struct reading *reading, const char *text, size_t len) {
    LOCK_SCOPE(&listing->share->store->lock);
    return cache_put(store_cache(listing->share, listing->kind), reading->key.text, &reading->entry->fh,
                     &reading->entry->attr, text, len);
}

// What one read brought. A file that was replaced meanwhile keeps its place in the list and is read again at the end.
static int settle(struct listing *listing, struct reading *reading, struct err *err) {
    int r = reading->call.result;
    if (r == -ENOENT || r == -ESTALE)
        return add_key(listing, &reading->key) < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
    if (r == -ETIMEDOUT)
        return err_set(err, -EHOSTUNREACH, "NFS server %s does not answer while records are read",
                       listing->share->text);
    if (r < 0)
        return err_set(err, r, "cannot read records on %s: %s", listing->share->text, err_name(r));
    size_t len = reading->call.count;
    if (len < reading->entry->attr.size) { // the server's reads are smaller
        char *text cleanup_free = NULL;
        r = store_read_file(listing->share, &reading->entry->fh, reading->entry->attr.size, listing->deadline_ns, &text,
                            &len, err);
        if (r < 0 && r != -ESTALE)
            return r;
        r = r == 0 ? keep(listing, reading, text, len) : 0;
    } else {
        r = keep(listing, reading, reading->text, len);
    }
    if (r == 0)
        r = add_key(listing, &reading->key);
    return r < 0 ? err_set(err, r, "out of memory") : 0;
}

static int read_batch(struct listing *listing, struct reading *readings, size_t count, struct err *err) {
    struct batch batch = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, count};
    for (size_t i = 0; i < count; i++) {
        readings[i].call.arg = &batch;
        nfs_submit(listing->share->nfs, &readings[i].call);
    }
    (void)pthread_mutex_lock(&batch.lock);
    while (batch.pending)
        (void)pthread_cond_wait(&batch.done, &batch.lock); // each call has its deadline
    (void)pthread_mutex_unlock(&batch.lock);
    int r = 0;
    for (size_t i = 0; i < count; i++) {
        if (r == 0)
            r = settle(listing, &readings[i], err);
        free(readings[i].text);
    }
    return r;
}

static int prepare(struct listing *listing, const struct nfs_dirent *entry, const struct store_key *key,
                   struct reading *ret) {
    uint64_t size = entry->attr.size;
    *ret = (struct reading){.entry = entry, .key = *key, .text = mem_alloc(size ? size : 1)};
    ret->call = (struct nfs_call){.op = NFS_READ,
                                  .fh = entry->fh,
                                  .data = ret->text,
                                  .count = (uint32_t)size,
                                  .deadline_ns = listing->deadline_ns,
                                  .done = read_done};
    return ret->text ? 0 : -ENOMEM;
}

// An entry without attributes or handle (servers may leave them out) is looked up.
static int complete_entry(struct listing *listing, const struct nfs_call *page, struct nfs_dirent *entry,
                          struct err *err) {
    if (entry->has_attr && entry->has_fh)
        return 0;
    struct nfs_call look = {.op = NFS_LOOKUP, .fh = page->fh, .name = entry->name, .deadline_ns = listing->deadline_ns};
    int r = share_call(listing->share, &look, "look up a record in .stowage", err);
    entry->attr = look.attr;
    entry->fh = look.out_fh;
    return r;
}

// A page may hold as many as the server likes; those to be read go in batches.
static int take_page(struct listing *listing, const struct nfs_call *page, struct err *err) {
    struct reading readings[READS_AT_ONCE];
    size_t count = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < page->entry_count; i++) {
        struct nfs_dirent *entry = &page->entries[i];
        struct store_key key;
        if (!entry_key(entry->name, &key))
            continue;
        r = complete_entry(listing, page, entry, err);
        if (r == -ENOENT) {
            r = 0;
            continue;
        }
        if (r == 0 && is_cached(listing, key.text, entry))
            r = add_key(listing, &key);
        else if (r == 0 && (entry->attr.size == 0 || entry->attr.size > RECORD_SIZE_MAX))
            r = keep(listing, &(struct reading){.entry = entry, .key = key}, NULL, 0) < 0 ? -ENOMEM
                                                                                          : add_key(listing, &key);
        else if (r == 0 && (r = prepare(listing, entry, &key, &readings[count])) == 0)
            count++;
        if (r == 0 && count == READS_AT_ONCE) {
            r = read_batch(listing, readings, count, err);
            count = 0;
        }
    }
    if (r == 0)
        return count ? read_batch(listing, readings, count, err) : 0;
    for (size_t i = 0; i < count; i++)
        free(readings[i].text);
    return r == -ENOMEM ? err_set(err, r, "out of memory") : r;
}

static int read_directory(struct listing *listing, struct err *err) {
    struct directory records cleanup(directory_done) = {0};
    directory_init(&records, listing->share, &listing->share->dirs[store_dir(listing->kind)],
                   "list records in .stowage", listing->deadline_ns);
    records.page.want_attr = true;
    int r;
    while ((r = directory_next(&records, err)) == 1) {
        r = take_page(listing, &records.page, err);
        if (r < 0)
            break;
    }
    return r == -ENOENT ? err_set(err, -EAGAIN, ".stowage on %s changed; try again", listing->share->text) : r;
}

static int cached_keys(struct listing *listing) {
    LOCK_SCOPE(&listing->share->store->lock);
    const struct strmap_slot *slot;
    struct cache *cache = store_cache(listing->share, listing->kind);
    for (size_t i = 0; (slot = strmap_next(&cache->entries, &i));) {
        struct store_key key;
        (void)memcpy(key.text, slot->key, sizeof key.text);
        if (add_key(listing, &key) < 0)
            return -ENOMEM;
    }
    return 0;
}

// True when the last complete listing still holds. Otherwise *ret_settled tells whether the one to come will hold.
static bool begin(struct listing *listing, const struct timespec *mtime, bool *ret_settled) {
    LOCK_SCOPE(&listing->share->store->lock);
    struct cache *cache = store_cache(listing->share, listing->kind);
    int64_t now = clock_monotonic(listing->share->clock);
    if (cache->has_complete && same_time(&cache->complete, mtime))
        return true;
    if (!same_time(&cache->first_seen, mtime)) {
        cache->first_seen = *mtime;
        cache->first_seen_ns = now;
    }
    *ret_settled = now - cache->first_seen_ns >= SETTLED_NS;
    cache->has_complete = false;
    listing->number = ++cache->listing;
    return false;
}

static void finish(struct listing *listing, const struct timespec *mtime, bool settled) {
    LOCK_SCOPE(&listing->share->store->lock);
    struct cache *cache = store_cache(listing->share, listing->kind);
    cache_prune(cache, listing->number);
    if (settled) {
        cache->complete = *mtime;
        cache->has_complete = true;
    }
}

static int compare_keys(const void *a, const void *b) {
    return memcmp(a, b, sizeof(struct store_key));
}

static int refresh(struct listing *listing, struct err *err) {
    struct nfs_call look = {
        .op = NFS_GETATTR, .fh = listing->share->dirs[store_dir(listing->kind)], .deadline_ns = listing->deadline_ns};
    int r = share_call(listing->share, &look, "list records in .stowage", err);
    bool settled = false;
    if (r < 0)
        return r;
    if (begin(listing, &look.attr.mtime, &settled)) {
        r = cached_keys(listing) < 0 ? err_set(err, -ENOMEM, "out of memory") : 0;
    } else {
        r = read_directory(listing, err);
        if (r == 0)
            finish(listing, &look.attr.mtime, settled);
    }
    if (r == 0 && listing->count)
        qsort(listing->keys, listing->count, sizeof *listing->keys, compare_keys);
    return r;
}

int store_refresh(struct share *share, enum shared_kind kind, int64_t deadline_ns, struct store_key **ret,
                  size_t *ret_count, struct err *err) {
    struct listing listing cleanup(listing_done) = {.share = share, .kind = kind, .deadline_ns = deadline_ns};
    int r = refresh(&listing, err);
    if (r < 0)
        return r;
    size_t kept = 0; // a listing that began again, or a server that names an entry twice while the directory changes
    for (size_t i = 0; i < listing.count; i++)
        if (i == 0 || compare_keys(&listing.keys[i], &listing.keys[i - 1]) != 0)
            listing.keys[kept++] = listing.keys[i];
    *ret_count = kept;
    *ret = take_ptr(listing.keys);
    return 0;
}

int store_peek(struct share *share, enum shared_kind kind, const char *key, int64_t deadline_ns, struct record **ret,
               struct err *err) {
    char where[256];
    store_where(share, kind, key, where, sizeof where);
    {
        LOCK_SCOPE(&share->store->lock);
        const struct cached *entry = strmap_get(&store_cache(share, kind)->entries, key);
        if (entry)
            return record_decode(entry->text, entry->len, kind, key, where, ret, err);
    }
    return store_get(share, kind, key, deadline_ns, ret, err); // replaced just now
}

int store_list(struct share *share, enum shared_kind kind, const char *after, int64_t deadline_ns, store_emit_fn emit,
               void *arg, struct err *err) {
    struct store_key *keys cleanup_free = NULL;
    size_t count = 0;
    int r = store_refresh(share, kind, deadline_ns, &keys, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        struct record *record cleanup(record_freep) = NULL;
        struct err damage = ERR_NONE;
        if (after && strcmp(keys[i].text, after) <= 0)
            continue;
        int d = store_peek(share, kind, keys[i].text, deadline_ns, &record, &damage);
        if (d < 0 && d != -ENOENT && d != -EBADMSG && d != -EPROTO)
            return err_set(err, d, "%s", err_text(&damage));
        if (d != -ENOENT) // removed while the list was handed out
            r = emit(arg, keys[i].text, record, &damage);
    }
    return r;
}
