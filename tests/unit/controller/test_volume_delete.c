// SPDX-License-Identifier: Apache-2.0
// DeleteVolume over an in-memory share: to the trash, archived, retained, or kept for another volume.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cm.h"
#include "tests/support/volume_kit.h"

static void destroy_moves_the_data_to_trash(void **arg) {
    struct volume_kit *s = *arg;
    struct err err = ERR_NONE;
    char *id = volume_kit_make(&s->f, "pvc-1");
    fixture_make_file(&s->f, "pvc-1/file");
    assert_int_equal(volume_kit_destroy(&s->f, id, &err), 0);
    assert_false(fixture_exists(&s->f, "pvc-1"));
    assert_int_equal(fixture_entries(&s->f, ".stowage/trash"), 1);
    assert_int_equal(fixture_entries(&s->f, ".stowage/volumes"), 0);
    assert_int_equal(fixture_entries(&s->f, ".stowage/locks"), 0);
    assert_int_equal(s->f.work.trashed, 1);
    assert_int_equal(volume_kit_destroy(&s->f, id, &err), 0);
    free(id);
}

static void destroy_of_garbage_is_done(void **arg) {
    struct volume_kit *s = *arg;
    struct err err = ERR_NONE;
    assert_int_equal(volume_kit_destroy(&s->f, "garbage", &err), 0);
    assert_int_equal(volume_kit_destroy(&s->f, "v-aaaaaaaaaaaaaaaaaaaaaaaaaa@10.0.0.5/data", &err), 0);
    assert_int_equal(fixture_entries(&s->f, ""), 0);
    assert_int_equal(volume_kit_destroy(&s->f, "v-aaaaaaaaaaaaaaaaaaaaaaaaaa@10.9.9.9/data", &err), -EHOSTUNREACH);
    assert_non_null(strstr(err.msg, "10.9.9.9"));
}

static void archive_keeps_the_data_beside(void **arg) {
    struct volume_kit *s = *arg;
    struct volumes_options options = {.default_on_delete = ON_DELETE_ARCHIVE};
    struct err err = ERR_NONE;
    fixture_stop(&s->f);
    fixture_start(&s->f, s->store, &options);
    for (int i = 0; i < 2; i++) {
        char *id = volume_kit_make_with(&s->f, "v", "subDir", "team/a/data");
        fixture_make_file(&s->f, "team/a/data/file");
        assert_int_equal(volume_kit_destroy(&s->f, id, &err), 0);
        free(id);
    }
    assert_true(fixture_exists(&s->f, "team/a/archived-data/file"));
    assert_false(fixture_exists(&s->f, "team/a/data"));
    assert_int_equal(fixture_entries(&s->f, "team/a"), 2);
}

static void retain_leaves_the_data(void **arg) {
    struct volume_kit *s = *arg;
    struct err err = ERR_NONE;
    char *id = volume_kit_make_with(&s->f, "v", "onDelete", "retain");
    assert_int_equal(volume_kit_destroy(&s->f, id, &err), 0);
    assert_true(fixture_exists(&s->f, "v"));
    assert_int_equal(fixture_entries(&s->f, ".stowage/volumes"), 0);
    free(id);
}

static void shared_directories_outlive_one_volume(void **arg) {
    struct volume_kit *s = *arg;
    struct err err = ERR_NONE;
    char *one = volume_kit_make_with(&s->f, "one", "subDir", "common");
    char *two = volume_kit_make_with(&s->f, "two", "subDir", "common");
    char *nested = volume_kit_make_with(&s->f, "nested", "subDir", "common/below");
    fixture_make_file(&s->f, "common/below/file");
    assert_int_equal(volume_kit_destroy(&s->f, one, &err), 0);
    assert_true(fixture_exists(&s->f, "common/below/file"));
    assert_int_equal(volume_kit_destroy(&s->f, two, &err), 0); // the nested one still uses it
    assert_true(fixture_exists(&s->f, "common/below/file"));
    assert_int_equal(volume_kit_destroy(&s->f, nested, &err), 0);
    assert_false(fixture_exists(&s->f, "common/below"));
    free(one);
    free(two);
    free(nested);
}

#define T(f) cmocka_unit_test_setup_teardown(f, volume_kit_setup, volume_kit_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(destroy_moves_the_data_to_trash),       T(destroy_of_garbage_is_done),
        T(archive_keeps_the_data_beside),         T(retain_leaves_the_data),
        T(shared_directories_outlive_one_volume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
