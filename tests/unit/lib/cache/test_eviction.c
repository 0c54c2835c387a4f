// SPDX-License-Identifier: Apache-2.0
// What is given up, and what stays: orders in which training reads, against the real cache with a small limit.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/cache/index_area.h"
#include "lib/cache/object.h"
#include "tests/support/cache_kit.h"
#include "tests/support/cm.h"

#define FILES 2000u
#define HALF (UINT64_C(4096) * FILES / 2)

static struct cache_kit kit;
static uint64_t random_state;

static int setup(void **state) {
    (void)state;
    cache_kit_start(&kit, true);
    kit.quick_sync = true;
    random_state = 88172645463325252u;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    cache_kit_stop(&kit);
    return 0;
}

static uint64_t next_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static bool read_file(struct cache *cache, const char *set, unsigned i) {
    char name[32];
    (void)snprintf(name, sizeof name, "%s%u", set, i);
    bool hit = cache_kit_read(cache, name, 4096, 1);
    if (next_random() % 16 == 0)
        assert_int_equal(cache_sync(cache, NULL), 0); // what is not synced is held
    return hit;
}

// One pass over `count` files, each once; the share of hits.
static double epoch(struct cache *cache, const char *set, unsigned count, bool shuffled) {
    static unsigned order[4 * FILES];
    unsigned hits = 0;
    for (unsigned i = 0; i < count; i++)
        order[i] = i;
    for (unsigned i = count; shuffled && i > 1; i--) {
        unsigned j = (unsigned)(next_random() % i), swap = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swap;
    }
    for (unsigned i = 0; i < count; i++)
        hits += read_file(cache, set, order[i]);
    double share = (double)hits / count;
    print_message("    set %s, %u files, %s: %.3f\n", set, count, shuffled ? "random" : "in order", share);
    return share;
}

static void random_epochs_over_twice_the_cache(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", HALF);
    (void)epoch(cache, "a", FILES, true);
    double sum = 0;
    for (int i = 0; i < 3; i++)
        sum += epoch(cache, "a", FILES, true);
    assert_true(sum / 3 >= 0.48);
    assert_int_equal(index_check(cache->index), 0);
    assert_true(index_room(cache->index, cache->volume).held <= HALF);
    (void)cache_free(cache);
}

static void random_epochs_over_eight_times_the_cache(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", HALF / 4);
    (void)epoch(cache, "a", FILES, true);
    (void)epoch(cache, "a", FILES, true);
    double sum = 0;
    for (int i = 0; i < 3; i++)
        sum += epoch(cache, "a", FILES, true);
    assert_true(sum / 3 >= 0.115); // of 0.125
    (void)cache_free(cache);
}

static void a_set_that_fits_is_read_from_the_cache(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 2 * HALF);
    (void)epoch(cache, "a", FILES, true);
    assert_true(epoch(cache, "a", FILES, true) == 1.0);
    (void)cache_free(cache);
}

// Where LRU gives nothing at all.
static void a_cyclic_order_over_twice_the_cache(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", HALF);
    (void)epoch(cache, "a", FILES, false);
    (void)epoch(cache, "a", FILES, false);
    double sum = 0;
    for (int i = 0; i < 3; i++)
        sum += epoch(cache, "a", FILES, false);
    assert_true(sum / 3 >= 0.45);
    (void)cache_free(cache);
}

static void a_job_that_goes_on_to_other_data_gets_the_cache(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", HALF);
    for (int i = 0; i < 3; i++)
        (void)epoch(cache, "a", FILES / 2, true);
    (void)epoch(cache, "b", FILES / 2, true);
    assert_true(epoch(cache, "b", FILES / 2, true) >= 0.7); // two windows of an eighth were needed to notice
    for (int i = 0; i < 4; i++)                             // by then the last of the old ones are given up
        (void)epoch(cache, "b", FILES / 2, true);
    assert_true(epoch(cache, "b", FILES / 2, true) >= 0.99);
    // And back: what it asks for was seen before, so it takes longer, but not for ever.
    for (int i = 0; i < 6; i++)
        (void)epoch(cache, "a", FILES / 2, true);
    assert_true(epoch(cache, "a", FILES / 2, true) >= 0.9);
    (void)cache_free(cache);
}

// Half of the opens go on hitting the old data: only what nobody opens any more makes room.
static void a_job_that_replaces_a_part_of_its_data(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", HALF);
    for (int i = 0; i < 3; i++)
        (void)epoch(cache, "a", FILES / 2, true);
    double share = 0;
    for (int i = 0; i < 14; i++) { // 500 old ones, 500 new ones
        unsigned hits = 0;
        for (unsigned j = 0; j < FILES / 2; j++)
            hits += read_file(cache, j % 2 ? "a" : "b", (unsigned)(next_random() % (FILES / 4)));
        share = (double)hits / (FILES / 2);
    }
    print_message("    the mixed set at last: %.3f\n", share);
    assert_true(share >= 0.9);
    (void)cache_free(cache);
}

static unsigned hits_of(struct cache *cache, const char *set, unsigned count) {
    unsigned hits = 0;
    for (unsigned i = 0; i < count; i++)
        hits += read_file(cache, set, i);
    return hits;
}

static void volumes_that_nobody_mounts_go_first(void **state) {
    (void)state;
    struct cache *old = cache_kit_open(&kit, "old", 0), *cache = cache_kit_open(&kit, "vol", 0);
    for (int i = 0; i < 3; i++) {
        (void)hits_of(old, "old", 100);
        (void)hits_of(cache, "a", 100);
    }
    assert_int_equal(cache_sync(old, NULL), 0);
    assert_int_equal(cache_sync(cache, NULL), 0);
    kit.available = kit.total / 1000 * 106; // where storing ends: each new one needs a victim
    kit.now_ns += NS_PER_S;
    assert_int_equal(hits_of(cache, "new", 2), 0);
    assert_int_equal(hits_of(cache, "new", 2), 0); // both volumes are mounted and warm
    assert_int_equal(index_count(cache->index), 200);
    (void)cache_free(old);
    cache->index->looked_ns = INT64_MIN / 2;
    assert_int_equal(hits_of(cache, "new", 50), 0);
    assert_int_equal(hits_of(cache, "new", 50), 50);
    assert_int_equal(hits_of(cache, "a", 100), 100);
    (void)cache_free(cache);
}

static void pinned_objects_stay(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 64 * 4096);
    for (unsigned i = 0; i < 32; i++) {
        char name[32];
        struct cached *object = NULL;
        (void)snprintf(name, sizeof name, "pin%u", i);
        assert_int_equal(cache_kit_get(cache, name, 4096, 1, true, &object), 0);
        assert_int_equal(cache_kit_store(object, name, 1, 0, 4096), 0);
        cached_pin(object, true);
        (void)cached_put(object);
    }
    (void)epoch(cache, "a", FILES, true);
    (void)epoch(cache, "b", FILES, true);
    assert_int_equal(hits_of(cache, "pin", 32), 32);
    (void)cache_free(cache);
}

static void a_file_larger_than_the_cache_is_kept_in_part(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 64 * CACHE_BLOCK);
    struct cached *object = NULL;
    assert_int_equal(cache_kit_get(cache, "huge", 1000 * CACHE_BLOCK, 1, true, &object), 0);
    unsigned stored = 0;
    for (unsigned i = 0; i < 1000; i++) {
        int r = cache_kit_store(object, "huge", 1, (uint64_t)i * CACHE_BLOCK, CACHE_BLOCK);
        assert_true(r == 0 || r == -ENOSPC);
        stored += r == 0;
    }
    assert_int_equal(stored, 64);
    assert_int_equal(cache_kit_compare(object, "huge", 1), 64 * CACHE_BLOCK);
    (void)cached_put(object);
    (void)cache_free(cache);
}

static void nothing_is_stored_when_the_disk_is_nearly_full(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    kit.available = kit.total / 20 - 4096;
    struct cached *object = NULL;
    assert_int_equal(cache_kit_get(cache, "a", 4096, 1, true, &object), -ENOSPC);
    kit.available = kit.total / 2;
    kit.inodes = 1000000;
    kit.free_inodes = 49000;
    kit.now_ns += NS_PER_S;
    assert_int_equal(cache_kit_get(cache, "a", 4096, 1, true, &object), -ENOSPC);
    kit.free_inodes = 500000;
    kit.now_ns += NS_PER_S;
    assert_int_equal(cache_kit_get(cache, "a", 4096, 1, true, &object), 0);
    // What is reserved counts before the disk shows it.
    uint64_t room = kit.available - kit.total / 1000 * 106;
    assert_int_equal(cached_reserve(object, room + (64 << 20)), -ENOSPC);
    assert_int_equal(cached_reserve(object, room - (64 << 20)), 0);
    assert_int_equal(cached_reserve(object, 128 << 20), -ENOSPC);
    cached_unreserve(object, room);
    assert_int_equal(cached_reserve(object, 64 << 20), 0);
    (void)cached_put(object);
    (void)cache_free(cache);
}

static void room_is_given_back_when_others_fill_the_disk(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct cached *open = NULL;
    for (unsigned i = 0; i < 200; i++)
        (void)read_file(cache, "a", i);
    assert_int_equal(cache_sync(cache, NULL), 0);
    assert_int_equal(cache_kit_get(cache, "a7", 4096, 1, false, &open), 0);
    space_relieve(cache);
    assert_int_equal(index_count(cache->index), 200);
    kit.available = kit.total / 10 - 100 * 4096; // a hundred objects too little; warm or not
    space_relieve(cache);
    assert_in_range(index_count(cache->index), 1, 199);
    kit.available = 0;
    space_relieve(cache);
    assert_int_equal(index_count(cache->index), 1); // the open one
    assert_int_equal(cache_kit_compare(open, "a7", 1), 4096);
    (void)cached_put(open);
    (void)cache_free(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_epochs_over_twice_the_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(random_epochs_over_eight_times_the_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(a_set_that_fits_is_read_from_the_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cyclic_order_over_twice_the_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(a_job_that_goes_on_to_other_data_gets_the_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(a_job_that_replaces_a_part_of_its_data, setup, teardown),
        cmocka_unit_test_setup_teardown(volumes_that_nobody_mounts_go_first, setup, teardown),
        cmocka_unit_test_setup_teardown(pinned_objects_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_larger_than_the_cache_is_kept_in_part, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_stored_when_the_disk_is_nearly_full, setup, teardown),
        cmocka_unit_test_setup_teardown(room_is_given_back_when_others_fill_the_disk, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
