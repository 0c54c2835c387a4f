// SPDX-License-Identifier: Apache-2.0
// Which directories of a node a volume may be, and where the walk without symbolic links begins.
#include "tests/support/cm.h"

#include <errno.h>
#include <string.h>

#include "node-plugin/origin.h"

static int find(const char *origin_path, const char *share, const char *sub_dir, struct node_origin *ret,
                struct err *err) {
    char *paths[] = {(char[]){"/mnt/lustre"}, (char[]){"/srv/data/"}, (char[]){"/mnt/lustre/projects"}};
    const struct field_list allowed = {paths, ARRAY_SIZE(paths)};
    const struct string_pair pairs[] = {
        {"nodeGroup", "a"}, {"origin", "mount"}, {"originPath", origin_path}, {"share", share}, {"subDir", sub_dir}};
    struct volume_source source cleanup(volume_source_done) = {0};
    assert_int_equal(volume_source_parse(&(struct string_map){pairs, share ? sub_dir ? 5 : 4 : 3}, &source, err), 0);
    return node_origin_find(&allowed, NULL, &source, ret, err);
}

static void assert_found(const char *path, const char *share, const char *sub_dir, const char *root, const char *dir) {
    struct node_origin origin cleanup(node_origin_done) = {0};
    struct err err = ERR_NONE;
    if (find(path, share, sub_dir, &origin, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(origin.root, root);
    assert_string_equal(origin.dir, dir);
}

static void what_is_below_an_allowed_directory_is_walked(void **state) {
    (void)state;
    assert_found("/mnt/lustre", NULL, NULL, "/mnt/lustre", "");
    assert_found("/mnt/lustre/", "/", "v", "/mnt/lustre", "v");
    assert_found("/mnt/lustre/sets/a", "/b/", "c/d", "/mnt/lustre", "sets/a/b/c/d");
    assert_found("/mnt/lustre/projects/x", NULL, NULL, "/mnt/lustre/projects", "x");
    assert_found("/srv/data", "/e", NULL, "/srv/data", "e");
}

static void others_are_refused(void **state) {
    static const char *const bad[] = {"/etc", "/mnt", "/mnt/lustre2", "/srv", "/srv/database/x"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct node_origin origin = {0};
        struct err err = ERR_NONE;
        assert_int_equal(find(bad[i], NULL, NULL, &origin, &err), -EACCES);
        assert_true(strstr(err.msg, bad[i]) && strstr(err.msg, "--origin-path-allowed"));
        assert_null(origin.root);
    }
}

static void an_origin_on_a_server_needs_no_permission(void **state) {
    const struct string_pair pairs[] = {{"server", "s"}, {"share", "/e"}, {"nodeGroup", "a"}};
    struct volume_source source cleanup(volume_source_done) = {0};
    struct node_origin origin = {0};
    (void)state;
    assert_int_equal(volume_source_parse(&(struct string_map){pairs, 3}, &source, NULL), 0);
    assert_int_equal(node_origin_find(NULL, NULL, &source, &origin, NULL), 0);
    assert_null(origin.root);
}

static void a_context_has_one_origin(void **state) {
    const struct string_pair pairs[] = {
        {"server", "s"}, {"share", "/e"}, {"nodeGroup", "a"}, {"origin", "mount"}, {"originPath", "/mnt/x"}};
    const struct string_pair up[] = {{"nodeGroup", "a"}, {"origin", "mount"}, {"originPath", "/mnt/../etc"}};
    struct volume_source source = {0};
    struct err err = ERR_NONE;
    (void)state;
    assert_int_equal(volume_source_parse(&(struct string_map){pairs, 5}, &source, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "origin: mount"));
    assert_int_equal(volume_source_parse(&(struct string_map){up, 3}, &source, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "'..'"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_below_an_allowed_directory_is_walked),
        cmocka_unit_test(others_are_refused),
        cmocka_unit_test(an_origin_on_a_server_needs_no_permission),
        cmocka_unit_test(a_context_has_one_origin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
