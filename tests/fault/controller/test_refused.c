// SPDX-License-Identifier: Apache-2.0
// The server refuses any one changing call of a create, a snapshot, a restore, a clone or the delete of a snapshot: it
// is full, or does not let us. The caller learns it by that code and the share's name,
// nothing half stands under a final name, and the same call, repeated when the server relents, ends whole.
#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "tests/support/cm.h"
#include "tests/support/snapshot_scene.h"

#define CALLS_MAX 400
#define TRIES_MAX 20
#define ACT_NS (2 * NS_PER_S)

// For EPERM to a LINK a copy makes a file of its own, as on a server without hard links: it comes last, for create only.
static const int refusals[] = {-ENOSPC, -EACCES, -EDQUOT, -EPERM};
#define COPY_REFUSALS 2

static void assert_told(int r, int refusal, const struct err *err) {
    if (r == 0 || r == -EAGAIN)
        return;
    assert_int_equal(r, refusal);
    if (!strstr(err->msg, FIXTURE_SERVER FIXTURE_SHARE))
        fail_msg("the share is not named: %s", err->msg);
}

// False when the operation needs fewer than `n` changing calls.
static bool refuse_create(int refusal, long n, bool *ret_told) {
    struct fake_nfs_store *store = fake_nfs_store_new();
    struct fixture f;
    struct volume_info info = {0};
    struct err err = ERR_NONE;
    fixture_start(&f, store, NULL);
    (void)share_free(fixture_share(&f));
    long before = faulty_nfs_count(f.nfs, FAULTY_CHANGES, 0);
    faulty_nfs_fail(f.nfs, FAULTY_CHANGES, 0, n, refusal);
    int r = fixture_create(&f, "v", "subDir", "team/data", &info, &err);
    bool fired = faulty_nfs_count(f.nfs, FAULTY_CHANGES, 0) - before >= n;
    faulty_nfs_fail(f.nfs, FAULTY_CHANGES, 0, 0, 0);
    assert_told(r, refusal, &err);
    *ret_told |= r == refusal;
    volume_info_done(&info);
    assert_int_equal(fixture_entries(&f, ".stowage/volumes"), r == 0);
    assert_int_equal(fixture_exists(&f, "team/data"), r == 0);
    assert_int_equal(fixture_create(&f, "v", "subDir", "team/data", &info, &err), 0);
    assert_true(fixture_exists(&f, "team/data"));
    volume_info_done(&info);
    fixture_stop(&f);
    store = fake_nfs_store_free(store);
    return fired;
}

static void create_refused_anywhere(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        bool told = false;
        long n = 1;
        while (refuse_create(refusals[i], n, &told))
            assert_in_range(++n, 1, CALLS_MAX);
        assert_in_range(n, 5, CALLS_MAX);
        assert_true(told);
    }
}

static bool refuse_once(const struct snapshot_deed *deed, int refusal, long n, bool *ret_told) {
    struct snapshot_scene scene;
    struct snapshot_kit kit;
    struct err err = ERR_NONE;
    int r = -EAGAIN;
    snapshot_scene_set(&scene, deed);
    snapshot_kit_start(&kit, scene.store, 0, false, 5);
    long before = faulty_nfs_count(kit.base.nfs, FAULTY_CHANGES, 0);
    faulty_nfs_fail(kit.base.nfs, FAULTY_CHANGES, 0, n, refusal);
    for (int i = 0; r == -EAGAIN && i < TRIES_MAX; i++) {
        kit.base.ctx.deadline_ns = clock_monotonic(&clock_system) + ACT_NS;
        r = deed->act(&kit, &scene, &err);
        assert_told(r, refusal, &err);
        snapshot_check_not_half(&scene, deed);
    }
    bool fired = faulty_nfs_count(kit.base.nfs, FAULTY_CHANGES, 0) - before >= n;
    *ret_told |= r == refusal;
    snapshot_kit_stop(&kit);
    snapshot_check_not_half(&scene, deed);
    snapshot_kit_age_locks(scene.store); // a lock whose release was refused runs out
    snapshot_kit_start(&kit, scene.store, 0, false, 0);
    snapshot_kit_resume(&kit);
    snapshot_until_done(&kit, &scene, deed);
    snapshot_check_end(&scene, deed);
    snapshot_kit_stop(&kit);
    snapshot_scene_end(&scene);
    return fired;
}

static void refused_anywhere(const struct snapshot_deed *deed) {
    for (size_t i = 0; i < COPY_REFUSALS; i++) {
        bool told = false;
        long n = 1;
        while (refuse_once(deed, refusals[i], n, &told))
            assert_in_range(++n, 1, CALLS_MAX);
        print_message("%s: call %ld was the last to be refused\n", deed->name, n - 1);
        assert_in_range(n, 5, CALLS_MAX);
        assert_true(told);
    }
}

static void snapshot_refused_anywhere(void **state) {
    (void)state;
    refused_anywhere(&snapshot_deeds[SNAPSHOT_TAKE]);
}
static void restore_refused_anywhere(void **state) {
    (void)state;
    refused_anywhere(&snapshot_deeds[SNAPSHOT_RESTORE]);
}
static void clone_refused_anywhere(void **state) {
    (void)state;
    refused_anywhere(&snapshot_deeds[SNAPSHOT_CLONE]);
}
static void delete_refused_anywhere(void **state) {
    (void)state;
    refused_anywhere(&snapshot_deeds[SNAPSHOT_DELETE]);
}

// nfs-ganesha answers -ENOENT to a READDIR when an entry goes at that moment. The directory is there: a copy without
// it would be half a copy.
static bool lose_listing(const struct snapshot_deed *deed, long n) {
    struct snapshot_scene scene;
    struct snapshot_kit kit;
    snapshot_scene_set(&scene, deed);
    snapshot_kit_start(&kit, scene.store, 0, false, 0);
    long before = faulty_nfs_count(kit.base.nfs, FAULTY_OP, NFS_READDIR);
    faulty_nfs_fail(kit.base.nfs, FAULTY_OP, NFS_READDIR, n, -ENOENT);
    snapshot_until_done(&kit, &scene, deed);
    snapshot_check_end(&scene, deed);
    bool fired = faulty_nfs_count(kit.base.nfs, FAULTY_OP, NFS_READDIR) - before >= n;
    snapshot_kit_stop(&kit);
    snapshot_scene_end(&scene);
    return fired;
}

static void no_listing_is_lost(void **state) {
    (void)state;
    for (int i = 0; i < SNAPSHOT_DEEDS; i++) {
        long n = 1;
        while (lose_listing(&snapshot_deeds[i], n))
            assert_in_range(++n, 1, CALLS_MAX);
        assert_in_range(n, 2, CALLS_MAX);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_refused_anywhere),  cmocka_unit_test(snapshot_refused_anywhere),
        cmocka_unit_test(restore_refused_anywhere), cmocka_unit_test(clone_refused_anywhere),
        cmocka_unit_test(delete_refused_anywhere),  cmocka_unit_test(no_listing_is_lost)};
    log_init("test", LOG_LEVEL_ERROR + 1, LOG_FORMAT_AUTO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
