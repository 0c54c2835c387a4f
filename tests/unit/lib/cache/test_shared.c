// SPDX-License-Identifier: Apache-2.0
// Several processes on one directory: what one stores the others have, what one holds nobody takes, and a process that is
// killed anywhere leaves nothing behind that stops the others.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "lib/cache/index_area.h"
#include "lib/cache/object.h"
#include "tests/support/cache_kit.h"
#include "tests/support/cm.h"

#define BIG (UINT64_C(40) * CACHE_BLOCK + 100)

static struct cache_kit kit;
static int to_child[2], to_parent[2];

static int setup(void **state) {
    (void)state;
    cache_kit_start(&kit, true);
    return pipe(to_child) == 0 && pipe(to_parent) == 0 ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        (void)close(to_child[i]);
        (void)close(to_parent[i]);
    }
    cache_kit_stop(&kit);
    return 0;
}

static void tell(int fd) {
    assert_int_equal(write(fd, "x", 1), 1);
}
static void await(int fd) {
    char c;
    assert_int_equal(read(fd, &c, 1), 1);
}

static pid_t start(void (*run)(unsigned), unsigned arg) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)setenv("CMOCKA_TEST_ABORT", "1", 1); // a failure must not go on with the tests here
        (void)alarm(120);
        run(arg);
        _exit(0);
    }
    return pid;
}

static void end_well(pid_t pid) {
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void end_by_kill(pid_t pid) {
    int status;
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

// ---- presence

static void store_the_first_half(unsigned arg) {
    (void)arg;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct cached *object = NULL;
    assert_int_equal(cache_kit_get(cache, "big", BIG, 1, true, &object), 0);
    await(to_child[0]); // the other one has it open, and nothing is there
    assert_int_equal(cache_kit_store(object, "big", 1, 0, 20 * CACHE_BLOCK), 0);
    tell(to_parent[1]);
    await(to_child[0]);
    assert_true(cached_complete(object));
    assert_int_equal(cache_kit_compare(object, "big", 1), BIG);
    (void)cached_put(object);
    (void)cache_free(cache);
}

static void blocks_are_there_for_every_process(void **state) {
    (void)state;
    pid_t pid = start(store_the_first_half, 0);
    struct cache *cache = cache_kit_open(&kit, "other", 0);
    struct cached *object = NULL;
    assert_int_equal(cache_kit_get(cache, "big", BIG, 1, true, &object), 0);
    assert_int_equal(cached_next_missing(object, 0), 0);
    tell(to_child[1]);
    await(to_parent[0]);
    assert_int_equal(cached_next_missing(object, 0), 20 * CACHE_BLOCK);
    assert_int_equal(cache_kit_compare(object, "big", 1), 20 * CACHE_BLOCK);
    assert_int_equal(cache_kit_store(object, "big", 1, 20 * CACHE_BLOCK, BIG - 20 * CACHE_BLOCK), 0);
    assert_true(cached_complete(object));
    tell(to_child[1]);
    end_well(pid);
    (void)cached_put(object);
    assert_int_equal(index_check(cache->index), 0);
    (void)cache_free(cache);
}

static void store_small(unsigned arg) {
    (void)arg;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct cached *object = NULL;
    assert_int_equal(cache_kit_get(cache, "small", 5000, 1, false, &object), 0);
    assert_int_equal(cache_kit_store(object, "small", 1, 0, 5000), 0);
    (void)cached_put(object);
    (void)cache_free(cache);
}

static void a_small_file_of_another_process_is_seen(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct cached *object = NULL;
    assert_int_equal(cache_kit_get(cache, "small", 5000, 1, true, &object), 0);
    end_well(start(store_small, 0));
    assert_true(cached_has(object, 0, 5000));
    assert_int_equal(cache_kit_compare(object, "small", 1), 5000);
    (void)cached_put(object);
    (void)cache_free(cache);
}

// ---- use

static void hold(unsigned arg) {
    (void)arg;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct cached *object = NULL;
    assert_int_equal(cache_kit_get(cache, "held", BIG, 1, false, &object), 0);
    assert_true(cache_memory_take(cache, 1000, 0));
    assert_int_equal(cached_reserve(object, 12345), 0);
    tell(to_parent[1]);
    (void)pause();
}

static void what_a_process_had_comes_back_when_it_is_killed(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "mine", 0);
    assert_false(cache_kit_read(cache, "held", BIG, 1));
    assert_int_equal(cache_sync(cache, NULL), 0);
    pid_t pid = start(hold, 0);
    await(to_parent[0]);
    uint64_t bytes;
    assert_int_equal(cache_evict(kit.dir, NULL, &bytes, NULL), 0);
    assert_int_equal(bytes, 0); // another process holds it
    uint16_t volume;
    assert_int_equal(index_volume_by_hash(cache->index, volume_hash("vol"), &volume), 0);
    assert_true(index_volume_mounted(cache->index, volume));
    assert_int_equal(index_room(cache->index, volume).reserved, 12345);
    assert_false(cache_memory_take(cache, 1000, 1999));
    end_by_kill(pid);
    assert_true(cache_memory_take(cache, 1000, 1999));
    assert_int_equal(index_room(cache->index, volume).reserved, 0);
    cache->index->looked_ns = INT64_MIN / 2;
    assert_false(index_volume_mounted(cache->index, volume));
    assert_int_equal(cache_evict(kit.dir, NULL, &bytes, NULL), 0);
    assert_true(bytes >= BIG);
    (void)cache_free(cache);
}

static void read_mapped(unsigned arg) {
    (void)arg;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct cached *object = NULL;
    assert_int_equal(cache_kit_get(cache, "mapped", BIG, 1, false, &object), 0);
    const unsigned char *map = mmap(NULL, BIG, PROT_READ, MAP_SHARED, cached_fd(object), 0);
    assert_true(map != MAP_FAILED);
    unsigned char want[4096];
    for (int round = 0; round < 40; round++) {
        for (uint64_t at = 0; at + sizeof want <= BIG; at += sizeof want) {
            cache_kit_bytes("mapped", 1, at, want, sizeof want);
            assert_memory_equal(map + at, want, sizeof want); // SIGBUS or zeros if anybody cut it
        }
        if (round == 0)
            tell(to_parent[1]);
    }
    await(to_child[0]);
    cache_kit_bytes("mapped", 1, 0, want, sizeof want);
    assert_memory_equal(map, want, sizeof want);
}

static void a_mapped_file_outlives_eviction_and_replacement(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    assert_false(cache_kit_read(cache, "mapped", BIG, 1));
    assert_int_equal(cache_sync(cache, NULL), 0);
    pid_t pid = start(read_mapped, 0);
    await(to_parent[0]);
    for (unsigned i = 2; i < 30; i++) { // newer versions take its place, and are evicted and dropped
        uint64_t bytes;
        assert_false(cache_kit_read(cache, "mapped", i % 3 ? BIG : 5000, i));
        assert_int_equal(cache_sync(cache, NULL), 0);
        assert_int_equal(cache_evict(kit.dir, NULL, &bytes, NULL), 0);
        assert_true(bytes > 0);
    }
    tell(to_child[1]);
    end_well(pid);
    (void)cache_free(cache);
}

// ---- death inside the index

static void die_with_the_index_in_pieces(unsigned arg) {
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    struct index_area *area = cache->index->area;
    index_lock(cache->index);
    if (arg == 0) { // while buckets are split
        memset(index_bucket(cache->index, 0), 0, 4 * BUCKETS_START / 2);
        area->bucket_count++;
    } else if (arg == 1) { // while the last slot moves into a hole
        *index_slot(cache->index, 3) = *index_slot(cache->index, area->used);
    } else { // sums
        area->bytes = 7;
        area->volumes[0].objects = 1;
        area->memory = UINT64_MAX / 2;
    }
    (void)raise(SIGKILL);
}

static void a_process_killed_inside_the_index_is_repaired(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    for (unsigned i = 0; i < 1500; i++) {
        struct cache_key key = key_of(cache->origin, &i, sizeof i);
        assert_int_equal(index_put(cache->index, &key, &(struct index_object){.volume = cache->volume, .bytes = 4096}),
                         0);
    }
    for (unsigned arg = 0; arg < 3; arg++) {
        int status;
        pid_t pid = start(die_with_the_index_in_pieces, arg);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_int_equal(index_check(cache->index), 0);
        assert_int_equal(index_count(cache->index), arg < 1 ? 1500 : 1499);
        assert_true(cache_memory_take(cache, 1, 1));
        cache_memory_give(cache, 1);
    }
    (void)cache_free(cache);
}

// ---- all at once

static void hammer(unsigned seed) {
    struct cache *cache = cache_kit_open(&kit, seed % 2 ? "odd" : "even", 300 * CACHE_BLOCK);
    for (unsigned i = 0; i < 400; i++) {
        seed = seed * 1103515245u + 12345u;
        char name[16];
        struct cached *object = NULL;
        unsigned file = seed >> 16 & 31, generation = 1 + (i / 100);
        uint64_t size = file % 2 ? 3000 + file : (file % 7) * CACHE_BLOCK + 5;
        (void)snprintf(name, sizeof name, "f%u", file);
        int r = cache_kit_get(cache, name, size, generation, true, &object);
        assert_true(r == 0 || r == -ENOSPC || r == -EBUSY);
        if (r < 0)
            continue;
        (void)cache_kit_compare(object, name, generation);
        uint64_t at = size > CACHE_BLOCK ? (seed >> 22 & 7) % map_blocks_of(size) * CACHE_BLOCK : 0;
        uint64_t len = size - at > CACHE_BLOCK ? CACHE_BLOCK : size - at;
        r = cache_kit_store(object, name, generation, at, len);
        assert_true(r == 0 || r == -ENOSPC || r == -ESTALE || r == -EBUSY);
        cache_count_open(cache, object, r == 0);
        (void)cache_kit_compare(object, name, generation);
        if (seed % 37 == 0)
            cached_drop(object);
        if (seed % 11 == 0)
            assert_int_equal(cache_sync(cache, NULL), 0);
        uint64_t bytes;
        if (seed % 41 == 0)
            assert_int_equal(cache_evict(kit.dir, NULL, &bytes, NULL), 0);
        (void)cached_put(object);
    }
    (void)cache_free(cache);
}

static void four_processes_and_no_wrong_byte(void **state) {
    (void)state;
    pid_t pids[4];
    for (unsigned i = 0; i < 4; i++)
        pids[i] = start(hammer, 100 + i);
    for (unsigned i = 0; i < 4; i++)
        end_well(pids[i]);
    struct cache *cache = cache_kit_open(&kit, "vol", 0);
    assert_int_equal(index_check(cache->index), 0);
    assert_int_equal(index_room(cache->index, 0).all_reserved, 0);
    (void)cache_free(cache);
}

static void processes_that_are_killed_anywhere(void **state) {
    (void)state;
    struct cache *cache = cache_kit_open(&kit, "watch", 0);
    pid_t other = start(hammer, 7);
    for (unsigned i = 0; i < 40; i++) {
        pid_t pid = start(hammer, 1000 + i);
        (void)usleep(1000 + i * 700);
        end_by_kill(pid);
    }
    end_well(other);
    assert_int_equal(index_check(cache->index), 0);
    index_reap(cache->index);
    assert_int_equal(index_room(cache->index, 0).all_reserved, 0);
    for (unsigned file = 0; file < 32; file++) { // whatever they left is right
        char name[16];
        uint64_t size = file % 2 ? 3000 + file : (file % 7) * CACHE_BLOCK + 5;
        (void)snprintf(name, sizeof name, "f%u", file);
        for (unsigned generation = 1; generation <= 4; generation++) {
            struct cached *object = NULL;
            if (cache_kit_get(cache, name, size, generation, false, &object) == 0)
                (void)cache_kit_compare(object, name, generation);
            (void)cached_put(object);
        }
    }
    (void)cache_free(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(blocks_are_there_for_every_process, setup, teardown),
        cmocka_unit_test_setup_teardown(a_small_file_of_another_process_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_process_had_comes_back_when_it_is_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_mapped_file_outlives_eviction_and_replacement, setup, teardown),
        cmocka_unit_test_setup_teardown(a_process_killed_inside_the_index_is_repaired, setup, teardown),
        cmocka_unit_test_setup_teardown(four_processes_and_no_wrong_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(processes_that_are_killed_anywhere, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
