// SPDX-License-Identifier: Apache-2.0
// The contract of cache.h, in one process.
#include "lib/cache/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cache/object.h"
#include "tests/support/cache_kit.h"
#include "tests/support/cm.h"

#define MIB (UINT64_C(1) << 20)

static struct cache_kit kit;

static int setup(void **state) {
    (void)state;
    cache_kit_start(&kit, false);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    cache_kit_stop(&kit);
    return 0;
}

static void check_and_free(struct cache *cache) {
    assert_int_equal(index_check(cache->index), 0);
    (void)cache_free(cache);
}

static void a_small_file_is_there_when_written(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct cached *object = NULL;
    assert_int_equal(cache_kit_get(cache, "a", 5000, 1, false, &object), -ENOENT);
    assert_int_equal(cache_kit_get(cache, "a", 5000, 1, true, &object), 0);
    assert_false(cached_complete(object));
    assert_false(cached_has(object, 0, 1));
    assert_int_equal(cached_next_missing(object, 100), 100);
    assert_int_equal(cache_kit_store(object, "a", 1, 0, 5000), 0);
    assert_true(cached_complete(object));
    assert_int_equal(cached_next_missing(object, 0), 5000);
    assert_int_equal(cache_kit_compare(object, "a", 1), 5000);
    (void)cached_put(object);
    assert_int_equal(cache_kit_get(cache, "a", 5000, 1, false, &object), 0);
    assert_int_equal(cache_kit_compare(object, "a", 1), 5000);
    (void)cached_put(object);
    check_and_free(cache);
}

static void a_large_file_comes_in_pieces(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct cached *object = NULL;
    uint64_t size = 10 * MIB + 17;
    assert_int_equal(cache_kit_get(cache, "big", size, 1, true, &object), 0);
    assert_int_equal(cache_kit_store(object, "big", 1, 3 * MIB, 2 * MIB), 0);
    assert_true(cached_has(object, 3 * MIB, 2 * MIB));
    assert_false(cached_has(object, 3 * MIB - 1, 2));
    assert_false(cached_has(object, 3 * MIB, 2 * MIB + 1));
    assert_int_equal(cached_next_missing(object, 3 * MIB + 5), 5 * MIB);
    assert_int_equal(cached_next_missing(object, 7), 7);
    assert_int_equal(cache_kit_store(object, "big", 1, 10 * MIB, 17), 0);
    assert_true(cached_has(object, 10 * MIB, 1000)); // counts up to the end
    (void)cached_put(object);

    assert_int_equal(cache_kit_get(cache, "big", size, 1, false, &object), 0);
    assert_int_equal(cache_kit_compare(object, "big", 1), 2 * MIB + 17);
    assert_int_equal(cache_kit_store(object, "big", 1, 0, 3 * MIB), 0);
    assert_false(cached_complete(object));
    assert_int_equal(cache_kit_store(object, "big", 1, 4 * MIB, 6 * MIB), 0); // some of it again
    assert_true(cached_complete(object));
    assert_int_equal(cache_kit_compare(object, "big", 1), size);
    (void)cached_put(object);
    check_and_free(cache);
}

static void writes_are_whole_blocks(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct cached *object = NULL;
    static char data[2 * CACHE_BLOCK];
    assert_int_equal(cache_kit_get(cache, "a", CACHE_BLOCK + 10, 1, true, &object), 0);
    assert_int_equal(cached_write(object, 1, data, CACHE_BLOCK), -EINVAL);
    assert_int_equal(cached_write(object, 0, data, 100), -EINVAL);
    assert_int_equal(cached_write(object, 0, data, CACHE_BLOCK + 11), -EINVAL);
    assert_int_equal(cached_write(object, CACHE_BLOCK, data, 9), -EINVAL);
    assert_int_equal(cached_write(object, 2 * CACHE_BLOCK, data, 1), -EINVAL);
    assert_int_equal(cached_write(object, 0, data, 0), -EINVAL);
    assert_int_equal(cached_next_missing(object, 0), 0);
    (void)cached_put(object);
    check_and_free(cache);
}

static void an_empty_file_is_complete_at_once(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct cached *object = NULL;
    assert_int_equal(cache_kit_get(cache, "nil", 0, 1, true, &object), 0);
    assert_true(cached_complete(object));
    assert_true(cached_has(object, 0, 10));
    assert_true(cached_fd(object) >= 0);
    (void)cached_put(object);
    check_and_free(cache);
}

static void another_version_takes_the_place(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct cached *old = NULL, *new = NULL;
    assert_int_equal(cache_kit_get(cache, "a", 300000, 1, true, &old), 0);
    assert_int_equal(cache_kit_store(old, "a", 1, 0, 300000), 0);
    assert_int_equal(cache_kit_get(cache, "a", 300000, 2, false, &new), -ENOENT); // same size and mtime
    assert_int_equal(cache_kit_get(cache, "a", 300000, 2, true, &new), 0);
    assert_false(cached_complete(new));
    assert_int_equal(cache_kit_compare(old, "a", 1), 300000); // its holders go on
    assert_int_equal(cache_kit_store(new, "a", 2, 0, 2 * CACHE_BLOCK), 0);
    (void)cached_put(old);
    assert_int_equal(cache_kit_compare(new, "a", 2), 2 * CACHE_BLOCK);
    (void)cached_put(new);
    assert_int_equal(cache_kit_get(cache, "a", 300000, 1, false, &old), -ENOENT);
    check_and_free(cache);
}

static void what_was_dropped_is_not_found(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct cached *object = NULL, *again = NULL;
    assert_true(!cache_kit_read(cache, "a", 4000, 1));
    assert_int_equal(cache_kit_get(cache, "a", 4000, 1, false, &object), 0);
    assert_int_equal(cached_patch(object, 0, "x", 1), -EINVAL); // others would find it
    cached_drop(object);
    assert_int_equal(cache_kit_get(cache, "a", 4000, 1, false, &again), -ENOENT);
    assert_int_equal(cached_patch(object, 10, "patched", 7), 0);
    assert_int_equal(cached_patch(object, 3999, "patched", 7), 0); // longer, but never shorter
    char bytes[7];
    assert_int_equal(pread(cached_fd(object), bytes, 7, 10), 7);
    assert_memory_equal(bytes, "patched", 7);
    assert_int_equal(cached_reserve(object, 1), -ESTALE);
    (void)cached_put(object);
    check_and_free(cache);
}

static void nothing_remains_of_what_was_made_and_not_filled(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct cached *object = NULL;
    assert_int_equal(cache_kit_get(cache, "a", 4 * MIB, 1, true, &object), 0);
    assert_int_equal(cached_reserve(object, 4 * MIB), 0);
    (void)cached_put(object);
    assert_int_equal(cache_kit_get(cache, "a", 4 * MIB, 1, false, &object), -ENOENT);
    assert_int_equal(index_count(cache->index), 0);
    assert_int_equal(index_room(cache->index, cache->volume).reserved, 0);
    check_and_free(cache);
}

static void figures_tell_what_is_held(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 100 * MIB);
    (void)cache_kit_read(cache, "a", 5000, 1);
    (void)cache_kit_read(cache, "a", 5000, 1);
    (void)cache_kit_read(cache, "b", MIB, 1);
    cache_count_bytes(cache, 10, 20);
    struct cached *object = NULL;
    assert_int_equal(cache_kit_get(cache, "b", MIB, 1, false, &object), 0);
    cached_pin(object, true);
    assert_true(cache_memory_take(cache, 1000, 0));

    struct cache_disk disk;
    struct cache_figures *figures = NULL;
    size_t count;
    assert_int_equal(cache_read_figures(kit.dir, &disk, &figures, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_string_equal(figures[0].volume, "vol");
    assert_true(figures[0].mounted);
    assert_int_equal(figures[0].limit, 100 * MIB);
    assert_int_equal(figures[0].objects, 2);
    assert_int_equal(figures[0].bytes, 8192 + MIB);
    assert_int_equal(figures[0].pinned_bytes, MIB);
    assert_int_equal(figures[0].opens, 3);
    assert_int_equal(figures[0].open_hits, 1);
    assert_int_equal(figures[0].cache_bytes, 10);
    assert_int_equal(figures[0].origin_bytes, 20);
    assert_int_equal(disk.memory_bytes, 1000);
    assert_int_equal(disk.cache_objects, 2);
    assert_false(disk.sick);
    assert_true(disk.total_bytes > 0);
    free(figures);
    (void)cached_put(object);
    check_and_free(cache);

    assert_int_equal(cache_read_figures(kit.dir, &disk, &figures, &count, NULL), 0);
    assert_false(figures[0].mounted);
    assert_int_equal(figures[0].bytes, 8192 + MIB);
    assert_int_equal(disk.memory_bytes, 0);
    free(figures);
}

static void eviction_by_command_spares_what_is_open(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct cached *object = NULL;
    for (int i = 0; i < 20; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "f%d", i);
        (void)cache_kit_read(cache, name, 4096, 1);
    }
    assert_int_equal(cache_sync(cache, NULL), 0);
    assert_int_equal(cache_kit_get(cache, "f3", 4096, 1, false, &object), 0);
    uint64_t bytes;
    assert_int_equal(cache_evict(kit.dir, "another", &bytes, NULL), 0);
    assert_int_equal(bytes, 0);
    assert_int_equal(cache_evict(kit.dir, "vol", &bytes, NULL), 0);
    assert_int_equal(bytes, 19 * 4096);
    assert_int_equal(index_count(cache->index), 1);
    assert_int_equal(cache_kit_compare(object, "f3", 1), 4096);
    (void)cached_put(object);
    check_and_free(cache);
}

static void memory_is_one_budget(void **state) {
    (void)state;
    struct cache *one = cache_kit_open(&kit, "one", 0), *two = cache_kit_open(&kit, "two", 0);
    assert_true(cache_memory_take(one, 600, 1000));
    assert_false(cache_memory_take(two, 600, 1000));
    assert_true(cache_memory_take(two, 400, 1000));
    cache_memory_give(one, 600);
    assert_true(cache_memory_take(two, 600, 1000));
    (void)cache_free(two); // what it had comes back
    assert_true(cache_memory_take(one, 1000, 1000));
    (void)cache_free(one);
}

static void directories_that_cannot_be_used_are_refused(void **state) {
    (void)state;
    struct cache *cache = NULL;
    struct err err = ERR_NONE;
    struct cache_options options = {.dir = "/nonexistent", .origin = "o", .volume = "v", .manual = true};
    assert_int_equal(cache_open(&options, &cache, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "/nonexistent"));
    options.dir = "/proc";
    assert_true(cache_open(&options, &cache, &err) < 0);
    options.dir = kit.dir;
    kit.io.ops = NULL;
    options.volume = "";
    assert_int_equal(cache_open(&options, &cache, &err), -EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_small_file_is_there_when_written, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_file_comes_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(writes_are_whole_blocks, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_file_is_complete_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(another_version_takes_the_place, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_dropped_is_not_found, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_remains_of_what_was_made_and_not_filled, setup, teardown),
        cmocka_unit_test_setup_teardown(figures_tell_what_is_held, setup, teardown),
        cmocka_unit_test_setup_teardown(eviction_by_command_spares_what_is_open, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_is_one_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(directories_that_cannot_be_used_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
