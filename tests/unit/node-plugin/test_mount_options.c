// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cm.h"

#include <errno.h>
#include <string.h>

#include "node-plugin/mount_options.h"

static int parse(const char *flag, enum mount_mode mode, struct mount_options *ret, struct err *err) {
    *ret = (struct mount_options){0};
    return mount_options_parse(&flag, 1, mode, ret, err);
}

static void fuse_translates_what_it_knows(void **state) {
    (void)state;
    const char *flags[] = {"ro,nfsvers=4.1", "nconnect=8", "hard", "port=12049,mountport=12050", "noatime"};
    struct mount_options options cleanup(mount_options_done) = {0};
    assert_int_equal(mount_options_parse(flags, 5, MOUNT_MODE_FUSE, &options, NULL), 0);
    assert_true(options.read_only);
    assert_int_equal(options.version, 4);
    assert_int_equal(options.connections, 8);
    assert_int_equal(options.port, 12049);
    assert_int_equal(options.mount_port, 12050);
}

static void fuse_refuses_what_it_cannot_honour(void **state) {
    (void)state;
    static const char *const bad[] = {"sec=krb5",   "proto=rdma", "vers=2", "nconnect=0", "nconnect=17", "nconnect=x",
                                      "port=70000", "frobnicate", "vers",   "a b",        "ro\nrw"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct mount_options options cleanup(mount_options_done) = {0};
        struct err err = ERR_NONE;
        assert_int_equal(parse(bad[i], MOUNT_MODE_FUSE, &options, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "mount option"));
    }
}

static void the_kernel_gets_everything_as_it_was_given(void **state) {
    (void)state;
    const char *flags[] = {"vers=4.2", "", "sec=krb5p,,nconnect=16"};
    struct mount_options options cleanup(mount_options_done) = {0};
    assert_int_equal(mount_options_parse(flags, 3, MOUNT_MODE_KERNEL, &options, NULL), 0);
    assert_string_equal(options.kernel, "vers=4.2,sec=krb5p,nconnect=16");
    struct mount_options other cleanup(mount_options_done) = {0};
    assert_int_equal(parse("a b", MOUNT_MODE_KERNEL, &other, NULL), -EINVAL);
}

static void the_kernel_is_not_told_to_mount_something_else(void **state) {
    (void)state;
    static const char *const bad[] = {"addr=10.0.0.9", "mountaddr=10.0.0.9", "hard,bind", "remount",
                                      "X-mount.mkdir=0777"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct mount_options options cleanup(mount_options_done) = {0};
        struct err err = ERR_NONE;
        assert_int_equal(parse(bad[i], MOUNT_MODE_KERNEL, &options, &err), -EINVAL);
        assert_non_null(strstr(err.msg, "remove it"));
    }
    struct mount_options good cleanup(mount_options_done) = {0};
    assert_int_equal(parse("clientaddr=10.0.0.9,x-systemd.automount", MOUNT_MODE_KERNEL, &good, NULL), 0);
}

static void the_last_of_ro_and_rw_counts(void **state) {
    (void)state;
    struct mount_options options cleanup(mount_options_done) = {0};
    assert_int_equal(parse("ro,rw", MOUNT_MODE_FUSE, &options, NULL), 0);
    assert_false(options.read_only);
}

static void too_much_is_refused(void **state) {
    (void)state;
    char text[4096];
    (void)memset(text, 'x', sizeof text);
    text[300] = '\0';
    struct mount_options options cleanup(mount_options_done) = {0};
    assert_int_equal(parse(text, MOUNT_MODE_KERNEL, &options, NULL), -EINVAL);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 100 ? 'x' : ',';
    text[sizeof text - 1] = '\0';
    assert_int_equal(parse(text, MOUNT_MODE_KERNEL, &options, NULL), -EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fuse_translates_what_it_knows),
        cmocka_unit_test(fuse_refuses_what_it_cannot_honour),
        cmocka_unit_test(the_kernel_gets_everything_as_it_was_given),
        cmocka_unit_test(the_kernel_is_not_told_to_mount_something_else),
        cmocka_unit_test(the_last_of_ro_and_rw_counts),
        cmocka_unit_test(too_much_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
