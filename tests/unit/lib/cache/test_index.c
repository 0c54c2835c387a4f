// SPDX-License-Identifier: Apache-2.0
// The shared index: found again under its key however it grows and shrinks, small, believed after a clean end only, and
// filled again by walking when it was lost.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "lib/cache/index_area.h"
#include "lib/cache/object.h"
#include "tests/support/cache_kit.h"
#include "tests/support/cm.h"

static struct cache_kit kit;

static int setup(void **state) {
    (void)state;
    cache_kit_start(&kit, true);
    kit.quick_sync = true;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    cache_kit_stop(&kit);
    return 0;
}

static struct cache_key key_number(uint32_t number) {
    static const unsigned char origin[32];
    return key_of(origin, &number, sizeof number);
}

static void every_object_is_found_while_it_grows_and_shrinks(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct index *index = cache->index;
    enum { OBJECTS = 20000 };
    static bool there[OBJECTS];
    uint32_t count = 0, random = 1;
    for (unsigned i = 0; i < 5 * OBJECTS; i++) {
        random = random * 1664525u + 1013904223u;
        uint32_t number = (random >> 8) % OBJECTS;
        struct cache_key key = key_number(number);
        // It grows for three fifths of the time, and then shrinks.
        bool add = random >> 28 < (i < 3 * OBJECTS ? 12u : 3u);
        if (add) {
            struct index_object object = {.volume = cache->volume, .bytes = number};
            assert_int_equal(index_put(index, &key, &object), 0);
        } else {
            uint64_t bytes = index_remove(index, &key, false);
            assert_int_equal(bytes, there[number] ? (number + 4095) / 4096 * 4096 : 0);
        }
        count += (uint32_t)add - (uint32_t)there[number];
        there[number] = add;
        if (i % 5000 == 0)
            assert_int_equal(index_check(index), 0);
    }
    assert_int_equal(index_check(index), 0);
    assert_int_equal(index_count(index), count);
    for (uint32_t number = 0; number < OBJECTS; number++) {
        struct cache_key key = key_number(number);
        struct index_object object;
        assert_int_equal(index_find(index, &key, &object), there[number]);
    }
    (void)cache_free(cache);
}

static void an_object_takes_less_than_100_bytes(void **state) {
    (void)state;
    enum { OBJECTS = 300000 };
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct stat before, after;
    assert_int_equal(fstat(index_fd(cache->index), &before), 0);
    for (uint32_t i = 0; i < OBJECTS; i++) {
        struct cache_key key = key_number(i);
        struct index_object object = {.volume = cache->volume, .bytes = 4096};
        assert_int_equal(index_put(cache->index, &key, &object), 0);
    }
    assert_int_equal(fstat(index_fd(cache->index), &after), 0);
    uint64_t bytes = (uint64_t)(after.st_blocks - before.st_blocks) * 512;
    print_message("    %.1f bytes an object\n", (double)bytes / OBJECTS);
    assert_true(bytes <= 60u * OBJECTS);
    assert_int_equal(index_check(cache->index), 0);
    (void)cache_free(cache);
}

// Each boot gives `kit.io.boot` a number.
static struct cache *boot(uint64_t number) {
    kit.io.boot = number;
    return cache_kit_open(&kit, "vol", 0);
}

// What is left when the machine stops: nobody says goodbye.
static void fill_and_stop(uint64_t number, unsigned objects) {
    struct cache *cache = boot(number);
    for (unsigned i = 0; i < objects; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%u", i);
        assert_false(cache_kit_read(cache, name, 5000, 1));
    }
    assert_int_equal(cache_sync(cache, NULL), 0);
    cache->index->user = false; // index_free then says nothing
    (void)cache_free(cache);
}

static void after_a_clean_end_the_index_is_believed(void **state) {
    (void)state;
    struct cache *cache = boot(1);
    assert_false(cache_kit_read(cache, "a", 5000, 1));
    assert_int_equal(cache_sync(cache, NULL), 0);
    (void)cache_free(cache);
    cache = boot(2);
    assert_int_equal(index_count(cache->index), 1);
    assert_true(cache_kit_read(cache, "a", 5000, 1));
    (void)cache_free(cache);
}

static void after_a_crash_it_starts_empty_and_is_filled_again(void **state) {
    (void)state;
    fill_and_stop(1, 50);
    struct cache *cache = boot(2);
    assert_int_equal(index_count(cache->index), 0);
    assert_true(cache_kit_read(cache, "f7", 5000, 1)); // taken up when met
    assert_int_equal(index_count(cache->index), 1);
    unsigned steps = 0;
    while (walk_step(cache, 64)) // in pieces, and another process may go on
        steps++;
    assert_true(steps > 2);
    assert_int_equal(index_count(cache->index), 50);
    assert_int_equal(index_room(cache->index, cache->volume).held, 50 * 8192);
    assert_int_equal(index_check(cache->index), 0);
    for (unsigned i = 0; i < 50; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "f%u", i);
        assert_true(cache_kit_read(cache, name, 5000, 1));
    }
    (void)cache_free(cache);
}

static void a_pin_outlives_the_index(void **state) {
    (void)state;
    struct cache *cache = boot(1);
    struct cached *object = NULL;
    assert_false(cache_kit_read(cache, "a", 5000, 1));
    assert_int_equal(cache_kit_get(cache, "a", 5000, 1, false, &object), 0);
    cached_pin(object, true);
    (void)cached_put(object);
    (void)cache_free(cache);
    char path[96];
    (void)snprintf(path, sizeof path, "%s/index", kit.dir);
    assert_int_equal(unlink(path), 0);
    cache = boot(1);
    while (walk_step(cache, WALK_END))
        continue;
    assert_int_equal(cache->index->area->volumes[cache->volume].pinned_bytes, 8192);
    (void)cache_free(cache);
}

static void a_slot_without_a_file_is_forgotten(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct cache_key key = key_number(1);
    assert_int_equal(index_put(cache->index, &key, &(struct index_object){.volume = cache->volume, .bytes = 9}), 0);
    uint64_t bytes;
    assert_int_equal(evict_object(cache, &key, &bytes), -ENOENT);
    assert_int_equal(index_count(cache->index), 0);
    (void)cache_free(cache);
}

static void an_index_of_another_layout_is_refused(void **state) {
    (void)state;
    (void)cache_free(cache_kit_open(&kit, "vol", 0));
    char path[96];
    (void)snprintf(path, sizeof path, "%s/index", kit.dir);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "OTHERLAY", 8, 0), 8);
    (void)close(fd);
    struct cache *cache = NULL;
    struct err err = ERR_NONE;
    struct cache_options options = {.dir = kit.dir, .origin = "o", .volume = "v", .manual = true};
    assert_int_equal(cache_open(&options, &cache, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "empty the directory"));
}

static void volumes_that_are_gone_make_room_in_the_table(void **state) {
    (void)state;
    for (unsigned i = 0; i < INDEX_VOLUMES + 10; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "volume-%u", i);
        (void)cache_free(cache_kit_open(&kit, name, 0));
    }
    struct cache *cache = cache_kit_open(&kit, "the-last", 7 * 4096);
    assert_int_equal(index_room(cache->index, cache->volume).limit, 7 * 4096);
    (void)cache_free(cache);
}

static void bits_of_a_map(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct record record = {.size = 200 * (uint64_t)CACHE_BLOCK, .nonce = 9};
    struct cache_key key = key_number(3);
    char folder[8] = "", name[OBJECT_NAME_MAX];
    key_name(&key, name);
    memcpy(folder, name, 2);
    assert_int_equal(mkdirat(cache->objects_fd, folder, 0700), 0);
    memcpy(folder, name, 5);
    assert_int_equal(mkdirat(cache->objects_fd, folder, 0700), 0);
    struct map *map = NULL, *other = NULL;
    assert_int_equal(map_attach(cache->io, cache->objects_fd, &key, &record, 1, &map), -ENOENT);
    assert_int_equal(map_make(cache->io, cache->objects_fd, &key, &record, 1, &map), 0);
    assert_int_equal(map_next_missing(map, 0), 0);
    assert_int_equal(map_set(map, 60, 80), 80);
    assert_int_equal(map_set(map, 50, 20), 10);
    assert_true(map_has(map, 50, 90));
    assert_false(map_has(map, 49, 2));
    assert_false(map_has(map, 139, 2));
    assert_false(map_has(map, 199, 2));
    assert_true(map_has(map, 64, 64));
    assert_int_equal(map_next_missing(map, 50), 140);
    assert_int_equal(map_next_missing(map, 200), 200);
    assert_int_equal(map_count(map), 90);

    assert_int_equal(map_attach(cache->io, cache->objects_fd, &key, &record, 1, &other), 0);
    assert_int_equal(map_set(other, 0, 50), 50);
    assert_true(map_has(map, 0, 140)); // one memory
    other = map_free(other);
    record.nonce = 10; // of another file at the same name
    assert_int_equal(map_attach(cache->io, cache->objects_fd, &key, &record, 1, &other), -ENOENT);
    record.nonce = 9;

    uint64_t *bits = NULL;
    assert_int_equal(map_snapshot(map, &bits), 0);
    assert_int_equal(map_set(map, 150, 50), 50);
    assert_int_equal(map_next_missing(map, 140), 140);
    map_set_durable(map, bits);
    free(bits);
    map = map_free(map);
    assert_int_equal(map_attach(cache->io, cache->objects_fd, &key, &record, 2, &map), -ENOENT); // another boot
    assert_int_equal(map_revive(cache->io, cache->objects_fd, &key, &record, 2, &map), 0);
    assert_int_equal(map_count(map), 140);
    assert_false(map_has(map, 150, 1));
    map = map_free(map);
    (void)cache_free(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_object_is_found_while_it_grows_and_shrinks, setup, teardown),
        cmocka_unit_test_setup_teardown(an_object_takes_less_than_100_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(after_a_clean_end_the_index_is_believed, setup, teardown),
        cmocka_unit_test_setup_teardown(after_a_crash_it_starts_empty_and_is_filled_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pin_outlives_the_index, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slot_without_a_file_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(an_index_of_another_layout_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(volumes_that_are_gone_make_room_in_the_table, setup, teardown),
        cmocka_unit_test_setup_teardown(bits_of_a_map, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
