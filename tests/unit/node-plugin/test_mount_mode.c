// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cm.h"

#include <errno.h>
#include <string.h>

#include "node-plugin/mount_mode.h"

static void finds_the_client_but_not_the_server(void **state) {
    (void)state;
    assert_true(mount_mode_kernel_has_nfs("nodev\tsysfs\n\text4\nnodev\tnfs\n"));
    assert_true(mount_mode_kernel_has_nfs("nodev\tnfs4"));
    assert_false(mount_mode_kernel_has_nfs("nodev\tnfsd\nnodev\tfuse\n"));
    assert_false(mount_mode_kernel_has_nfs("\text4\nnodev\tnfs3x\n"));
    assert_false(mount_mode_kernel_has_nfs(""));
}

static enum mount_mode chosen(enum mount_mode volume, enum mount_mode node, bool kernel, bool fuse, int *ret) {
    struct mount_mode_probe probe = {.kernel = kernel, .fuse = fuse, .why = "reason"};
    enum mount_mode mode = MOUNT_MODE_AUTO;
    struct err err = ERR_NONE;
    *ret = mount_mode_choose(volume, node, &probe, &mode, &err);
    assert_true(*ret == 0 || strstr(err.msg, "use mountMode"));
    return mode;
}

static void the_volume_goes_before_the_node_before_the_probe(void **state) {
    (void)state;
    int r = 0;
    assert_int_equal(chosen(MOUNT_MODE_FUSE, MOUNT_MODE_KERNEL, true, true, &r), MOUNT_MODE_FUSE);
    assert_int_equal(chosen(MOUNT_MODE_KERNEL, MOUNT_MODE_FUSE, true, true, &r), MOUNT_MODE_KERNEL);
    assert_int_equal(chosen(MOUNT_MODE_AUTO, MOUNT_MODE_FUSE, true, true, &r), MOUNT_MODE_FUSE);
    assert_int_equal(chosen(MOUNT_MODE_AUTO, MOUNT_MODE_AUTO, true, true, &r), MOUNT_MODE_KERNEL);
    assert_int_equal(chosen(MOUNT_MODE_AUTO, MOUNT_MODE_AUTO, false, true, &r), MOUNT_MODE_FUSE);
    assert_int_equal(r, 0);
}

static void what_the_node_cannot_do_is_refused(void **state) {
    (void)state;
    int r = 0;
    (void)chosen(MOUNT_MODE_KERNEL, MOUNT_MODE_AUTO, false, true, &r);
    assert_int_equal(r, -EBUSY);
    (void)chosen(MOUNT_MODE_FUSE, MOUNT_MODE_AUTO, true, false, &r);
    assert_int_equal(r, -EBUSY);
    (void)chosen(MOUNT_MODE_AUTO, MOUNT_MODE_AUTO, false, false, &r);
    assert_int_equal(r, -EBUSY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_client_but_not_the_server),
        cmocka_unit_test(the_volume_goes_before_the_node_before_the_probe),
        cmocka_unit_test(what_the_node_cannot_do_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
