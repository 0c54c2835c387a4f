// SPDX-License-Identifier: Apache-2.0
// What happens to a volume between create and delete: listed, published, expanded, modified.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cm.h"
#include "tests/support/volume_kit.h"

static void list_is_sorted_and_tells_damage(void **arg) {
    struct volume_kit *s = *arg;
    struct err err = ERR_NONE;
    struct str out = {0};
    char *one = volume_kit_make(&s->f, "one"), *two = volume_kit_make(&s->f, "two"), path[128];
    assert_int_equal(volume_ops.list(s->f.volumes, &s->f.ctx, NULL, volume_kit_collect, &out, &err), 0);
    assert_string_equal(str_text(&out), "@10.0.0.5/data @10.0.0.5/data ");
    str_done(&out);
    const char *first = strcmp(one, two) < 0 ? one : two;
    assert_int_equal(volume_ops.list(s->f.volumes, &s->f.ctx, first, volume_kit_collect, &out, &err), 0);
    assert_string_equal(str_text(&out), "@10.0.0.5/data ");
    str_done(&out);
    (void)snprintf(path, sizeof path, ".stowage/volumes/%.26s.json", one + 2);
    fixture_write_file(&s->f, path, "{\"version\":1,");
    fixture_restart(&s->f);
    assert_int_equal(volume_ops.list(s->f.volumes, &s->f.ctx, NULL, volume_kit_collect, &out, &err), 0);
    assert_non_null(strstr(str_text(&out), "!"));
    str_done(&out);
    assert_int_equal(volume_kit_destroy(&s->f, one, &err), -EBADMSG);
    assert_non_null(strstr(err.msg, path));
    struct volume_info info = {0};
    assert_int_equal(fixture_create(&s->f, "one", NULL, NULL, &info, &err), -EBADMSG);
    fixture_write_file(&s->f, path, "{\"version\":9,\"kind\":\"volume\",\"name\":\"one\"}");
    assert_int_equal(volume_kit_destroy(&s->f, one, &err), -EBUSY);
    assert_non_null(strstr(err.msg, "newer"));
    free(one);
    free(two);
}

static int publish(struct fixture *f, const char *id, const char *node, enum access_mode mode, bool read_only,
                   struct err *err) {
    struct publish_request request = {
        .volume_id = id, .node_id = node, .capability = {.mode = mode}, .read_only = read_only};
    return volume_ops.publish(f->volumes, &f->ctx, &request, err);
}

static void publish_is_a_registry_with_limits(void **arg) {
    struct volume_kit *s = *arg;
    struct volume_node nodes[] = {{(char *)(uintptr_t) "n1", 2}, {(char *)(uintptr_t) "n2", 0}};
    struct volumes_options options = {.nodes = nodes, .node_count = 2};
    struct err err = ERR_NONE;
    fixture_stop(&s->f);
    fixture_start(&s->f, s->store, &options);
    char *a = volume_kit_make(&s->f, "a"), *b = volume_kit_make(&s->f, "b"), *c = volume_kit_make(&s->f, "c");
    enum access_mode many = ACCESS_MULTI_NODE_MULTI_WRITER, single = ACCESS_SINGLE_NODE_WRITER;
    assert_int_equal(publish(&s->f, a, "n9", many, false, &err), -ENOENT);
    assert_int_equal(publish(&s->f, "v-nonsense", "n1", many, false, &err), -ENOENT);
    assert_int_equal(publish(&s->f, a, "n1", many, false, &err), 0);
    assert_int_equal(publish(&s->f, a, "n1", many, false, &err), 0);
    assert_int_equal(publish(&s->f, a, "n1", many, true, &err), -EEXIST);
    assert_int_equal(publish(&s->f, a, "n2", many, false, &err), 0);
    assert_int_equal(publish(&s->f, b, "n1", single, false, &err), 0);
    assert_int_equal(publish(&s->f, b, "n2", single, false, &err), -EBUSY);
    assert_int_equal(publish(&s->f, c, "n1", many, false, &err), -EMFILE);
    assert_int_equal(volume_kit_destroy(&s->f, a, &err), -EBUSY);
    assert_int_equal(volume_ops.unpublish(s->f.volumes, &s->f.ctx, a, "n1", &err), 0);
    assert_int_equal(volume_ops.unpublish(s->f.volumes, &s->f.ctx, a, "n1", &err), 0);
    assert_int_equal(publish(&s->f, c, "n1", many, false, &err), 0);
    assert_int_equal(volume_ops.unpublish(s->f.volumes, &s->f.ctx, a, NULL, &err), 0);
    assert_int_equal(volume_kit_destroy(&s->f, a, &err), 0);
    free(a);
    free(b);
    free(c);
}

static void expand_grows_only(void **arg) {
    struct volume_kit *s = *arg;
    struct err err = ERR_NONE;
    char *id = volume_kit_make(&s->f, "v");
    int64_t bytes = 0;
    assert_int_equal(volume_ops.expand(s->f.volumes, &s->f.ctx, id, 2 * VOLUME_BYTES_DEFAULT, 0, &bytes, &err), 0);
    assert_int_equal(bytes, 2 * VOLUME_BYTES_DEFAULT);
    assert_int_equal(volume_ops.expand(s->f.volumes, &s->f.ctx, id, VOLUME_BYTES_DEFAULT, 0, &bytes, &err), 0);
    assert_int_equal(bytes, 2 * VOLUME_BYTES_DEFAULT);
    assert_int_equal(volume_ops.expand(s->f.volumes, &s->f.ctx, id, 1, VOLUME_BYTES_DEFAULT, &bytes, &err), -ERANGE);
    assert_int_equal(volume_ops.expand(s->f.volumes, &s->f.ctx, "nothing", 1, 0, &bytes, &err), -ENOENT);
    free(id);
}

static void modify_takes_what_can_change(void **arg) {
    struct volume_kit *s = *arg;
    struct err err = ERR_NONE;
    char *id = volume_kit_make(&s->f, "v");
    struct string_pair good[] = {{"onDelete", "retain"}, {"mountPermissions", "0770"}};
    struct string_pair bad[] = {{"onDelete", "retain"}, {"server", "other"}};
    assert_int_equal(volume_ops.modify(s->f.volumes, &s->f.ctx, id, &(struct string_map){bad, 2}, &err), -EINVAL);
    assert_int_equal(volume_ops.modify(s->f.volumes, &s->f.ctx, "none", &(struct string_map){good, 2}, &err), -ENOENT);
    assert_int_equal(volume_ops.modify(s->f.volumes, &s->f.ctx, id, &(struct string_map){good, 2}, &err), 0);
    assert_int_equal(volume_kit_destroy(&s->f, id, &err), 0);
    assert_true(fixture_exists(&s->f, "v"));
    free(id);
}

static void capacity_is_the_share_s(void **arg) {
    struct volume_kit *s = *arg;
    struct err err = ERR_NONE;
    struct capacity_info info = {0};
    struct string_pair pairs[] = {{"server", FIXTURE_SERVER}, {"share", FIXTURE_SHARE}};
    assert_int_equal(volume_ops.capacity(s->f.volumes, &s->f.ctx, &(struct string_map){0}, NULL, &info, &err), 0);
    assert_true(info.available_bytes > 0);
    assert_int_equal(volume_ops.capacity(s->f.volumes, &s->f.ctx, &(struct string_map){pairs, 2}, NULL, &info, &err),
                     0);
    assert_true(info.available_bytes > 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, volume_kit_setup, volume_kit_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(list_is_sorted_and_tells_damage), T(publish_is_a_registry_with_limits), T(expand_grows_only),
        T(modify_takes_what_can_change),    T(capacity_is_the_share_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
