// SPDX-License-Identifier: Apache-2.0
#include "controller/store_cache.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/mem.h"

// FNV-1a: handles differ in a few bytes of inode number and generation.
static uint64_t digest(const struct nfs_fh *fh) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < fh->len; i++)
        hash = (hash ^ fh->data[i]) * UINT64_C(0x100000001b3);
    return hash;
}

bool cache_matches(const struct cached *entry, const struct nfs_fh *fh, const struct nfs_attr *attr) {
    return entry && entry->fileid == attr->fileid && entry->handle == digest(fh) &&
           entry->size == (uint32_t)attr->size && entry->mtime.tv_sec == attr->mtime.tv_sec &&
           entry->mtime.tv_nsec == attr->mtime.tv_nsec;
}

int cache_put(struct cache *cache, const char *key, const struct nfs_fh *fh, const struct nfs_attr *attr,
              const void *text, size_t len) {
    struct cached *entry = mem_alloc(sizeof *entry + len);
    if (!entry)
        return -ENOMEM;
    *entry = (struct cached){.fileid = attr->fileid,
                             .handle = digest(fh),
                             .mtime = attr->mtime,
                             .size = (uint32_t)attr->size,
                             .len = (uint32_t)len,
                             .seen = cache->listing};
    if (len)
        (void)memcpy(entry->text, text, len);
    struct cached *old = strmap_get(&cache->entries, key);
    int r = strmap_put(&cache->entries, key, entry);
    free(r < 0 ? entry : old);
    return r;
}

void cache_drop(struct cache *cache, const char *key) {
    free(strmap_remove(&cache->entries, key));
}

void cache_prune(struct cache *cache, uint32_t listing) {
    const struct strmap_slot *slot;
    for (size_t i = 0; (slot = strmap_next(&cache->entries, &i));) {
        if (((const struct cached *)slot->value)->seen >= listing)
            continue;
        char key[HASH_ID_LEN + 1]; // the map frees its own while it removes
        (void)snprintf(key, sizeof key, "%s", slot->key);
        cache_drop(cache, key);
        i--; // what moved into the gap is looked at next; what wrapped around the table's end is met by the next
             // listing
    }
}

void cache_done(struct cache *cache) {
    const struct strmap_slot *slot;
    for (size_t i = 0; (slot = strmap_next(&cache->entries, &i));)
        free(slot->value);
    strmap_done(&cache->entries);
}
