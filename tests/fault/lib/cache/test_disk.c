// SPDX-License-Identifier: Apache-2.0
// A disk that is full, read-only, broken or gone, at every call; and memory that is: the caller is told, nothing crashes, no wrong byte
// is ever said to be there, and all works again when the disk does.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/cache/index_area.h"
#include "lib/cache/object.h"
#include "tests/support/cache_kit.h"
#include "tests/support/cm.h"

#define BIG (UINT64_C(5) * CACHE_BLOCK + 9)

static struct cache_kit kit;

static int setup(void **state) {
    (void)state;
    cache_kit_start(&kit, true);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    cache_kit_stop(&kit);
    return 0;
}

// Whatever it results in, as long as it is a result.
static void any(int result) {
    assert_true(result <= 0);
}

static struct cache *try_open(struct err *err) {
    struct cache *cache = NULL;
    int r = cache_open(&(struct cache_options){.dir = kit.dir,
                                               .origin = "server:/export",
                                               .volume = "vol",
                                               .volume_limit = 16 * CACHE_BLOCK,
                                               .clock = &kit.clock,
                                               .io = &kit.io,
                                               .manual = true},
                       &cache, err);
    assert_true((r == 0) == (cache != NULL));
    assert_true(r == 0 || err->msg[0]);
    return cache;
}

static void use(struct cache *cache, const char *name, uint64_t size, unsigned generation) {
    struct cached *object = NULL;
    if (cache_kit_get(cache, name, size, generation, true, &object) < 0)
        return;
    (void)cache_kit_compare(object, name, generation);
    for (uint64_t at = 0; at < size; at += 2 * CACHE_BLOCK)
        (void)cache_kit_store(object, name, generation, at, size - at < 2 * CACHE_BLOCK ? size - at : 2 * CACHE_BLOCK);
    (void)cache_kit_compare(object, name, generation);
    cache_count_open(cache, object, false);
    cached_pin(object, generation == 2);
    (void)cached_put(object);
}

// All that can be done, whatever fails.
static void live(struct cache *cache) {
    struct cached *object = NULL;
    use(cache, "small", 3000, 1);
    use(cache, "big", BIG, 1);
    any(cache_sync(cache, NULL));
    use(cache, "big", BIG, 2);
    if (cache_kit_get(cache, "small", 3000, 1, false, &object) == 0) {
        (void)cache_kit_compare(object, "small", 1);
        cached_drop(object);
        assert_true(cache_kit_get(cache, "small", 3000, 1, false, &(struct cached *){NULL}) < 0);
        (void)cached_put(object);
    }
    for (unsigned i = 0; i < 4; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "n%u", i);
        use(cache, name, 4 * CACHE_BLOCK, 1); // more than the limit: some must go
        any(cache_sync(cache, NULL));
    }
    space_relieve(cache);
}

static void all_works(struct cache *cache) {
    for (unsigned generation = 1; generation <= 2; generation++) {
        struct cached *old = NULL;
        if (cache_kit_get(cache, "big", BIG, generation, false, &old) == 0)
            (void)cache_kit_compare(old, "big", generation);
        (void)cached_put(old);
    }
    assert_int_equal(cache_sync(cache, NULL), 0);
    uint64_t bytes;
    assert_int_equal(cache_evict(kit.dir, NULL, &bytes, NULL), 0); // the limit is small, and some may be pinned
    assert_int_equal(index_count(cache->index), 0);
    use(cache, "fresh", BIG, 7);
    struct cached *object = NULL;
    assert_int_equal(cache_kit_get(cache, "fresh", BIG, 7, false, &object), 0);
    assert_true(cached_complete(object));
    assert_int_equal(cache_kit_compare(object, "fresh", 7), BIG);
    (void)cached_put(object);
    assert_int_equal(cache_sync(cache, NULL), 0);
    assert_int_equal(index_check(cache->index), 0);
    assert_int_equal(index_room(cache->index, cache->volume).all_reserved, 0);
}

// Returns whether a call was there to fail.
static bool fail_at(long n, int code, bool once) {
    struct err err = ERR_NONE;
    kit.calls = 0;
    kit.fail_at = n;
    kit.fail_code = code;
    kit.fail_once = once;
    struct cache *cache = try_open(&err);
    if (cache)
        live(cache);
    bool failed = kit.calls >= n;
    kit.fail_at = 0;
    kit.now_ns += 31 * NS_PER_S;
    if (!cache)
        cache = try_open(&err);
    assert_non_null(cache);
    all_works(cache);
    (void)cache_free(cache);
    cache_kit_empty(&kit);
    return failed;
}

static void every_call_may_fail(void **state) {
    (void)state;
    static const int codes[] = {-ENOSPC, -EIO, -EROFS};
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        long n = 1;
        while (fail_at(n, codes[i], true))
            n++;
        assert_true(n > 100);
        print_message("    %s: %ld calls, each failed once\n", err_name(codes[i]), n - 1);
        for (n = 1; fail_at(n, codes[i], false); n += 3)
            continue;
    }
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    long made = 1;
    for (long n = 1; n <= made; n++) {
        struct err err = ERR_NONE;
        (void)mem_fail_nth(n);
        struct cache *cache = NULL;
        any(cache_open(&(struct cache_options){.dir = kit.dir,
                                               .origin = "server:/export",
                                               .volume = "vol",
                                               .clock = &kit.clock,
                                               .io = &kit.io,
                                               .manual = true},
                       &cache, &err));
        struct cached *object = NULL;
        static char data[2 * CACHE_BLOCK];
        cache_kit_bytes("a", 1, 0, data, sizeof data);
        for (unsigned i = 0; cache && i < 2; i++) {
            if (cache_kit_get(cache, "a", sizeof data, 1, true, &object) < 0)
                continue;
            if (cached_reserve(object, CACHE_BLOCK) == 0)
                any(cached_write(object, i * CACHE_BLOCK, data + i * CACHE_BLOCK, CACHE_BLOCK));
            any(cache_sync(cache, NULL));
            object = cached_put(object);
        }
        long counted = mem_fail_nth(0);
        made = counted >= n ? n + 1 : n - 1; // until none was left to fail
        (void)cache_free(cache);
        cache = cache_kit_open(&kit, "vol", 0);
        kit.now_ns += 31 * NS_PER_S;
        all_works(cache);
        (void)cache_free(cache);
        cache_kit_empty(&kit);
    }
    assert_true(made >= 5);
}

static void a_sick_disk_is_left_alone_for_a_while(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct cached *object = NULL;
    assert_false(cache_kit_read(cache, "a", 3000, 1));
    assert_int_equal(cache_kit_get(cache, "b", 3000, 1, true, &object), 0);
    kit.calls = 0;
    kit.fail_at = 1;
    kit.fail_code = -EIO;
    assert_int_equal(cache_kit_store(object, "b", 1, 0, 3000), -EIO);
    kit.fail_at = 0;
    assert_false(cached_has(object, 0, 1));
    assert_int_equal(cached_reserve(object, 3000), -EIO);
    struct cached *other = NULL;
    assert_int_equal(cache_kit_get(cache, "c", 3000, 1, true, &other), -EIO);
    assert_true(cache_kit_read(cache, "a", 3000, 1)); // what is there is read on

    struct cache_disk disk;
    struct cache_figures *figures = NULL;
    size_t count;
    assert_int_equal(cache_read_figures(kit.dir, &disk, &figures, &count, NULL), 0);
    assert_true(figures[0].errors > 0);
    free(figures);
    assert_non_null(strstr(cache->index->area->reason, "Input/output error"));
    kit.now_ns += 31 * NS_PER_S;
    assert_int_equal(cache_kit_store(object, "b", 1, 0, 3000), 0);
    assert_int_equal(cache_kit_compare(object, "b", 1), 3000);
    (void)cached_put(object);
    (void)cache_free(cache);
}

static void what_could_not_be_synced_is_dropped(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct cached *held = NULL, *again = NULL;
    assert_int_equal(cache_kit_get(cache, "a", BIG, 1, true, &held), 0);
    assert_int_equal(cache_kit_store(held, "a", 1, 0, 2 * CACHE_BLOCK), 0);
    kit.fail_sync_code = -EIO;
    struct err err = ERR_NONE;
    assert_int_equal(cache_sync(cache, &err), -EIO);
    assert_true(err.msg[0]);
    kit.fail_sync_code = 0;
    assert_int_equal(cache_kit_get(cache, "a", BIG, 1, false, &again), -ENOENT);
    assert_int_equal(index_count(cache->index), 0);
    (void)cached_put(held);
    (void)cache_free(cache);

    // Neither could it be unlinked: it is not believed all the same.
    kit.now_ns += 31 * NS_PER_S;
    cache = cache_kit_open(&kit, "vol", 0);
    assert_false(cache_kit_read(cache, "b", 3000, 1));
    kit.calls = 0;
    kit.fail_at = 1;
    kit.fail_code = -EROFS;
    assert_true(cache_sync(cache, NULL) < 0);
    kit.fail_at = 0;
    struct cache *other = cache_kit_open(&kit, "other", 0); // nor by another process
    assert_int_equal(cache_kit_get(other, "b", 3000, 1, false, &again), -ENOENT);
    assert_int_equal(cache_kit_get(cache, "b", 3000, 1, false, &again), -ENOENT);
    kit.now_ns += 31 * NS_PER_S;
    assert_false(cache_kit_read(cache, "b", 3000, 1));
    assert_true(cache_kit_read(cache, "b", 3000, 1));
    (void)cache_free(other);
    (void)cache_free(cache);
}

static void a_directory_that_vanishes_is_a_sick_disk(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct cached *held = NULL, *object = NULL;
    assert_false(cache_kit_read(cache, "a", BIG, 1));
    assert_int_equal(cache_kit_get(cache, "a", BIG, 1, false, &held), 0);
    cache_kit_empty(&kit);
    assert_int_equal(cache_kit_compare(held, "a", 1), BIG); // who has it reads on
    assert_int_equal(cache_kit_get(cache, "b", BIG, 1, true, &object), -ENOENT);
    assert_int_equal(cache_kit_get(cache, "c", BIG, 1, true, &object), -EIO); // sick
    assert_int_equal(cache_kit_get(cache, "a", BIG, 1, false, &object), -ENOENT);
    live(cache);
    (void)cached_put(held);
    (void)cache_free(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_call_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(a_sick_disk_is_left_alone_for_a_while, setup, teardown),
        cmocka_unit_test_setup_teardown(what_could_not_be_synced_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_directory_that_vanishes_is_a_sick_disk, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
