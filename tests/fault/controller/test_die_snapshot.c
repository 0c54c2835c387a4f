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
#include "tests/support/snapshot_kit.h"

#define DEATHS_MAX 400
#define TRIES_MAX 2000
#define DYING_NS (500 * NS_PER_MS)

static char snapshot_data[64]; // path of the snapshot "s"

static void know_paths(void) {
    char key[HASH_ID_LEN + 1];
    hash_id("s", 1, key);
    (void)snprintf(snapshot_data, sizeof snapshot_data, ".stowage/snapshot-data/%s", key);
}

// The tree at `path` is whole, or not there, or (a volume's directory before its content came) empty.
static void assert_not_half(struct fake_nfs_store *store, const char *path, const char *whole) {
    char *now = snapshot_kit_describe(store, path);
    if (now && strcmp(now, whole) != 0)
        assert_int_equal(snapshot_kit_entries(store, path), 0);
    free(now);
}

static void assert_whole(struct fake_nfs_store *store, const char *path, const char *whole) {
    char *now = snapshot_kit_describe(store, path);
    assert_non_null(now);
    assert_string_equal(now, whole);
    free(now);
}

struct scene {
    struct fake_nfs_store *store;
    char volume_id[CSI_ID_MAX + 1], snapshot_id[CSI_ID_MAX + 1];
    char *whole;
};

struct deed {
    const char *name;
    bool needs_snapshot;
    const char *result; // path, NULL: nothing is left
    int (*act)(struct snapshot_kit *kit, struct scene *scene, struct err *err);
};

static int take_snapshot(struct snapshot_kit *kit, struct scene *scene, struct err *err) {
    bool ready = false;
    int r = snapshot_kit_snapshot(kit, "s", scene->volume_id, scene->snapshot_id, &ready, err);
    return r == 0 && !ready ? -EAGAIN : r;
}

static int restore(struct snapshot_kit *kit, struct scene *scene, struct err *err) {
    return snapshot_kit_volume(kit, "restored", CONTENT_SNAPSHOT, scene->snapshot_id, NULL, err);
}

static int clone_volume(struct snapshot_kit *kit, struct scene *scene, struct err *err) {
    return snapshot_kit_volume(kit, "cloned", CONTENT_VOLUME, scene->volume_id, NULL, err);
}

static int delete_snapshot(struct snapshot_kit *kit, struct scene *scene, struct err *err) {
    return snapshot_ops.destroy(kit->snapshots, &kit->base.ctx, scene->snapshot_id, err);
}

static const struct deed deeds[] = {
    {"snapshot", false, snapshot_data, take_snapshot},
    {"restore", true, "restored", restore},
    {"clone", false, "cloned", clone_volume},
    {"delete", true, NULL, delete_snapshot},
};

static void until_done(struct snapshot_kit *kit, struct scene *scene, const struct deed *deed) {
    struct err err = ERR_NONE;
    int r = -EAGAIN;
    for (int i = 0; r == -EAGAIN && i < TRIES_MAX; i++) {
        err = ERR_NONE;
        r = deed->act(kit, scene, &err);
    }
    if (r != 0)
        fail_msg("%s: %d, %s", deed->name, r, err_text(&err));
}

static void set_scene(struct scene *scene, const struct deed *deed) {
    struct snapshot_kit kit;
    struct err err = ERR_NONE;
    *scene = (struct scene){.store = fake_nfs_store_new()};
    snapshot_kit_start(&kit, scene->store, 0, false, 0);
    assert_int_equal(snapshot_kit_volume(&kit, "src", CONTENT_EMPTY, NULL, scene->volume_id, &err), 0);
    snapshot_kit_fill(scene->store, "src");
    scene->whole = snapshot_kit_describe(scene->store, "src");
    if (deed->needs_snapshot)
        until_done(&kit, scene, &deeds[0]);
    snapshot_kit_stop(&kit);
}

static void end_scene(struct scene *scene) {
    free(scene->whole);
    scene->store = fake_nfs_store_free(scene->store);
}

static void check_after_death(struct scene *scene, const struct deed *deed) {
    assert_not_half(scene->store, snapshot_data, scene->whole);
    if (deed->result)
        assert_not_half(scene->store, deed->result, scene->whole);
    assert_whole(scene->store, "src", scene->whole);
    if (snapshot_kit_entries(scene->store, ".stowage/snapshots") == 0) // no data that nobody can name any more
        assert_int_equal(snapshot_kit_entries(scene->store, ".stowage/snapshot-data"), 0);
}

static void check_end(struct scene *scene, const struct deed *deed) {
    if (deed->result)
        assert_whole(scene->store, deed->result, scene->whole);
    else
        assert_null(snapshot_kit_describe(scene->store, snapshot_data));
    assert_int_equal(snapshot_kit_entries(scene->store, ".stowage/snapshots"),
                     deed->act == take_snapshot || deed->act == restore);
    snapshot_kit_drain(scene->store, ".stowage/work");
    snapshot_kit_drain(scene->store, ".stowage/trash");
}

// False when the deed needs fewer than `n` changing calls.
static bool die_once(const struct deed *deed, long n) {
    struct scene scene;
    struct snapshot_kit kit;
    struct err err = ERR_NONE;
    set_scene(&scene, deed);
    snapshot_kit_start(&kit, scene.store, n, n % 2, 5);
    for (int i = 0, r = -1; r != 0 && !faulty_nfs_dead(kit.base.nfs) && i < 20; i++) {
        kit.base.ctx.deadline_ns = clock_monotonic(&clock_system) + DYING_NS; // a dead share never answers
        r = deed->act(&kit, &scene, &err);
    }
    bool died = faulty_nfs_dead(kit.base.nfs);
    snapshot_kit_stop(&kit);
    check_after_death(&scene, deed);
    snapshot_kit_age_locks(scene.store);
    snapshot_kit_start(&kit, scene.store, 0, false, 0);
    snapshot_kit_resume(&kit);
    until_done(&kit, &scene, deed);
    check_end(&scene, deed);
    snapshot_kit_stop(&kit);
    end_scene(&scene);
    return died;
}

static void dies_anywhere(const struct deed *deed) {
    long n = 1;
    know_paths();
    while (die_once(deed, n)) {
        n++;
        assert_in_range(n, 1, DEATHS_MAX);
    }
    print_message("%s: died at calls up to %ld\n", deed->name, n);
    assert_in_range(n, 5, DEATHS_MAX);
}

static void snapshot_survives_any_death(void **state) {
    (void)state;
    dies_anywhere(&deeds[0]);
}
static void restore_survives_any_death(void **state) {
    (void)state;
    dies_anywhere(&deeds[1]);
}
static void clone_survives_any_death(void **state) {
    (void)state;
    dies_anywhere(&deeds[2]);
}
static void delete_survives_any_death(void **state) {
    (void)state;
    dies_anywhere(&deeds[3]);
}

struct racer {
    struct snapshot_kit kit;
    struct scene *scene;
};

static void *race(void *arg) {
    struct racer *racer = arg;
    until_done(&racer->kit, racer->scene, &deeds[0]);
    return NULL;
}

static void two_controllers_make_one_snapshot(void **state) {
    (void)state;
    struct scene scene;
    struct racer racers[2];
    struct scene own[2];
    pthread_t threads[2];
    know_paths();
    set_scene(&scene, &deeds[0]);
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
    check_end(&scene, &deeds[0]);
    for (int i = 0; i < 2; i++)
        snapshot_kit_stop(&racers[i].kit);
    end_scene(&scene);
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
