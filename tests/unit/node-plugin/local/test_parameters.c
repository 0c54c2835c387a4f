// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/local/image.h"
#include "node-plugin/local/local.h"
#include "node-plugin/local/quota.h"
#include "tests/support/cm.h"

#include <errno.h>
#include <string.h>

#include "lib/base/str.h"

enum { PROVISIONING_THIN, PROVISIONING_FULL };

static int parse(const struct string_pair *pairs, size_t count, struct local_parameters *ret, struct err *err) {
    *err = ERR_NONE;
    return local_parameters_parse(&(struct string_map){pairs, count}, ret, err);
}

static void defaults_are_thin_and_deleted_and_no_pool_is_named(void **state) {
    (void)state;
    struct local_parameters parsed cleanup(local_parameters_done) = {0};
    struct err err;
    memset(&parsed, 0xff, sizeof parsed);
    assert_int_equal(parse(NULL, 0, &parsed, &err), 0);
    assert_true(str_empty(parsed.pool));
    assert_int_equal(parsed.provisioning, PROVISIONING_THIN);
    assert_int_equal(parsed.on_delete, LOCAL_DELETE);
}

static void each_is_taken_without_case_of_its_name(void **state) {
    (void)state;
    struct local_parameters parsed cleanup(local_parameters_done) = {0};
    struct err err;
    const struct string_pair pairs[] = {
        {"POOL", "fast"}, {"Provisioning", "full"}, {"ondelete", "retain"}, {"allocation", "image"}};
    assert_int_equal(parse(pairs, ARRAY_SIZE(pairs), &parsed, &err), 0);
    assert_string_equal(parsed.pool, "fast");
    assert_int_equal(parsed.provisioning, PROVISIONING_FULL);
    assert_int_equal(parsed.on_delete, LOCAL_RETAIN);
}

static void what_the_orchestrator_adds_is_passed_over(void **state) {
    (void)state;
    struct local_parameters parsed cleanup(local_parameters_done) = {0};
    struct err err;
    const struct string_pair pairs[] = {{"csi.storage.k8s.io/pvc/name", "claim"}, {"onDelete", "retain"}};
    assert_int_equal(parse(pairs, ARRAY_SIZE(pairs), &parsed, &err), 0);
    assert_int_equal(parsed.on_delete, LOCAL_RETAIN);
}

static void wrong_values_are_refused_with_the_remedy(void **state) {
    (void)state;
    char long_name[LOCAL_POOL_SIZE + 1];
    memset(long_name, 'p', LOCAL_POOL_SIZE);
    long_name[LOCAL_POOL_SIZE] = '\0';
    const struct {
        const char *key, *value, *thing, *remedy;
    } cases[] = {
        {"allocation", "lvm", "'allocation'", "image"},
        {"provisioning", "thick", "'provisioning' has the value 'thick'", "thin, full"},
        {"provisioning", "", "'provisioning'", "thin, full"},
        {"onDelete", "archive", "'onDelete' has the value 'archive'", "delete, retain"},
        {"poool", "fast", "'poool'", "known are: pool, allocation, provisioning, onDelete"},
        {"server", "10.0.0.5", "'server'", "known are: pool"},
        {"csi.storage.k8s.io", "x", "'csi.storage.k8s.io'", "known are"},
        {"pool", long_name, "'pool' has 64 bytes", "the limit is 63"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        // A good text before it: it is released, and nothing of it is handed out.
        const struct string_pair pairs[] = {{"pool", "fast"}, {cases[i].key, cases[i].value}};
        struct local_parameters parsed;
        struct err err;
        int r = parse(pairs, 2, &parsed, &err);
        if (r != -EINVAL || !strstr(err.msg, cases[i].thing) || !strstr(err.msg, cases[i].remedy))
            fail_msg("%s=%s: code %d, message '%s'", cases[i].key, cases[i].value, r, err.msg);
        assert_null(parsed.pool);
    }
}

static void on_delete_alone_can_be_changed_later(void **state) {
    (void)state;
    const struct string_pair retain = {"onDelete", "retain"}, wrong = {"onDelete", "keep"};
    struct err err = ERR_NONE;
    int on_delete = LOCAL_DELETE;
    assert_int_equal(local_on_delete_parse(&(struct string_map){&retain, 1}, &on_delete, &err), 0);
    assert_int_equal(on_delete, LOCAL_RETAIN);
    assert_int_equal(local_on_delete_parse(&(struct string_map){0}, &on_delete, &err), 0);
    assert_int_equal(on_delete, LOCAL_RETAIN); // not asked for: it stays
    assert_int_equal(local_on_delete_parse(&(struct string_map){&wrong, 1}, &on_delete, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "delete, retain"));
    assert_int_equal(on_delete, LOCAL_RETAIN);
}

// ---- which pool ----

static void the_pool_is_the_one_named_or_the_only_one(void **state) {
    (void)state;
    struct local_pool fast = {.name = (char[]){"fast"}, .allocation = &allocation_image};
    struct local_pool big = {.name = (char[]){"big"}, .allocation = &allocation_quota}, *pools[] = {&fast, &big};
    struct local local = {.node_id = "node-1", .pools = pools};
    struct local_parameters none = {0}, named = {.pool = (char[]){"big"}}, other = {.pool = (char[]){"slow"}};
    struct local_pool *found = NULL;
    struct err err = ERR_NONE;

    assert_int_equal(local_parameters_pool(&local, &none, &found, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "node 'node-1' has no pool; see its --pool"));
    local.pool_count = 1;
    assert_int_equal(local_parameters_pool(&local, &none, &found, &err), 0);
    assert_ptr_equal(found, &fast);
    local.pool_count = 2;
    assert_int_equal(local_parameters_pool(&local, &named, &found, &err), 0);
    assert_ptr_equal(found, &big);
    assert_int_equal(local_parameters_pool(&local, &none, &found, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "has 2 such pools; name one by the parameter 'pool'"));
    assert_int_equal(local_parameters_pool(&local, &other, &found, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "node 'node-1' has no pool 'slow'; see its --pool"));
}

static int choose(struct local *local, const char *allocation, const char *pool, struct local_pool **ret,
                  struct err *err) {
    struct string_pair pairs[] = {{"allocation", (char *)allocation}, {"pool", (char *)pool}};
    struct local_parameters parsed cleanup(local_parameters_done) = {0};
    assert_int_equal(local_parameters_parse(&(struct string_map){pairs, pool ? 2 : 1}, &parsed, err), 0);
    return local_parameters_pool(local, &parsed, ret, err);
}

static void the_pool_is_of_the_kind_that_is_asked_for(void **state) {
    (void)state;
    struct local_pool fast = {.name = (char[]){"fast"}, .allocation = &allocation_image};
    struct local_pool big = {.name = (char[]){"big"}, .allocation = &allocation_quota}, *pools[] = {&fast, &big};
    struct local local = {.node_id = "node-1", .pools = pools, .pool_count = 2};
    struct local_pool *found = NULL;
    struct err err = ERR_NONE;
    assert_int_equal(choose(&local, "quota", NULL, &found, &err), 0);
    assert_ptr_equal(found, &big);
    assert_int_equal(choose(&local, "image", "fast", &found, &err), 0);
    assert_ptr_equal(found, &fast);
    assert_int_equal(choose(&local, "quota", "fast", &found, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "pool 'fast' is of kind image; allocation 'quota' is asked for"));
    assert_int_equal(choose(&local, "device", NULL, &found, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "node 'node-1' has no pool of kind device; see its --pool"));
}

static void a_broken_pool_is_told_of(void **state) {
    (void)state;
    struct local_pool fast = {.name = (char[]){"fast"},
                              .allocation = &allocation_image,
                              .broken = {.code = -ENODEV, .msg = "its disk is away"}};
    struct local_pool *pools[] = {&fast}, *found = NULL;
    struct local local = {.node_id = "node-1", .pools = pools, .pool_count = 1};
    struct local_parameters none = {0}, named = {.pool = (char[]){"fast"}};
    struct err err = ERR_NONE;
    assert_int_equal(local_parameters_pool(&local, &none, &found, &err), -ENODEV);
    assert_non_null(strstr(err.msg, "its disk is away"));
    assert_int_equal(local_parameters_pool(&local, &named, &found, &err), -ENODEV);
}

// ---- which ways to use a volume ----

static int supports(bool block, enum access_mode mode, const char *fs_type, struct err *err) {
    const struct volume_capability capability = {.block = block, .mode = mode, .fs_type = fs_type};
    struct local local = {.node_id = "node-1"};
    *err = ERR_NONE;
    return local_supports(&local, &capability, &(struct string_map){0}, err);
}

static void one_node_at_a_time(void **state) {
    (void)state;
    struct err err;
    for (int block = 0; block < 2; block++) {
        static const enum access_mode good[] = {ACCESS_SINGLE_NODE_WRITER, ACCESS_SINGLE_NODE_READER_ONLY,
                                                ACCESS_SINGLE_NODE_SINGLE_WRITER, ACCESS_SINGLE_NODE_MULTI_WRITER};
        static const enum access_mode bad[] = {ACCESS_MULTI_NODE_READER_ONLY, ACCESS_MULTI_NODE_SINGLE_WRITER,
                                               ACCESS_MULTI_NODE_MULTI_WRITER, ACCESS_UNKNOWN};
        for (size_t i = 0; i < ARRAY_SIZE(good); i++)
            assert_int_equal(supports(block, good[i], NULL, &err), 0);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
            assert_int_equal(supports(block, bad[i], NULL, &err), -EINVAL);
            assert_non_null(strstr(err.msg, "use ReadWriteOnce, or a shared volume"));
        }
    }
}

static void ext4_and_xfs_or_no_file_system_at_all(void **state) {
    (void)state;
    static const char *const good[] = {NULL, "", "ext4", "xfs"}, *const bad[] = {"ntfs", "EXT4", "ext3", "xfs "};
    struct err err;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_int_equal(supports(false, ACCESS_SINGLE_NODE_WRITER, good[i], &err), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(supports(false, ACCESS_SINGLE_NODE_WRITER, bad[i], &err), -EINVAL);
        assert_non_null(strstr(err.msg, bad[i]));
        assert_non_null(strstr(err.msg, "use ext4 or xfs"));
    }
    assert_int_equal(supports(true, ACCESS_SINGLE_NODE_WRITER, "ntfs", &err), 0); // a device has none
}

static void a_directory_is_no_device_and_takes_no_options(void **state) {
    (void)state;
    const struct local_pool pool = {.name = (char[]){"fast"}, .allocation = &allocation_quota, .fs_type = "xfs"};
    static const char *const flags[] = {"noatime"};
    const struct {
        struct volume_capability capability;
        const char *message; // NULL: served
    } cases[] = {
        {{.mode = ACCESS_SINGLE_NODE_WRITER}, NULL},
        {{.mode = ACCESS_SINGLE_NODE_WRITER, .fs_type = "xfs"}, NULL},
        {{.mode = ACCESS_SINGLE_NODE_WRITER, .fs_type = "ext4"}, "directories on xfs, ext4 is asked for; leave it out"},
        {{.mode = ACCESS_SINGLE_NODE_WRITER, .block = true}, "for volumeMode Block use kind 'image'"},
        {{.mode = ACCESS_SINGLE_NODE_WRITER, .mount_flags = flags, .mount_flag_count = 1}, "'noatime'"},
        {{.mode = ACCESS_MULTI_NODE_MULTI_WRITER}, "use ReadWriteOnce"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = ERR_NONE;
        int r = local_judge(&pool, &cases[i].capability, &err);
        if (r != (cases[i].message ? -EINVAL : 0) || (cases[i].message && !strstr(err.msg, cases[i].message)))
            fail_msg("case %zu: code %d, message '%s'", i, r, err.msg);
    }
}

static void parameters_are_judged_with_the_capability(void **state) {
    (void)state;
    const struct volume_capability capability = {.mode = ACCESS_SINGLE_NODE_WRITER};
    const struct string_pair pair = {"provisioning", "thick"};
    struct err err = ERR_NONE;
    assert_int_equal(local_supports(NULL, &capability, &(struct string_map){&pair, 1}, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "thin, full"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_thin_and_deleted_and_no_pool_is_named),
        cmocka_unit_test(each_is_taken_without_case_of_its_name),
        cmocka_unit_test(what_the_orchestrator_adds_is_passed_over),
        cmocka_unit_test(wrong_values_are_refused_with_the_remedy),
        cmocka_unit_test(on_delete_alone_can_be_changed_later),
        cmocka_unit_test(the_pool_is_the_one_named_or_the_only_one),
        cmocka_unit_test(the_pool_is_of_the_kind_that_is_asked_for),
        cmocka_unit_test(a_broken_pool_is_told_of),
        cmocka_unit_test(one_node_at_a_time),
        cmocka_unit_test(ext4_and_xfs_or_no_file_system_at_all),
        cmocka_unit_test(a_directory_is_no_device_and_takes_no_options),
        cmocka_unit_test(parameters_are_judged_with_the_capability),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
