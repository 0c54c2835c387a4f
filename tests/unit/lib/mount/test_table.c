// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cm.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#include "lib/mount/table.h"

static int load(const char *text, struct mount_table **ret) {
    int fd cleanup_close = memfd_create("mountinfo", MFD_CLOEXEC);
    (void)dprintf(fd, "%s", text);
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return mount_table_load(path, ret, NULL);
}

static const char example[] = "20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
                              "30 20 0:40 / /data rw,relatime shared:2 - tmpfs tmpfs rw\n"
                              "31 30 0:41 / /data rw,relatime - nfs4 10.0.0.5:/a ro,vers=4.2\n"
                              "32 31 0:42 /sub /data ro,relatime - fuse.stowage s:/x rw\n"
                              "33 20 0:43 / /with\\040space rw - tmpfs tmpfs rw\n"
                              "34 20 0:42 /sub /other rw - fuse.stowage s:/x rw\n";

static void reads_every_member(void **state) {
    (void)state;
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    assert_int_equal(load(example, &table), 0);
    size_t count = 0;
    (void)mount_table_entries(table, &count);
    assert_int_equal(count, 6);
    const struct mount_entry *entry = mount_table_find(table, "/other");
    assert_non_null(entry);
    assert_string_equal(entry->fs_type, "fuse.stowage");
    assert_string_equal(entry->source, "s:/x");
    assert_string_equal(entry->root, "/sub");
    assert_int_equal(entry->id, 34);
    assert_int_equal(entry->parent, 20);
    assert_non_null(mount_table_find(table, "/with space"));
    assert_null(mount_table_find(table, "/dat"));
    assert_null(mount_table_find(table, "/data/sub"));
}

static void paths_with_odd_characters_are_read(void **state) {
    (void)state;
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    assert_int_equal(load("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
                          "2 1 0:9 / /a\\011b\\012c\\040d\\134e rw - nfs4 s:/with\\040space rw\n",
                          &table),
                     0);
    assert_non_null(mount_table_find(table, "/a\tb\nc d\\e"));
    assert_string_equal(mount_table_find(table, "/a\tb\nc d\\e")->source, "s:/with space");
}

static void finds_the_topmost_of_stacked_mounts(void **state) {
    (void)state;
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    assert_int_equal(load(example, &table), 0);
    assert_int_equal(mount_table_find(table, "/data")->id, 32);
    assert_int_equal(mount_table_layers(table, "/data"), 3);
    assert_int_equal(mount_table_layers(table, "/nowhere"), 0);
    // Also when the file's order is another one.
    struct mount_table *turned cleanup(mount_table_freep) = NULL;
    assert_int_equal(load("32 31 0:42 / /d ro - tmpfs c rw\n31 20 0:41 / /d rw - tmpfs b rw\n", &turned), 0);
    assert_int_equal(mount_table_find(turned, "/d")->id, 32);
}

static void tells_read_only_of_the_mount_not_of_the_file_system(void **state) {
    (void)state;
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    assert_int_equal(load(example, &table), 0);
    assert_true(mount_table_find(table, "/data")->read_only);
    assert_false(mount_table_find(table, "/other")->read_only);
    size_t count = 0;
    assert_false(mount_table_entries(table, &count)[2].read_only); // the file system says ro, the mount rw
}

static void finds_what_lies_above(void **state) {
    (void)state;
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    assert_int_equal(load(example, &table), 0);
    assert_int_equal(mount_table_above(table, "/data/x/y")->id, 32);
    assert_string_equal(mount_table_above(table, "/data")->target, "/");
    assert_string_equal(mount_table_above(table, "/database")->target, "/");
}

static void same_means_same_directory_of_the_same_file_system(void **state) {
    (void)state;
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    assert_int_equal(load(example, &table), 0);
    const struct mount_entry *a = mount_table_find(table, "/data"), *b = mount_table_find(table, "/other");
    assert_true(mount_entry_same(a, b));
    assert_false(mount_entry_same(a, mount_table_find(table, "/")));
}

static void a_malformed_line_makes_no_table(void **state) {
    (void)state;
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    assert_int_equal(load("20 1 8:1 / / rw - ext4 /dev/sda1 rw\nthis is no mount\n", &table), -EIO);
    assert_null(table);
    assert_int_equal(mount_table_load("/does/not/exist", &table, NULL), -EIO);
}

static void knows_what_may_hang(void **state) {
    (void)state;
    assert_true(mount_type_may_hang("nfs4"));
    assert_true(mount_type_may_hang("fuse.stowage"));
    assert_true(mount_type_may_hang("fuse"));
    assert_false(mount_type_may_hang("ext4"));
    assert_false(mount_type_may_hang("fuseblk"));
}

static void reads_the_own_table(void **state) {
    (void)state;
    struct mount_table *table cleanup(mount_table_freep) = NULL;
    assert_int_equal(mount_table_load(NULL, &table, NULL), 0);
    assert_non_null(mount_table_find(table, "/proc"));
    assert_string_equal(mount_table_find(table, "/proc")->fs_type, "proc");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_member),
        cmocka_unit_test(paths_with_odd_characters_are_read),
        cmocka_unit_test(finds_the_topmost_of_stacked_mounts),
        cmocka_unit_test(tells_read_only_of_the_mount_not_of_the_file_system),
        cmocka_unit_test(finds_what_lies_above),
        cmocka_unit_test(same_means_same_directory_of_the_same_file_system),
        cmocka_unit_test(a_malformed_line_makes_no_table),
        cmocka_unit_test(knows_what_may_hang),
        cmocka_unit_test(reads_the_own_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
