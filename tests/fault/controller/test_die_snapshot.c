// SPDX-License-Identifier: Apache-2.0
// The controller dies at every changing call of a snapshot, a restore, a clone and the delete of a snapshot. At no
// moment does a final name show half a tree; the next controller takes it up, and it ends whole.
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "tests/support/snapshot_scene.h"

#define DEATHS_MAX 400
#define DYING_NS (500 * NS_PER_MS)

// False when the deed needs fewer than `n` changing calls.
static bool die_once(const struct snapshot_deed *deed, long n) {
    struct snapshot_scene scene;
    struct snapshot_kit kit;
    struct err err = ERR_NONE;
    snapshot_scene_set(&scene, deed);
    snapshot_kit_start(&kit, scene.store, n, n % 2, 5);
    for (int i = 0, r = -1; r != 0 && !faulty_nfs_dead(kit.base.nfs) && i < 20; i++) {
        kit.base.ctx.deadline_ns = clock_monotonic(&clock_system) + DYING_NS; // a dead share never answers
        r = deed->act(&kit, &scene, &err);
    }
    bool died = faulty_nfs_dead(kit.base.nfs);
    snapshot_kit_stop(&kit);
    snapshot_check_not_half(&scene, deed);
    snapshot_kit_age_locks(scene.store);
    snapshot_kit_start(&kit, scene.store, 0, false, 0);
    snapshot_kit_resume(&kit);
    snapshot_until_done(&kit, &scene, deed);
    snapshot_check_end(&scene, deed);
    snapshot_kit_stop(&kit);
    snapshot_scene_end(&scene);
    return died;
}

static void dies_anywhere(const struct snapshot_deed *deed) {
    long n = 1;
    while (die_once(deed, n)) {
        n++;
        assert_in_range(n, 1, DEATHS_MAX);
    }
    print_message("%s: died at calls up to %ld\n", deed->name, n);
    assert_in_range(n, 5, DEATHS_MAX);
}

static void snapshot_survives_any_death(void **state) {
    (void)state;
    dies_anywhere(&snapshot_deeds[0]);
}
static void restore_survives_any_death(void **state) {
    (void)state;
    dies_anywhere(&snapshot_deeds[1]);
}
static void clone_survives_any_death(void **state) {
    (void)state;
    dies_anywhere(&snapshot_deeds[2]);
}
static void delete_survives_any_death(void **state) {
    (void)state;
    dies_anywhere(&snapshot_deeds[3]);
}

struct racer {
    struct snapshot_kit kit;
    struct snapshot_scene *scene;
};

static void *race(void *arg) {
    struct racer *racer = arg;
    snapshot_until_done(&racer->kit, racer->scene, &snapshot_deeds[0]);
    return NULL;
}

static void two_controllers_make_one_snapshot(void **state) {
    (void)state;
    struct snapshot_scene scene;
    struct racer racers[2];
    struct snapshot_scene own[2];
    pthread_t threads[2];
    snapshot_scene_set(&scene, &snapshot_deeds[0]);
    for (int i = 0; i < 2; i++) {
        own[i] = scene;
        racers[i].scene = &own[i];
        snapshot_kit_start(&racers[i].kit, scene.store, 0, false, 20);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_string_equal(own[0].snapshot_id, own[1].snapshot_id);
    snapshot_check_end(&scene, &snapshot_deeds[0]);
    for (int i = 0; i < 2; i++)
        snapshot_kit_stop(&racers[i].kit);
    snapshot_scene_end(&scene);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snapshot_survives_any_death),       cmocka_unit_test(restore_survives_any_death),
        cmocka_unit_test(clone_survives_any_death),          cmocka_unit_test(delete_survives_any_death),
        cmocka_unit_test(two_controllers_make_one_snapshot),
    };
    log_init("test", LOG_LEVEL_ERROR + 1, LOG_FORMAT_AUTO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
