// SPDX-License-Identifier: Apache-2.0
// Many threads of one process on one cache, with the thread that makes durable in the background.
#include <errno.h>
#include <stdio.h>

#include "lib/cache/object.h"
#include "tests/support/cache_kit.h"
#include "tests/support/cm.h"

static struct cache_kit kit;
static struct cache *cache;
static atomic_uint failures;

static uint64_t size_of(unsigned file) {
    return file % 2 ? 3000 + file : (file % 7) * CACHE_BLOCK + 5;
}

static void check(bool holds) {
    if (!holds)
        (void)atomic_fetch_add(&failures, 1);
}

static void *work(void *arg) {
    uint32_t random = *(const uint32_t *)arg;
    for (unsigned i = 0; i < 600; i++) {
        random = random * 1664525u + 1013904223u;
        unsigned file = random >> 8 & 15, generation = 1 + i / 200;
        char name[16];
        struct cached *object = NULL;
        (void)snprintf(name, sizeof name, "f%u", file);
        int r = cache_kit_get(cache, name, size_of(file), generation, true, &object);
        check(r == 0 || r == -ENOSPC || r == -EBUSY);
        if (r < 0)
            continue;
        uint64_t size = size_of(file), blocks = map_blocks_of(size);
        uint64_t at = (random >> 16) % blocks * CACHE_BLOCK;
        r = cache_kit_store(object, name, generation, at, size - at < CACHE_BLOCK ? size - at : CACHE_BLOCK);
        check(r == 0 || r == -ENOSPC || r == -ESTALE || r == -EBUSY);
        (void)cache_kit_compare(object, name, generation);
        check(cached_next_missing(object, 0) <= size);
        cache_count_open(cache, object, cached_complete(object));
        cache_count_bytes(cache, 1, 1);
        if (random % 29 == 0)
            cached_drop(object);
        if (random % 31 == 0)
            cached_pin(object, random & 64);
        if (random % 17 == 0)
            check(cache_sync(cache, NULL) == 0);
        if (cache_memory_take(cache, 10, 30))
            cache_memory_give(cache, 10);
        (void)cached_put(object);
    }
    return NULL;
}

static void open_with_thread(uint64_t limit) {
    assert_int_equal(
        cache_open(
            &(struct cache_options){
                .dir = kit.dir, .origin = "server:/export", .volume = "vol", .volume_limit = limit, .io = &kit.io},
            &cache, NULL),
        0);
}

static void threads_hold_no_wrong_byte(void **state) {
    (void)state;
    cache_kit_start(&kit, true);
    kit.quick_sync = true;
    open_with_thread(60 * CACHE_BLOCK);
    pthread_t threads[4];
    uint32_t seeds[4] = {1, 2, 3, 4};
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &seeds[i]), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(failures, 0);
    assert_int_equal(cache_sync(cache, NULL), 0);
    assert_int_equal(index_check(cache->index), 0);
    assert_int_equal(index_room(cache->index, cache->volume).all_reserved, 0);
    assert_true(index_room(cache->index, cache->volume).held <= 60 * CACHE_BLOCK);
    (void)cache_free(cache);
    cache_kit_stop(&kit);
}

// Nobody asks for it: within a few seconds it is so.
static void what_is_stored_becomes_durable_by_itself(void **state) {
    (void)state;
    cache_kit_start(&kit, true);
    open_with_thread(0);
    struct cached *object = NULL;
    assert_int_equal(cache_kit_get(cache, "a", 9 * CACHE_BLOCK, 1, true, &object), 0);
    assert_int_equal(cache_kit_store(object, "a", 1, 0, 9 * CACHE_BLOCK), 0);
    for (int i = 0; i < 600 && !object->durable; i++)
        (void)usleep(100000);
    assert_true(object->durable);
    struct record record;
    assert_int_equal(record_read(&cache_io_system, cached_fd(object), &record), 0);
    assert_true(record.durable && record.state == RECORD_COMPLETE);
    (void)cached_put(object);
    (void)cache_free(cache);
    cache_kit_stop(&kit);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_hold_no_wrong_byte),
        cmocka_unit_test(what_is_stored_becomes_durable_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
