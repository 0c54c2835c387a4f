// SPDX-License-Identifier: Apache-2.0
// Programs of the system that are run with a time limit, and the trees that cp and rm copy and remove.
#include "lib/mount/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "tests/support/cm.h"

struct kit {
    char directory[64];
};

static int setup(void **state) {
    static struct kit kit;
    (void)strcpy(kit.directory, "/tmp/stowage-tree.XXXXXX");
    *state = &kit;
    return mkdtemp(kit.directory) ? 0 : -1;
}

static int teardown(void **state) {
    const struct kit *kit = *state;
    char command[96];
    (void)snprintf(command, sizeof command, "rm -rf %s", kit->directory);
    return system(command);
}

static const char *path(const struct kit *kit, const char *name) {
    static char paths[4][128];
    static unsigned next;
    char *text = paths[next++ % 4];
    (void)snprintf(text, sizeof paths[0], "%s/%s", kit->directory, name);
    return text;
}

static int64_t soon(void) {
    return clock_monotonic(&clock_system) + 10 * NS_PER_S;
}

static void put(const char *name, const char *text) {
    int fd cleanup_close = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void a_copy_has_all_that_the_tree_has(void **state) {
    const struct kit *kit = *state;
    struct stat st, other;
    char link[16] = "", text[8] = "";
    assert_int_equal(mkdir(path(kit, "from"), 0751), 0);
    assert_int_equal(mkdir(path(kit, "from/.hidden"), 0700), 0);
    put(path(kit, "from/.hidden/file"), "text");
    assert_int_equal(chmod(path(kit, "from/.hidden/file"), 0604), 0);
    assert_int_equal(symlink("file", path(kit, "from/.hidden/soft")), 0);
    assert_int_equal(linkat(AT_FDCWD, path(kit, "from/.hidden/file"), AT_FDCWD, path(kit, "from/hard"), 0), 0);
    assert_int_equal(mkfifo(path(kit, "from/pipe"), 0600), 0); // copied, not read
    int fd cleanup_close = open(path(kit, "from/sparse"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, 64 << 20), 0);
    assert_int_equal(mkdir(path(kit, "to"), 0700), 0);

    assert_int_equal(directory_copy(path(kit, "from"), path(kit, "to"), soon(), NULL, NULL), 0);

    assert_int_equal(stat(path(kit, "to"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0751);
    assert_int_equal(stat(path(kit, "to/.hidden/file"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0604);
    assert_int_equal(stat(path(kit, "to/hard"), &other), 0);
    assert_int_equal(st.st_ino, other.st_ino);
    assert_int_equal(stat(path(kit, "from/hard"), &other), 0);
    assert_int_not_equal(st.st_ino, other.st_ino);
    int copied cleanup_close = open(path(kit, "to/hard"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(copied, text, sizeof text), 4);
    assert_string_equal(text, "text");
    assert_int_equal(readlink(path(kit, "to/.hidden/soft"), link, sizeof link), 4);
    assert_int_equal(lstat(path(kit, "to/pipe"), &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
    assert_int_equal(stat(path(kit, "to/sparse"), &st), 0);
    assert_int_equal(st.st_size, 64 << 20);
    assert_true(st.st_blocks < 2048); // holes stay holes
    assert_int_not_equal(lstat(path(kit, "to/from"), &st), 0);
}

static void names_that_look_like_flags_are_names(void **state) {
    const struct kit *kit = *state;
    struct stat st;
    assert_int_equal(mkdir(path(kit, "-rf"), 0700), 0);
    put(path(kit, "-rf/--help"), "x");
    assert_int_equal(mkdir(path(kit, "--to"), 0700), 0);
    assert_int_equal(directory_copy(path(kit, "-rf"), path(kit, "--to"), soon(), NULL, NULL), 0);
    assert_int_equal(stat(path(kit, "--to/--help"), &st), 0);
}

static void removed_is_the_tree_and_nothing_that_a_link_shows(void **state) {
    const struct kit *kit = *state;
    struct stat st;
    assert_int_equal(mkdir(path(kit, "kept"), 0700), 0);
    put(path(kit, "kept/file"), "x");
    assert_int_equal(mkdir(path(kit, "gone"), 0700), 0);
    assert_int_equal(mkdir(path(kit, "gone/below"), 0500), 0);
    assert_int_equal(symlink("../kept", path(kit, "gone/link")), 0);
    assert_int_equal(directory_remove(path(kit, "gone"), soon(), NULL), 0);
    assert_int_not_equal(lstat(path(kit, "gone"), &st), 0);
    assert_int_equal(stat(path(kit, "kept/file"), &st), 0);
    assert_int_equal(directory_remove(path(kit, "gone"), soon(), NULL), 0); // missing
}

static void a_failure_names_tool_and_subject(void **state) {
    const struct kit *kit = *state;
    struct err err = ERR_NONE;
    assert_int_equal(directory_copy(path(kit, "none"), path(kit, "to-none"), soon(), NULL, &err), -EIO);
    assert_non_null(strstr(err.msg, "cp of"));
    assert_non_null(strstr(err.msg, "none failed with exit code 1"));
}

static const char *const five_seconds[] = {"5", NULL};

static void a_missing_tool_is_told_with_its_package(void **state) {
    const struct tool tool = {
        .name = "mkfs.none", .package = "nonefsprogs", .args = five_seconds, .subject = "x", .deadline_ns = soon()};
    struct err err = ERR_NONE;
    (void)state;
    assert_int_equal(tool_run(&tool, NULL, &err), -ENOEXEC);
    assert_non_null(strstr(err.msg, "mkfs.none is missing on this node; install nonefsprogs"));
}

static void the_deadline_ends_it(void **state) {
    const struct tool tool = {.name = "sleep",
                              .package = "coreutils",
                              .args = five_seconds,
                              .subject = "x",
                              .deadline_ns = clock_monotonic(&clock_system) + 20 * NS_PER_MS};
    (void)state;
    assert_int_equal(tool_run(&tool, NULL, NULL), -ETIMEDOUT); // 0: it ended by itself
}

static void *cancel_later(void *arg) {
    atomic_store((atomic_bool *)arg, true);
    return NULL;
}

static void it_can_be_cancelled(void **state) {
    atomic_bool cancel = false;
    const struct tool tool = {.name = "sleep",
                              .package = "coreutils",
                              .args = five_seconds,
                              .subject = "x",
                              .deadline_ns = DEADLINE_NONE,
                              .cancel = &cancel};
    pthread_t thread;
    struct err err = ERR_NONE;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, cancel_later, &cancel), 0);
    assert_int_equal(tool_run(&tool, NULL, &err), -ECANCELED);
    assert_non_null(strstr(err.msg, "sleep of x was cancelled"));
    (void)pthread_join(thread, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_has_all_that_the_tree_has),
        cmocka_unit_test(names_that_look_like_flags_are_names),
        cmocka_unit_test(removed_is_the_tree_and_nothing_that_a_link_shows),
        cmocka_unit_test(a_failure_names_tool_and_subject),
        cmocka_unit_test(a_missing_tool_is_told_with_its_package),
        cmocka_unit_test(the_deadline_ends_it),
        cmocka_unit_test(it_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
