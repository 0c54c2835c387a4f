// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "node-plugin/path.h"

static char directory[64];

static int set_up(void **state) {
    (void)state;
    (void)strcpy(directory, "/tmp/stowage-path.XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}
static int tear_down(void **state) {
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static struct mount_table *table_with(const char *line) {
    struct mount_table *table = NULL;
    int fd cleanup_close = memfd_create("mountinfo", MFD_CLOEXEC);
    (void)dprintf(fd, "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n%s", line);
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    assert_int_equal(mount_table_load(path, &table, NULL), 0);
    return table;
}

static void follows_the_links_of_the_parent_only(void **state) {
    (void)state;
    struct mount_table *table cleanup(mount_table_freep) = table_with("");
    char path[128], expected[128], link[128];
    (void)snprintf(link, sizeof link, "%s/link", directory);
    (void)snprintf(path, sizeof path, "%s/real", directory);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(symlink("real", link), 0);
    (void)snprintf(path, sizeof path, "%s/link//target/", directory);
    (void)snprintf(expected, sizeof expected, "%s/real/target", directory);
    char *resolved cleanup_free = NULL;
    assert_int_equal(path_resolve(path, table, &resolved, NULL), 0);
    assert_string_equal(resolved, expected);
    char *itself cleanup_free = NULL;
    assert_int_equal(path_resolve(link, table, &itself, NULL), 0);
    assert_string_equal(itself, link);
}

static void refuses_what_is_no_path(void **state) {
    (void)state;
    static const char *const bad[] = {"", "relative/path", "/", "//", "/a/../b", "/a/./b", "/.."};
    struct mount_table *table cleanup(mount_table_freep) = table_with("");
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char *resolved cleanup_free = NULL;
        assert_int_equal(path_resolve(bad[i], table, &resolved, NULL), -EINVAL);
    }
    char *resolved cleanup_free = NULL;
    assert_int_equal(path_resolve("/does/not/exist", table, &resolved, NULL), -ENOENT);
    char longest[5000];
    (void)memset(longest, '/', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(path_resolve(longest, table, &resolved, NULL), -EINVAL);
}

static void refuses_the_inside_of_a_mount_that_may_hang(void **state) {
    (void)state;
    struct mount_table *table cleanup(mount_table_freep) = table_with("2 1 0:9 / /tmp rw - nfs4 s:/e rw\n");
    char path[128];
    (void)snprintf(path, sizeof path, "%s/target", directory);
    char *resolved cleanup_free = NULL;
    struct err err = ERR_NONE;
    assert_int_equal(path_resolve(path, table, &resolved, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "nfs4"));
    // The mount point itself is fine: it lies in its parent.
    assert_int_equal(path_resolve("/tmp", table, &resolved, NULL), 0);
}

static void makes_and_removes_directories(void **state) {
    (void)state;
    char path[128], inside[160];
    (void)snprintf(path, sizeof path, "%s/target", directory);
    (void)snprintf(inside, sizeof inside, "%s/file", path);
    bool created = false;
    assert_int_equal(path_make_directory(path, &created, NULL), 0);
    assert_true(created);
    assert_int_equal(path_make_directory(path, &created, NULL), 0);
    assert_false(created);
    assert_int_equal(mkdir(inside, 0700), 0);
    struct err err = ERR_NONE;
    assert_int_equal(path_remove_directory(path, &err), -ENOTEMPTY);
    assert_non_null(strstr(err.msg, path));
    assert_int_equal(rmdir(inside), 0);
    assert_int_equal(path_remove_directory(path, NULL), 0);
    assert_int_equal(path_remove_directory(path, NULL), 0); // gone already
    assert_int_equal(path_remove_directory("/does/not/exist", NULL), 0);
}

static void what_is_no_directory_is_not_mounted_on(void **state) {
    (void)state;
    char path[128];
    bool created = false;
    struct err err = ERR_NONE;
    (void)snprintf(path, sizeof path, "%s/link", directory);
    assert_int_equal(symlink("/", path), 0); // mount(2) would follow it
    assert_int_equal(path_make_directory(path, &created, &err), -ENOTDIR);
    assert_non_null(strstr(err.msg, path));
    (void)snprintf(path, sizeof path, "%s/file", directory);
    assert_int_equal(mknod(path, S_IFREG | 0600, 0), 0);
    assert_int_equal(path_make_directory(path, &created, NULL), -ENOTDIR);
    assert_false(created);
    assert_int_equal(access(path, F_OK), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(follows_the_links_of_the_parent_only, set_up, tear_down),
        cmocka_unit_test(refuses_what_is_no_path),
        cmocka_unit_test_setup_teardown(refuses_the_inside_of_a_mount_that_may_hang, set_up, tear_down),
        cmocka_unit_test_setup_teardown(makes_and_removes_directories, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_directory_is_not_mounted_on, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
