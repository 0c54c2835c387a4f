// SPDX-License-Identifier: Apache-2.0
// CreateVolume over an in-memory share.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cm.h"
#include "tests/support/volume_kit.h"

static const char *context_of(const struct volume_info *info, const char *key) {
    for (size_t i = 0; i < info->context_count; i++)
        if (strcmp(info->context[i].key, key) == 0)
            return info->context[i].value;
    return NULL;
}

static void create_makes_a_directory_and_an_id(void **arg) {
    struct volume_kit *s = *arg;
    struct volume_info info = {0};
    struct err err = ERR_NONE;
    assert_int_equal(fixture_create(&s->f, "pvc-1", NULL, NULL, &info, &err), 0);
    assert_true(fixture_exists(&s->f, "pvc-1"));
    assert_int_equal(info.capacity_bytes, VOLUME_BYTES_DEFAULT);
    assert_string_equal(context_of(&info, "server"), FIXTURE_SERVER);
    assert_string_equal(context_of(&info, "share"), FIXTURE_SHARE);
    assert_string_equal(context_of(&info, "subDir"), "pvc-1");
    assert_string_equal(context_of(&info, "mountMode"), "auto");
    assert_true(strncmp(info.id, "v-", 2) == 0 && strcmp(info.id + 28, "@10.0.0.5/data") == 0);
    assert_int_equal(fixture_entries(&s->f, ".stowage/tmp"), 0);
    volume_info_done(&info);
}

static void create_costs_few_round_trips(void **arg) {
    struct volume_kit *s = *arg;
    struct err err = ERR_NONE;
    char *first = volume_kit_make(&s->f, "first");
    long before = faulty_nfs_count(s->f.nfs, FAULTY_ANY, 0);
    char *second = volume_kit_make(&s->f, "second");
    assert_int_equal(faulty_nfs_count(s->f.nfs, FAULTY_ANY, 0) - before, 6);
    before = faulty_nfs_count(s->f.nfs, FAULTY_ANY, 0);
    assert_int_equal(volume_kit_destroy(&s->f, second, &err), 0);
    assert_int_equal(faulty_nfs_count(s->f.nfs, FAULTY_ANY, 0) - before, 7);
    free(first);
    free(second);
}

static void create_again_is_the_same_volume(void **arg) {
    struct volume_kit *s = *arg;
    struct err err = ERR_NONE;
    struct volume_info info = {0};
    char *id = volume_kit_make(&s->f, "pvc-1");
    fixture_restart(&s->f);
    char *again = volume_kit_make(&s->f, "pvc-1");
    assert_string_equal(id, again);
    assert_int_equal(fixture_create(&s->f, "pvc-1", "subDir", "elsewhere", &info, &err), -EEXIST);
    assert_non_null(strstr(err.msg, "subDir"));
    assert_false(fixture_exists(&s->f, "elsewhere"));
    free(id);
    free(again);
}

static int create_sized(struct fixture *f, const char *name, int64_t required, int64_t limit, int64_t *ret,
                        struct err *err) {
    struct string_pair pairs[] = {{"server", FIXTURE_SERVER}, {"share", FIXTURE_SHARE}};
    struct volume_capability capability = {.mode = ACCESS_MULTI_NODE_MULTI_WRITER};
    struct volume_create_request request = {.name = name,
                                            .required_bytes = required,
                                            .limit_bytes = limit,
                                            .capabilities = &capability,
                                            .capability_count = 1,
                                            .parameters = {pairs, 2}};
    struct volume_info info = {0};
    int r = volume_ops.create(f->volumes, &f->ctx, &request, &info, err);
    *ret = info.capacity_bytes;
    volume_info_done(&info);
    return r;
}

static void sizes_follow_the_request(void **arg) {
    struct volume_kit *s = *arg;
    struct err err = ERR_NONE;
    int64_t bytes = 0;
    assert_int_equal(create_sized(&s->f, "exact", 12345678, 12345678, &bytes, &err), 0);
    assert_int_equal(bytes, 12345678);
    assert_int_equal(create_sized(&s->f, "exact", 2 * 12345678, 0, &bytes, &err), -EEXIST);
    assert_int_equal(create_sized(&s->f, "exact", 0, 12345677, &bytes, &err), -EEXIST);
    assert_int_equal(create_sized(&s->f, "limited", 0, VOLUME_BYTES_MIN + 1, &bytes, &err), 0);
    assert_int_equal(bytes, VOLUME_BYTES_MIN + 1);
    assert_int_equal(create_sized(&s->f, "small", 0, VOLUME_BYTES_MIN - 1, &bytes, &err), -ERANGE);
    assert_int_equal(create_sized(&s->f, "crossed", 2 * VOLUME_BYTES_MIN, VOLUME_BYTES_MIN, &bytes, &err), -ERANGE);
    assert_int_equal(create_sized(&s->f, "huge", INT64_MAX, INT64_MAX, &bytes, &err), 0);
    assert_int_equal(bytes, INT64_MAX);
    assert_false(fixture_exists(&s->f, "small"));
}

static void bad_requests_change_nothing(void **arg) {
    static const struct {
        const char *key, *value, *word;
    } rows[] = {
        {"subDir", "../up", "subDir"},
        {"subDir", "/abs", "absolute"},
        {"subDir", "a/../b", "subDir"},
        {"subDir", ".stowage/x", ".stowage"},
        {"sudDir", "x", "sudDir"},
        {"onDelete", "burn", "onDelete"},
        {"mountPermissions", "9", "mountPermissions"},
        {"uid", "-5", "uid"},
        {"subDir", "a//b", "subDir"},
        {"subDir", "${pvc.metadata.name}", "extra-create-metadata"},
    };
    struct volume_kit *s = *arg;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err = ERR_NONE;
        struct volume_info info = {0};
        assert_int_equal(fixture_create(&s->f, "bad", rows[i].key, rows[i].value, &info, &err), -EINVAL);
        assert_non_null(strstr(err.msg, rows[i].word));
    }
    assert_int_equal(fixture_entries(&s->f, ""), 0); // not even .stowage
}

static void names_of_all_kinds_become_directories(void **arg) {
    struct volume_kit *s = *arg;
    char longest[513];
    memset(longest, 0, sizeof longest);
    for (int i = 0; i < 128; i++)
        memcpy(longest + 4 * i, "\xF0\x9F\x98\x80", 4);
    const char *names[] = {"a", "..", ".stowage", "with/slash", "ümlaut", longest};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *id = volume_kit_make(&s->f, names[i]);
        assert_true(strlen(id) <= CSI_ID_MAX);
        free(id);
    }
    assert_int_equal(fixture_entries(&s->f, ""), 7);
    assert_int_equal(fixture_entries(&s->f, ".stowage/volumes"), 6);
}

static void a_newer_layout_is_refused(void **arg) {
    struct volume_kit *s = *arg;
    struct err err = ERR_NONE;
    struct volume_info info = {0};
    fixture_write_file(&s->f, ".stowage/format", "{\"version\":2}");
    assert_int_equal(fixture_create(&s->f, "v", NULL, NULL, &info, &err), -EBUSY);
    assert_non_null(strstr(err.msg, "newer"));
    assert_int_equal(fixture_entries(&s->f, ".stowage"), 1);
}

static void trouble_has_a_name_and_leaves_nothing(void **arg) {
    struct volume_kit *s = *arg;
    struct err err = ERR_NONE;
    struct volume_info info = {0};
    char *id = volume_kit_make(&s->f, "v");
    faulty_nfs_fail(s->f.nfs, FAULTY_OP, NFS_WRITE, 1, -ENOSPC);
    assert_int_equal(fixture_create(&s->f, "w", NULL, NULL, &info, &err), -ENOSPC);
    assert_non_null(strstr(err.msg, "10.0.0.5/data"));
    assert_false(fixture_exists(&s->f, "w"));
    assert_int_equal(fixture_entries(&s->f, ".stowage/tmp"), 0);
    fake_nfs_set_denied(s->store, true);
    assert_int_equal(fixture_create(&s->f, "w", NULL, NULL, &info, &err), -EACCES);
    assert_non_null(strstr(err.msg, "no_root_squash"));
    fake_nfs_set_denied(s->store, false);
    faulty_nfs_hold(s->f.nfs, true);
    s->f.ctx.deadline_ns = clock_monotonic(&clock_system) + 50 * NS_PER_MS;
    assert_int_equal(volume_kit_destroy(&s->f, id, &err), -EHOSTUNREACH);
    assert_non_null(strstr(err.msg, "10.0.0.5/data"));
    faulty_nfs_hold(s->f.nfs, false);
    free(id);
}

static void block_access_is_refused(void **arg) {
    struct volume_kit *s = *arg;
    struct err err = ERR_NONE;
    const char *flag = "bind";
    struct volume_capability block = {.block = true, .mode = ACCESS_SINGLE_NODE_WRITER};
    struct volume_capability xfs = {.mode = ACCESS_SINGLE_NODE_WRITER, .fs_type = "xfs"};
    struct volume_capability flags = {.mode = ACCESS_SINGLE_NODE_WRITER, .mount_flags = &flag, .mount_flag_count = 1};
    struct string_map none = {0};
    assert_int_equal(volume_ops.supports(s->f.volumes, &block, &none, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "block"));
    assert_int_equal(volume_ops.supports(s->f.volumes, &xfs, &none, &err), -EINVAL);
    assert_int_equal(volume_ops.supports(s->f.volumes, &flags, &none, &err), -EINVAL);
    flag = "nfsvers=4.1";
    assert_int_equal(volume_ops.supports(s->f.volumes, &flags, &none, &err), 0);
}

static int create_in_group(struct volume_kit *s, const char *name, const char *group, const char *mode,
                           const char *const *topologies, size_t count, struct volume_info *ret, struct err *err) {
    struct string_pair pairs[] = {
        {"server", FIXTURE_SERVER}, {"share", FIXTURE_SHARE}, {"nodeGroup", group}, {"cacheMode", mode}};
    struct volume_capability capability = {.mode = ACCESS_MULTI_NODE_MULTI_WRITER};
    struct volume_create_request request = {.name = name,
                                            .capabilities = &capability,
                                            .capability_count = 1,
                                            .parameters = {pairs, ARRAY_SIZE(pairs)},
                                            .topologies = topologies,
                                            .topology_count = count};
    return volume_ops.create(s->f.volumes, &s->f.ctx, &request, ret, err);
}

static void a_volume_of_a_group_is_there_only(void **arg) {
    static const char *const places[] = {"b", "a"};
    struct volume_kit *s = *arg;
    struct volume_info info = {0}, again = {0};
    struct err err = ERR_NONE;
    assert_int_equal(create_in_group(s, "v", "a", "ttl", places, 1, &info, &err), -ENOSPC);
    assert_true(strstr(err.msg, "'a'") && strstr(err.msg, "'b'"));
    assert_false(fixture_exists(&s->f, "v"));
    assert_int_equal(create_in_group(s, "v", "a", "ttl", places, 2, &info, &err), 0);
    assert_string_equal(info.topology, "a");
    assert_string_equal(context_of(&info, "nodeGroup"), "a");
    assert_string_equal(context_of(&info, "cacheMode"), "ttl");
    fixture_restart(&s->f); // its record tells the same
    assert_int_equal(volume_ops.get(s->f.volumes, &s->f.ctx, info.id, &again, &err), 0);
    assert_string_equal(again.topology, "a");
    assert_string_equal(context_of(&again, "cacheMode"), "ttl");
    volume_info_done(&again);
    assert_int_equal(create_in_group(s, "v", "b", "ttl", NULL, 0, &again, &err), -EEXIST);
    assert_int_equal(create_in_group(s, "v", "a", "strict", NULL, 0, &again, &err), -EEXIST);
    assert_non_null(strstr(err.msg, "nodeGroup, cache or origin"));
    volume_info_done(&info);
}

static void capacity_of_a_group_is_at_its_nodes(void **arg) {
    struct volume_kit *s = *arg;
    struct string_pair pairs[] = {{"server", FIXTURE_SERVER}, {"share", FIXTURE_SHARE}, {"nodeGroup", "a"}};
    const struct string_map parameters = {pairs, 3};
    struct capacity_info info = {0};
    assert_int_equal(volume_ops.capacity(s->f.volumes, &s->f.ctx, &parameters, "a", &info, NULL), 0);
    assert_true(info.available_bytes > 0);
    assert_int_equal(volume_ops.capacity(s->f.volumes, &s->f.ctx, &parameters, "b", &info, NULL), 0);
    assert_int_equal(info.available_bytes, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, volume_kit_setup, volume_kit_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(create_makes_a_directory_and_an_id),
        T(create_costs_few_round_trips),
        T(create_again_is_the_same_volume),
        T(sizes_follow_the_request),
        T(bad_requests_change_nothing),
        T(names_of_all_kinds_become_directories),
        T(a_newer_layout_is_refused),
        T(trouble_has_a_name_and_leaves_nothing),
        T(block_access_is_refused),
        T(a_volume_of_a_group_is_there_only),
        T(capacity_of_a_group_is_at_its_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
