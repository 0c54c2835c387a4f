// SPDX-License-Identifier: Apache-2.0
// A disk that fails below a mapping is SIGBUS. One test in a program of its own: cmocka takes the signal anew for each test.
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/cache/object.h"
#include "tests/support/cache_kit.h"
#include "tests/support/cm.h"

#define BIG (UINT64_C(5) * CACHE_BLOCK + 9)

static struct cache_kit kit;

// As when the disk below a mapping fails: the pages behind the end of a file are SIGBUS.
static void cut_file(const char *name) {
    char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", kit.dir, name);
    assert_int_equal(truncate(path, 0), 0);
}

static void an_index_that_cannot_be_read_is_of_no_use(void) {
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct cached *held = NULL, *object = NULL;
    assert_false(cache_kit_read(cache, "a", BIG, 1));
    assert_false(cache_kit_read(cache, "b", BIG, 1));
    assert_int_equal(cache_sync(cache, NULL), 0);
    assert_int_equal(cache_kit_get(cache, "a", BIG, 1, false, &held), 0);
    cut_file(INDEX_NAME);
    assert_int_equal(cache_kit_compare(held, "a", 1), BIG);
    assert_int_equal(cache_kit_get(cache, "b", BIG, 1, false, &object), 0); // its record is all that is needed
    assert_int_equal(cache_kit_compare(object, "b", 1), BIG);
    assert_int_equal(cache_kit_get(cache, "c", BIG, 1, true, &(struct cached *){NULL}), -EIO);
    assert_int_equal(cached_reserve(object, 1), -EIO);
    (void)cached_put(object);
    space_relieve(cache);
    assert_true(cache_kit_read(cache, "b", BIG, 1));
    assert_false(cache_kit_read(cache, "d", BIG, 1));
    cached_pin(held, true);
    cached_drop(held);
    cache_count_bytes(cache, 1, 1);
    (void)cached_put(held);
    (void)cache_free(cache);
}

static void a_block_map_that_cannot_be_read_has_no_blocks(void) {
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct cached *object = NULL;
    assert_int_equal(cache_kit_get(cache, "a", BIG, 1, true, &object), 0);
    assert_int_equal(cache_kit_store(object, "a", 1, 0, 2 * CACHE_BLOCK), 0);
    assert_true(cached_has(object, 0, CACHE_BLOCK));
    char name[OBJECT_NAME_MAX], path[80];
    key_map_name(&object->key, name);
    (void)snprintf(path, sizeof path, "objects/%s", name);
    cut_file(path);
    assert_false(cached_has(object, 0, CACHE_BLOCK));
    assert_int_equal(cached_next_missing(object, 0), 0);
    assert_true(cache_kit_store(object, "a", 1, 0, CACHE_BLOCK) <= 0);
    assert_true(cache_sync(cache, NULL) <= 0);
    (void)cache_kit_compare(object, "a", 1);
    (void)cached_put(object);
    (void)cache_free(cache);
}

static void lost_pages_are_empty(void **state) {
    (void)state;
    cache_kit_start(&kit, true);
    a_block_map_that_cannot_be_read_has_no_blocks();
    cache_kit_empty(&kit);
    an_index_that_cannot_be_read_is_of_no_use();
    cache_kit_stop(&kit);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(lost_pages_are_empty)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
