// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "node-plugin/local/local.h"

static int take_record(const struct local_record *record, void *arg) {
    struct local *local = arg;
    struct local_record *copy = mem_alloc(sizeof *copy);
    if (!copy)
        return -ENOMEM;
    *copy = *record;
    LOCK_SCOPE(&local->lock);
    free(strmap_remove(&local->records, record->id));
    int r = strmap_put(&local->records, record->id, copy);
    if (r < 0)
        free(copy);
    return r;
}

int local_new(const struct local_options *options, struct local **ret, struct err *err) {
    struct local *local cleanup(local_freep) = mem_zalloc(sizeof *local);
    if (!local)
        return err_set(err, -ENOMEM, "out of memory");
    (void)pthread_mutex_init(&local->lock, NULL);
    local->node_id = options->node_id;
    local->max_volumes = options->max_volumes;
    local->inline_pools = options->inline_pools;
    local->pools = mem_array(options->pools->count, sizeof(void *));
    local->reserved = mem_array(options->pools->count, sizeof(int64_t));
    int r = local->pools && local->reserved ? copies_new(&local->copies, err) : err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; r == 0 && i < options->pools->count; i++) {
        struct local_pool *pool = NULL;
        r = local_pool_parse(options->pools->items[i], options->state_dir, &pool, err);
        if (r == 0 && local_pool_named(local, pool->name))
            r = err_set(err, -EINVAL, "pool '%s' is given twice; pools need different names", pool->name);
        if (r < 0) {
            (void)local_pool_free(pool);
            return r;
        }
        local->pools[local->pool_count++] = pool;
        local_pool_open(pool, take_record, local);
        if (local_pool_ready(pool, NULL) == 0 && pool->allocation->recover)
            pool->allocation->recover(pool);
    }
    if (r < 0)
        return r;
    local_inline_sweep(local);
    *ret = take_ptr(local);
    return 0;
}

struct local *local_free(struct local *local) {
    if (!local)
        return NULL;
    local->copies = copies_free(local->copies);
    const struct strmap_slot *slot = NULL;
    for (size_t i = 0; (slot = strmap_next(&local->records, &i));)
        free(slot->value);
    strmap_done(&local->records);
    for (size_t i = 0; i < local->pool_count; i++)
        (void)local_pool_free(local->pools[i]);
    free(local->pools);
    free(local->reserved);
    (void)pthread_mutex_destroy(&local->lock);
    free(local);
    return NULL;
}

// ---- records ----

bool local_find(struct local *local, const char *id, struct local_record *ret) {
    LOCK_SCOPE(&local->lock);
    const struct local_record *record = strmap_get(&local->records, id);
    if (record && ret)
        *ret = *record;
    return record != NULL;
}

// What is in a pool that cannot be used, or in a record that cannot be read, is not gone: whoever is told so forgets it.
static int refuse_unknown(struct local *local, const char *id, struct err *err) {
    struct local_pool *pool = NULL;
    if (local_find(local, id, NULL))
        return 0; // of another kind
    int r = local_pool_for(local, id, &pool, err);
    if (r == 0 && local_pool_has_record(pool, id))
        r = err_set(err, -EUCLEAN, "the record of '%.60s' in pool '%s' cannot be used; this node's log tells why", id,
                    pool->name);
    return r == -ENOENT ? 0 : r;
}

int local_get(struct local *local, const char *id, enum local_kind kind, struct local_record *ret, struct err *err) {
    const char *what = kind == LOCAL_VOLUME ? "volume" : kind == LOCAL_SNAPSHOT ? "snapshot" : "group snapshot";
    if (local_find(local, id, ret) && ret->kind == kind)
        return 0;
    int r = refuse_unknown(local, id, err);
    if (r < 0)
        return r;
    return err_set(err, -ENOENT, "%s '%.60s' is not on node '%.60s'", what, id, local->node_id);
}

int local_save(struct local *local, const struct local_record *record, struct err *err) {
    struct local_pool *pool = NULL;
    int r = local_pool_for(local, record->id, &pool, err);
    if (r == 0)
        r = local_pool_save(pool, record, err);
    if (r < 0)
        return r;
    r = take_record(record, local);
    return r < 0 ? err_set(err, r, "out of memory") : 0;
}

int local_forget(struct local *local, const char *id, struct err *err) {
    struct local_pool *pool = NULL;
    int r = local_pool_for(local, id, &pool, err);
    if (r == 0)
        r = local_pool_forget(pool, id, err);
    if (r < 0)
        return r;
    LOCK_SCOPE(&local->lock);
    free(strmap_remove(&local->records, id));
    return 0;
}

static int by_id(const void *a, const void *b) {
    return strcmp(((const struct local_record *)a)->id, ((const struct local_record *)b)->id);
}

int local_list(struct local *local, enum local_kind kind, const char *after, struct local_record **ret,
               size_t *ret_count, struct err *err) {
    LOCK_SCOPE(&local->lock);
    struct local_record *list = mem_array(local->records.len + 1, sizeof *list);
    const struct strmap_slot *slot = NULL;
    if (!list)
        return err_set(err, -ENOMEM, "out of memory");
    *ret_count = 0;
    for (size_t i = 0; (slot = strmap_next(&local->records, &i));) {
        const struct local_record *record = slot->value;
        if (record->kind == kind && (!after || strcmp(record->id, after) > 0))
            list[(*ret_count)++] = *record;
    }
    qsort(list, *ret_count, sizeof *list, by_id);
    *ret = list;
    return 0;
}

// ---- pools ----

struct local_pool *local_pool_named(const struct local *local, const char *name) {
    for (size_t i = 0; i < local->pool_count; i++)
        if (str_eq(local->pools[i]->name, name))
            return local->pools[i];
    return NULL;
}

int local_pool_for(struct local *local, const char *id, struct local_pool **ret, struct err *err) {
    const char *name = local_pool_of(id);
    *ret = name ? local_pool_named(local, name) : NULL;
    if (!*ret)
        return err_set(err, -ENOENT, "'%.60s' is in no pool of node '%.60s'", id, local->node_id);
    return local_pool_ready(*ret, err);
}

// What volumes of the pool may still need beyond what they have. Blocks that are shared with a snapshot or a clone are
// written anew when they change, so such a volume may need all of its size again. With the lock held.
static int64_t promised(struct local *local, const struct local_pool *pool) {
    int64_t sum = 0;
    const struct strmap_slot *slot = NULL;
    for (size_t i = 0; (slot = strmap_next(&local->records, &i));) {
        const struct local_record *record = slot->value;
        if (record->kind != LOCAL_VOLUME || !str_eq(local_pool_of(record->id), pool->name))
            continue;
        bool shared = pool->reflink && record->source != CONTENT_EMPTY;
        const struct strmap_slot *other = NULL;
        for (size_t k = 0; pool->reflink && !shared && (other = strmap_next(&local->records, &k));)
            shared = str_eq(((const struct local_record *)other->value)->source_id, record->id);
        int64_t has = shared ? 0 : pool->allocation->allocated(pool, record->id);
        sum += record->bytes > has ? record->bytes - has : 0;
    }
    for (size_t i = 0; i < local->pool_count; i++)
        sum += local->pools[i] == pool ? local->reserved[i] : 0;
    return sum;
}

static int room_locked(struct local *local, const struct local_pool *pool, int64_t *ret_bytes, struct err *err) {
    struct local_space space;
    int r = local_pool_space(pool, &space, err);
    if (r < 0)
        return r;
    int64_t room = space.available - promised(local, pool);
    *ret_bytes = room > 0 ? room - room % LOCAL_BYTES_UNIT : 0;
    return 0;
}

int local_room(struct local *local, const struct local_pool *pool, int64_t *ret_bytes, int64_t *ret_largest,
               struct err *err) {
    if (pool->allocation->room)
        return pool->allocation->room(pool, ret_bytes, ret_largest, err);
    LOCK_SCOPE(&local->lock);
    int r = room_locked(local, pool, ret_bytes, err);
    *ret_largest = *ret_bytes;
    return r;
}

static void add_reserved(struct local *local, const struct local_pool *pool, int64_t bytes) {
    for (size_t i = 0; i < local->pool_count; i++)
        if (local->pools[i] == pool)
            local->reserved[i] += bytes;
}

int local_reserve(struct local *local, const struct local_pool *pool, int64_t bytes, struct err *err) {
    if (pool->allocation->room) // it finds a place when the data is made
        return 0;
    LOCK_SCOPE(&local->lock);
    int64_t room = 0;
    int r = room_locked(local, pool, &room, err);
    if (r == 0 && bytes > room)
        r = err_set(err, -ENOSPC,
                    "pool '%s' of node '%.60s' has room for %" PRId64 " MiB that nobody was promised; %" PRId64
                    " MiB are asked for",
                    pool->name, local->node_id, room >> 20, bytes >> 20);
    if (r == 0)
        add_reserved(local, pool, bytes);
    return r;
}

void local_release(struct local *local, const struct local_pool *pool, int64_t bytes) {
    if (pool->allocation->room)
        return;
    LOCK_SCOPE(&local->lock);
    add_reserved(local, pool, -bytes);
}

int local_id(const struct local *local, enum local_kind kind, const char *name, const struct local_pool *pool,
             char ret[static CSI_ID_MAX + 1], struct err *err) {
    char key[HASH_ID_LEN + 1];
    char *text cleanup_free = mem_printf("%c/%s/%s", kind, local->node_id, name); // a node's name holds no '/'
    if (!text)
        return err_set(err, -ENOMEM, "out of memory");
    hash_id(text, strlen(text), key);
    (void)snprintf(ret, CSI_ID_MAX + 1, "%c-%s@%s", kind, key, pool->name);
    return 0;
}
