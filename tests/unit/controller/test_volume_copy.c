// SPDX-License-Identifier: Apache-2.0
// Volumes with a content source, over a tree work that copies one file.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/volume_private.h"
#include "tests/support/cm.h"
#include "tests/support/volume_kit.h"

static int clone_of(struct fixture *f, const char *name, const char *source, struct volume_info *ret, struct err *err) {
    struct string_pair pairs[] = {{"server", FIXTURE_SERVER}, {"share", FIXTURE_SHARE}};
    struct volume_capability capability = {.mode = ACCESS_MULTI_NODE_MULTI_WRITER};
    struct volume_create_request request = {.name = name,
                                            .capabilities = &capability,
                                            .capability_count = 1,
                                            .parameters = {pairs, 2},
                                            .source = CONTENT_VOLUME,
                                            .source_id = source};
    return volume_ops.create(f->volumes, &f->ctx, &request, ret, err);
}

static void clones_are_ready_when_whole(void **arg) {
    struct volume_kit *s = *arg;
    struct err err = ERR_NONE;
    struct volume_info info = {0};
    struct str out = {0};
    char *id = volume_kit_make(&s->f, "source");
    assert_int_equal(clone_of(&s->f, "c", "v-aaaaaaaaaaaaaaaaaaaaaaaaaa@10.0.0.5/data", &info, &err), -ENOENT);
    assert_int_equal(clone_of(&s->f, "c", "garbage", &info, &err), -ENOENT);
    assert_false(fixture_exists(&s->f, "c"));
    fixture_make_file(&s->f, "filled/file"); // it must not mix with the copy
    assert_int_equal(clone_of(&s->f, "filled", id, &info, &err), -EEXIST);
    assert_true(fixture_exists(&s->f, "filled/file"));
    s->f.work.hold = true;
    assert_int_equal(clone_of(&s->f, "c", id, &info, &err), -EAGAIN);
    assert_non_null(strstr(err.msg, "43 %"));
    assert_int_equal(volume_kit_destroy(&s->f, id, &err), -EBUSY); // it is being copied
    assert_int_equal(volume_ops.list(s->f.volumes, &s->f.ctx, NULL, volume_kit_collect, &out, &err), 0);
    assert_string_equal(str_text(&out), "@10.0.0.5/data "); // only the source
    str_done(&out);
    s->f.work.hold = false;
    assert_int_equal(clone_of(&s->f, "c", id, &info, &err), 0);
    assert_true(fixture_exists(&s->f, "c/copied"));
    assert_int_equal(info.source, CONTENT_VOLUME);
    assert_string_equal(info.source_id, id);
    volume_info_done(&info);
    assert_int_equal(volume_kit_destroy(&s->f, id, &err), 0);
    free(id);
}

// One controller still sees the volume being copied, while another one has completed it, the source was deleted and
// the application emptied the volume. What is ready stays.
static void a_ready_clone_outlives_its_source(void **arg) {
    struct volume_kit *s = *arg;
    struct err err = ERR_NONE;
    struct volume_info info = {0};
    struct record *record cleanup(record_freep) = NULL;
    char key[HASH_ID_LEN + 1];
    char *id = volume_kit_make(&s->f, "source");
    hash_id("c", 1, key);
    s->f.work.hold = true;
    assert_int_equal(clone_of(&s->f, "c", id, &info, &err), -EAGAIN);
    struct share *share cleanup(share_freep) = fixture_share(&s->f);
    assert_int_equal(store_get(share, SHARED_VOLUME, key, s->f.ctx.deadline_ns, &record, &err), 0);
    s->f.work.hold = false;
    assert_int_equal(clone_of(&s->f, "c", id, &info, &err), 0);
    volume_info_done(&info);
    assert_int_equal(volume_kit_destroy(&s->f, id, &err), 0);
    struct nfs_call drop = {.op = NFS_REMOVE, .name = "copied"};
    assert_int_equal(share_walk(share, "c", s->f.ctx.deadline_ns, &drop.fh, NULL, &err), 0);
    assert_int_equal(share_call(share, &drop, "empty it", &err), 0);
    assert_int_equal(volume_copy_run(s->f.volumes, share, record, &s->f.ctx, &err), 0);
    assert_true(fixture_exists(&s->f, "c"));
    assert_int_equal(fixture_entries(&s->f, ".stowage/volumes"), 1);
    free(id);
}

static bool left_at_once(void *arg) {
    ++*(int *)arg;
    return true;
}

static void nobody_waits_for_a_client_that_left(void **arg) {
    struct volume_kit *s = *arg;
    struct err err = ERR_NONE;
    struct volume_info info = {0};
    int asked = 0;
    char *id = volume_kit_make(&s->f, "source");
    s->f.work.hold = s->f.work.slow = true;
    s->f.ctx.cancelled = left_at_once;
    s->f.ctx.arg = &asked;
    assert_int_equal(clone_of(&s->f, "c", id, &info, &err), -EAGAIN);
    assert_int_equal(s->f.work.waits, 1);
    assert_int_equal(asked, 1);
    free(id);
}

#define T(f) cmocka_unit_test_setup_teardown(f, volume_kit_setup, volume_kit_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(clones_are_ready_when_whole),
        T(a_ready_clone_outlives_its_source),
        T(nobody_waits_for_a_client_that_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
