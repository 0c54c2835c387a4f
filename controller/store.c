// SPDX-License-Identifier: Apache-2.0
#include "controller/store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controller/layout.h"
#include "controller/lock.h"
#include "controller/store_private.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

struct store *store_new(void) {
    struct store *store = mem_zalloc(sizeof *store);
    if (store)
        (void)pthread_mutex_init(&store->lock, NULL);
    return store;
}

struct store *store_free(struct store *store) {
    if (!store)
        return NULL;
    for (int i = 0; i < STORE_KINDS; i++)
        cache_done(&store->caches[i]);
    strmap_done(&store->marks);
    (void)pthread_mutex_destroy(&store->lock);
    free(store);
    return NULL;
}

enum share_dir store_dir(enum shared_kind kind) {
    return kind == SHARED_VOLUME ? SHARE_DIR_VOLUMES : kind == SHARED_SNAPSHOT ? SHARE_DIR_SNAPSHOTS : SHARE_DIR_GROUPS;
}

struct cache *store_cache(struct share *share, enum shared_kind kind) {
    return &share->store->caches[kind == SHARED_VOLUME ? 0 : kind == SHARED_SNAPSHOT ? 1 : 2];
}

size_t store_count(struct share *share, enum shared_kind kind) {
    LOCK_SCOPE(&share->store->lock);
    return store_cache(share, kind)->entries.len;
}

void store_file_name(const char *key, char ret[static STORE_NAME_SIZE]) {
    (void)snprintf(ret, STORE_NAME_SIZE, "%.26s.json", key);
}

void store_where(struct share *share, enum shared_kind kind, const char *key, char *buf, size_t size) {
    (void)snprintf(buf, size, "%s/%s/%s.json on %s", SHARE_LAYOUT_NAME, layout_dir_names[store_dir(kind)], key,
                   share->text);
}

// ---- reading ------------------------------------------------------------------------------------------------

int store_read_file(struct share *share, const struct nfs_fh *fh, uint64_t size, int64_t deadline_ns, char **ret,
                    size_t *ret_len, struct err *err) {
    *ret_len = 0;
    *ret = mem_alloc(size && size <= RECORD_SIZE_MAX ? size : 1);
    if (!*ret)
        return err_set(err, -ENOMEM, "out of memory");
    while (size <= RECORD_SIZE_MAX && *ret_len < size) {
        struct nfs_call read = {.op = NFS_READ,
                                .fh = *fh,
                                .data = *ret + *ret_len,
                                .count = (uint32_t)(size - *ret_len),
                                .offset = *ret_len,
                                .deadline_ns = deadline_ns};
        int r = share_call(share, &read, "read a record in .stowage", err);
        if (r < 0) {
            free(take_ptr(*ret));
            return r;
        }
        if (read.count == 0)
            break;
        *ret_len += read.count;
    }
    return 0;
}

// From the cache, when the file is the one that was read before.
static int decode_cached(struct share *share, enum shared_kind kind, const char *key, const struct nfs_call *look,
                         const char *where, struct record **ret, struct err *err) {
    LOCK_SCOPE(&share->store->lock);
    const struct cached *entry = strmap_get(&store_cache(share, kind)->entries, key);
    if (!cache_matches(entry, &look->out_fh, &look->attr))
        return -ENOENT;
    return record_decode(entry->text, entry->len, kind, key, where, ret, err);
}

static void remember(struct share *share, enum shared_kind kind, const char *key, const struct nfs_fh *fh,
                     const struct nfs_attr *attr, const char *text, size_t len) {
    LOCK_SCOPE(&share->store->lock);
    if (cache_put(store_cache(share, kind), key, fh, attr, text, len) < 0) // the next reader reads the file again
        cache_drop(store_cache(share, kind), key);
}

static void forget(struct share *share, enum shared_kind kind, const char *key) {
    LOCK_SCOPE(&share->store->lock);
    cache_drop(store_cache(share, kind), key);
}

int store_get(struct share *share, enum shared_kind kind, const char *key, int64_t deadline_ns, struct record **ret,
              struct err *err) {
    char name[STORE_NAME_SIZE], where[256];
    store_file_name(key, name);
    store_where(share, kind, key, where, sizeof where);
    for (int attempt = 0; attempt < 3; attempt++) {
        struct nfs_call look = {
            .op = NFS_LOOKUP, .fh = share->dirs[store_dir(kind)], .name = name, .deadline_ns = deadline_ns};
        int r = share_call(share, &look, "look up a record in .stowage", err);
        if (r == -ENOENT)
            forget(share, kind, key);
        if (r < 0)
            return r;
        r = decode_cached(share, kind, key, &look, where, ret, err);
        if (r != -ENOENT)
            return r;
        char *text cleanup_free = NULL;
        size_t len;
        r = store_read_file(share, &look.out_fh, look.attr.size, deadline_ns, &text, &len, err);
        if (r == -ESTALE) // replaced between the two calls
            continue;
        if (r < 0)
            return r;
        remember(share, kind, key, &look.out_fh, &look.attr, text, len);
        return record_decode(text, len, kind, key, where, ret, err);
    }
    return err_set(err, -EAGAIN, "%s changes all the time; try again", where);
}

// ---- writing ------------------------------------------------------------------------------------------------

struct draft { // a record's file under its temporary name
    char name[HASH_ID_LEN + 1];
    char *text;
    size_t len;
    struct nfs_fh fh;
    struct nfs_attr attr;
};

static void draft_done(struct draft *draft) {
    free(draft->text);
}

static void draft_remove(struct share *share, const struct draft *draft, int64_t deadline_ns) {
    struct nfs_call drop = {
        .op = NFS_REMOVE, .fh = share->dirs[SHARE_DIR_TMP], .name = draft->name, .deadline_ns = deadline_ns};
    if (share_call(share, &drop, "remove a temporary file", NULL) < 0)
        log_debug("temporary file left", LOG_S("share", share->text), LOG_S("file", draft->name));
}

static int write_text(struct share *share, const struct draft *draft, int64_t deadline_ns, struct err *err) {
    for (size_t done = 0; done < draft->len;) {
        struct nfs_call write = {.op = NFS_WRITE,
                                 .fh = draft->fh,
                                 .offset = done,
                                 .data = draft->text + done,
                                 .count = (uint32_t)(draft->len - done),
                                 .stable = true,
                                 .deadline_ns = deadline_ns};
        int r = share_call(share, &write, "write a record in .stowage", err);
        if (r == 0 && write.count == 0)
            r = err_set(err, -EIO, "the server of %s takes no bytes of a record", share->text);
        if (r < 0)
            return r;
        done += write.count;
    }
    return 0;
}

static int draft_write(struct share *share, const struct record *record, int64_t deadline_ns, struct draft *ret,
                       struct err *err) {
    unsigned char bytes[16];
    clock_random(share->clock, bytes, sizeof bytes);
    hash_encode(bytes, ret->name);
    ret->text = record_encode(record);
    if (!ret->text)
        return err_set(err, -ENOMEM, "out of memory");
    ret->len = strlen(ret->text);
    if (ret->len > RECORD_SIZE_MAX)
        return err_set(err, -EMFILE, "the record of '%.100s' would have %zu bytes; the limit is %d", record->name,
                       ret->len, RECORD_SIZE_MAX);
    struct nfs_call make = {.op = NFS_CREATE,
                            .fh = share->dirs[SHARE_DIR_TMP],
                            .name = ret->name,
                            .exclusive = true,
                            .set = {.mask = NFS_SET_MODE, .mode = 0600},
                            .deadline_ns = deadline_ns};
    int r = share_call(share, &make, "write a record in .stowage", err);
    if (r == -ENOENT)
        atomic_store(&share->stale, true);
    if (r < 0)
        return r == -ENOENT || r == -EEXIST
                   ? err_set(err, -EAGAIN, ".stowage/tmp on %s changed; try again", share->text)
                   : r;
    ret->fh = make.out_fh;
    r = write_text(share, ret, deadline_ns, err);
    if (r < 0)
        draft_remove(share, ret, deadline_ns);
    return r;
}

int store_create(struct share *share, const struct record *record, int64_t deadline_ns, struct err *err) {
    struct draft draft cleanup(draft_done) = {0};
    char name[STORE_NAME_SIZE];
    store_file_name(record->key, name);
    int r = draft_write(share, record, deadline_ns, &draft, err);
    if (r < 0)
        return r;
    struct nfs_call link = {.op = NFS_LINK,
                            .fh = draft.fh,
                            .fh2 = share->dirs[store_dir(record->kind)],
                            .name = name,
                            .deadline_ns = deadline_ns};
    r = share_call(share, &link, "name a record in .stowage", err);
    if (r == 0 && link.has_attr)
        remember(share, record->kind, record->key, &draft.fh, &link.attr, draft.text, draft.len);
    draft_remove(share, &draft, deadline_ns);
    return r;
}

int store_replace(struct share *share, const struct record *record, int64_t deadline_ns, struct err *err) {
    struct draft draft cleanup(draft_done) = {0};
    char name[STORE_NAME_SIZE];
    store_file_name(record->key, name);
    int r = draft_write(share, record, deadline_ns, &draft, err);
    if (r < 0)
        return r;
    struct nfs_call move = {.op = NFS_RENAME,
                            .fh = share->dirs[SHARE_DIR_TMP],
                            .name = draft.name,
                            .fh2 = share->dirs[store_dir(record->kind)],
                            .name2 = name,
                            .deadline_ns = deadline_ns};
    r = share_call(share, &move, "replace a record in .stowage", err);
    forget(share, record->kind, record->key);
    if (r < 0)
        draft_remove(share, &draft, deadline_ns);
    return r;
}

int store_remove(struct share *share, enum shared_kind kind, const char *key, int64_t deadline_ns, struct err *err) {
    char name[STORE_NAME_SIZE];
    store_file_name(key, name);
    struct nfs_call drop = {
        .op = NFS_REMOVE, .fh = share->dirs[store_dir(kind)], .name = name, .deadline_ns = deadline_ns};
    int r = share_call(share, &drop, "remove a record in .stowage", err);
    if (r == 0 || r == -ENOENT)
        forget(share, kind, key);
    return r == -ENOENT ? 0 : r;
}

int store_update(struct share *share, enum shared_kind kind, const char *key, int64_t deadline_ns,
                 store_change_fn change, void *arg, struct err *err) {
    struct lock *lock cleanup(lock_freep) = NULL;
    struct record *record cleanup(record_freep) = NULL;
    char name[HASH_ID_LEN + 3];
    (void)snprintf(name, sizeof name, "%c-%s", (int)kind, key);
    int r = lock_wait(share, name, deadline_ns, &lock, err);
    if (r == 0)
        r = store_get(share, kind, key, deadline_ns, &record, err);
    if (r == 0)
        r = change(record, arg, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (!lock_held(lock))
        return err_set(err, -EAGAIN, "the server of %s answers too slowly to change a record; try again", share->text);
    return store_replace(share, record, deadline_ns, err);
}
