// SPDX-License-Identifier: Apache-2.0
// What is asked of one file's object from outside: which version, how much, pinned or not; and to give it up.
#include "lib/cache/object.h"

bool cached_is_version(const struct cached *object, const struct cache_version *version) {
    struct cached *o = (struct cached *)object;
    LOCK_SCOPE(&o->lock);
    return record_is_of(&o->record, version);
}

bool cached_is_dropped(const struct cached *object) {
    return atomic_load(&object->dropped);
}

uint64_t cached_bytes(const struct cached *object) {
    struct index_object known = {0};
    if (cached_complete(object))
        return object->size;
    return index_find(object->cache->index, &object->key, &known) ? known.bytes : 0;
}

bool cached_is_pinned(const struct cached *object) {
    struct index_object known = {0};
    return index_find(object->cache->index, &object->key, &known) && known.pinned;
}

int cache_evict_file(struct cache *cache, const void *handle, size_t handle_len, uint64_t *ret_bytes) {
    struct cache_key key = key_of(cache->origin, handle, handle_len);
    return evict_object(cache, &key, ret_bytes);
}
