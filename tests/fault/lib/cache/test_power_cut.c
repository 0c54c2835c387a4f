// SPDX-License-Identifier: Apache-2.0
// The power goes at a random call, three times in a row, from 500 seeds: what the cache says is there after that must be right to the
// last byte. The disk afterwards is as bad as it may be (cache_crash.h). STOWAGE_SEED=n repeats one seed.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/cache/object.h"
#include "tests/support/cache_crash.h"
#include "tests/support/cache_kit.h"
#include "tests/support/cm.h"

#define SEEDS 500u
#define CUTS 3u // in a row
#define NAMES 5u
#define GENERATIONS 3u

static const uint64_t sizes[NAMES] = {3000, CACHE_BLOCK, CACHE_BLOCK + 1, 3 * CACHE_BLOCK, 7 * CACHE_BLOCK + 77};
static struct crash_disk disk;
static struct cache_kit kit;
static uint64_t found_bytes, found_partial, kept_objects;

static void name_of(unsigned file, char ret[static 8]) {
    (void)snprintf(ret, 8, "f%u", file);
}

static struct cache *open_cache(const char *dir) {
    struct cache *cache = NULL;
    struct err err = ERR_NONE;
    if (cache_open(&(struct cache_options){.dir = dir, .origin = "o", .volume = "v", .io = &disk.io, .manual = true},
                   &cache, &err) < 0)
        fail_msg("%s", err_text(&err));
    return cache;
}

static void store_some(struct cached *object, const char *name, unsigned generation) {
    uint64_t size = cached_size(object), blocks = map_blocks_of(size);
    uint64_t first = crash_random(&disk, blocks);
    uint64_t count = 1 + crash_random(&disk, crash_random(&disk, 3) ? blocks - first : 1);
    if (crash_random(&disk, 4) == 0) {
        first = 0;
        count = blocks;
    }
    uint64_t at = first * CACHE_BLOCK, len = count * CACHE_BLOCK;
    assert_int_equal(cache_kit_store(object, name, generation, at, len > size - at ? size - at : len), 0);
}

// What a cache_sync called durable and nobody took away since, in a disk that keeps its journal's order, must be kept.
static unsigned promised[NAMES]; // its generation; 0: nothing

static void make_promises(struct cache *cache, const unsigned *generation) {
    for (unsigned file = 0; file < NAMES; file++) {
        char name[8];
        struct cached *object = NULL;
        name_of(file, name);
        if (cache_kit_get(cache, name, sizes[file], generation[file], false, &object) == 0 && object->durable &&
            !disk.done)
            promised[file] = generation[file];
        (void)cached_put(object);
    }
}

static void work(struct cache *cache, unsigned *generation) {
    for (unsigned i = 0; i < 30 && !disk.done; i++) {
        unsigned file = (unsigned)crash_random(&disk, NAMES);
        char name[8];
        struct cached *object = NULL;
        name_of(file, name);
        if (crash_random(&disk, 12) == 0) {
            if (generation[file] < GENERATIONS)
                generation[file]++;
            if (!disk.done)
                promised[file] = 0;
        }
        assert_int_equal(cache_kit_get(cache, name, sizes[file], generation[file], true, &object), 0);
        (void)cache_kit_compare(object, name, generation[file]);
        store_some(object, name, generation[file]);
        if (crash_random(&disk, 10) == 0) {
            if (!disk.done)
                promised[file] = 0;
            cached_drop(object);
        } else if (crash_random(&disk, 10) == 0) {
            cached_pin(object, crash_random(&disk, 2));
        }
        (void)cached_put(object);
        if (crash_random(&disk, 4) == 0) {
            assert_int_equal(cache_sync(cache, NULL), 0);
            make_promises(cache, generation);
        }
    }
    crash_cut(&disk);
}

static void verify(struct cache *cache) {
    for (unsigned file = 0; file < NAMES; file++)
        for (unsigned generation = 1; generation <= GENERATIONS; generation++) {
            char name[8];
            struct cached *object = NULL;
            name_of(file, name);
            if (cache_kit_get(cache, name, sizes[file], generation, false, &object) != 0) {
                assert_false(disk.ordered && promised[file] == generation);
                continue;
            }
            uint64_t there = cache_kit_compare(object, name, generation);
            found_bytes += there;
            found_partial += there > 0 && !cached_complete(object);
            if (disk.ordered && promised[file] == generation) {
                assert_true(cached_complete(object));
                kept_objects++;
            }
            (void)cached_put(object);
        }
    assert_int_equal(index_check(cache->index), 0);
}

static void make_dir(char *ret) {
    (void)snprintf(ret, 64, "%s/cut.XXXXXX", kit.dir);
    assert_non_null(mkdtemp(ret));
}

static void run_seed(unsigned seed) {
    char dir[64];
    unsigned generation[NAMES] = {1, 1, 1, 1, 1};
    memset(promised, 0, sizeof promised);
    make_dir(dir);
    for (unsigned cut = 0; cut < CUTS; cut++) {
        // The same bad disk keeps what it kept: what was promised before a cut without order is not asked for after it.
        crash_start(&disk, dir, seed * CUTS + cut + 1, 100 + cut);
        disk.ordered = seed % 2;
        disk.cut = (long)crash_random(&disk, 400);
        make_dir(disk.after);
        struct cache *cache = open_cache(dir);
        work(cache, generation);
        (void)cache_free(cache);
        crash_stop(&disk);
        cache_kit_remove(dir);
        (void)strcpy(dir, disk.after);

        disk.io.boot++; // only looks, in a boot of its own
        bool ordered = disk.ordered;
        crash_start(&disk, dir, seed, 1000 + cut);
        disk.ordered = ordered;
        disk.done = true;
        cache = open_cache(dir);
        verify(cache);
        (void)cache_free(cache);
        crash_stop(&disk);
    }
    cache_kit_remove(dir);
}

static void no_stale_and_no_torn_byte(void **state) {
    (void)state;
    const char *only = getenv("STOWAGE_SEED");
    cache_kit_start(&kit, true);
    unsigned first = only ? (unsigned)atoi(only) : 0, end = only ? first + 1 : SEEDS;
    for (unsigned seed = first; seed < end; seed++) {
        print_message("%s%u", seed % 20 ? " " : "\nseeds ", seed); // the last one is the one that failed
        (void)fflush(stdout);
        run_seed(seed);
    }
    print_message("\nfound again and right: %llu bytes, %llu partial objects, %llu of those promised\n",
                  (unsigned long long)found_bytes, (unsigned long long)found_partial, (unsigned long long)kept_objects);
    if (!only) { // or the test would have tested nothing
        assert_true(found_partial > 20);
        assert_true(kept_objects > 100);
    }
    cache_kit_stop(&kit);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_stale_and_no_torn_byte)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
