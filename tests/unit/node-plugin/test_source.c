// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cm.h"

#include <errno.h>
#include <string.h>

#include "node-plugin/source.h"

#define PARSE(ret, err, ...)                                                                                           \
    volume_source_parse(                                                                                               \
        &(struct string_map){(const struct string_pair[]){__VA_ARGS__},                                                \
                             sizeof((const struct string_pair[]){__VA_ARGS__}) / sizeof(struct string_pair)},          \
        ret, err)
#define SERVER                                                                                                         \
    { "server", "10.0.0.5" }
#define SHARE                                                                                                          \
    { "share", "/exports/data" }

static void joins_server_share_and_directory(void **state) {
    (void)state;
    struct volume_source s cleanup(volume_source_done) = {0};
    assert_int_equal(PARSE(&s, NULL, SERVER, SHARE, {"subDir", "a/b/"}, {"mountMode", "fuse"}, {"nfsPort", "12049"},
                           {"nfsVersion", "4"}, {"connections", "8"}),
                     0);
    assert_string_equal(s.directory, "/exports/data/a/b");
    assert_string_equal(s.name, "10.0.0.5:/exports/data/a/b");
    assert_int_equal(s.mount_mode, MOUNT_MODE_FUSE);
    assert_int_equal(s.nfs_port, 12049);
    assert_int_equal(s.mount_port, 0);
    assert_int_equal(s.nfs_version, 4);
    assert_int_equal(s.connections, 8);
}

static void the_root_of_a_share_and_an_address_with_colons(void **state) {
    (void)state;
    struct volume_source s cleanup(volume_source_done) = {0};
    assert_int_equal(PARSE(&s, NULL, {"server", "fd00::5"}, {"share", "/"}), 0);
    assert_string_equal(s.directory, "/");
    assert_string_equal(s.name, "[fd00::5]:/");
    struct volume_source t cleanup(volume_source_done) = {0};
    assert_int_equal(PARSE(&t, NULL, SERVER, {"share", "/"}, {"subDir", "v"}), 0);
    assert_string_equal(t.directory, "/v");
    // In brackets it is the same server: bare for resolvers, in brackets for the kernel.
    struct volume_source u cleanup(volume_source_done) = {0};
    assert_int_equal(PARSE(&u, NULL, {"server", "[fd00::5]"}, {"share", "/"}), 0);
    assert_string_equal(u.server, "fd00::5");
    assert_string_equal(u.name, "[fd00::5]:/");
}

static void what_others_add_is_ignored(void **state) {
    (void)state;
    struct volume_source s cleanup(volume_source_done) = {0};
    assert_int_equal(PARSE(&s, NULL, SERVER, SHARE, {"storage.kubernetes.io/csiProvisionerIdentity", "x"},
                           {"csi.storage.k8s.io/pod.name", "p"}),
                     0);
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
    static const struct {
        struct string_pair pair;
        const char *named;
    } bad[] = {
        {{"server", "[]"}, "server"},          {{"server", "[fd00::5"}, "server"},
        {{"server", "fd00::5]"}, "server"},    {{"server", "[host]"}, "server"},
        {{"server", "[fd00::5]]"}, "server"},  {{"server", "["}, "server"},
        {{"server", "a,b"}, "server"},         {{"server", "a/b"}, "server"},
        {{"server", "a b"}, "server"},         {{"share", "relative"}, "share"},
        {{"share", "/a/../b"}, "share"},       {{"subDir", "/abs"}, "subDir"},
        {{"subDir", "a/../../b"}, "subDir"},   {{"mountMode", "x"}, "mountMode"},
        {{"nfsPort", "70000"}, "nfsPort"},     {{"nfsVersion", "2"}, "nfsVersion"},
        {{"connections", "0"}, "connections"}, {{"connections", "17"}, "connections"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct volume_source s cleanup(volume_source_done) = {0};
        struct err err = ERR_NONE;
        assert_int_equal(PARSE(&s, &err, SERVER, SHARE, bad[i].pair), -EINVAL);
        assert_non_null(strstr(err.msg, bad[i].named));
    }
    struct volume_source s cleanup(volume_source_done) = {0};
    struct err err = ERR_NONE;
    assert_int_equal(PARSE(&s, &err, SHARE), -EINVAL);
    assert_non_null(strstr(err.msg, "server"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins_server_share_and_directory),
        cmocka_unit_test(the_root_of_a_share_and_an_address_with_colons),
        cmocka_unit_test(what_others_add_is_ignored),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
