// SPDX-License-Identifier: Apache-2.0
#include "lib/base/file.h"
#include "tests/support/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "lib/base/str.h"

static char directory[64];
static int dir_fd;

// ---- a disk that is told what to do: the product's calls end here ----

static struct disk {
    size_t step;      // bytes that one read or write moves at most; 0: all
    size_t room;      // bytes until it is full, when `small`
    bool small;       // has it a limit?
    int sync_code;    // of fsync of a file
    struct str order; // what happened: 'w'rite, 's'ync of a file, 'r'ename, 'u'nlink, 'd'irectory synced
} disk;

static void note(const char *event) {
    if (!disk.order.data || disk.order.data[disk.order.len - 1] != event[0])
        assert_int_equal(str_append(&disk.order, event), 0);
}

ssize_t read(int fd, void *buf, size_t n) {
    return (ssize_t)syscall(SYS_read, fd, buf, disk.step && n > disk.step ? disk.step : n);
}
ssize_t write(int fd, const void *buf, size_t n) {
    if (fd > STDERR_FILENO)
        note("w");
    if (disk.small && disk.room == 0) {
        errno = ENOSPC;
        return -1;
    }
    if (disk.step && n > disk.step)
        n = disk.step;
    if (disk.small && n > disk.room)
        n = disk.room;
    disk.room -= disk.small ? n : 0;
    return (ssize_t)syscall(SYS_write, fd, buf, n);
}
int fsync(int fd) {
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    note(S_ISDIR(st.st_mode) ? "d" : "s");
    if (!S_ISDIR(st.st_mode) && disk.sync_code) {
        errno = disk.sync_code;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}
int renameat(int from_fd, const char *from, int to_fd, const char *to) {
    note("r");
    return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}
int unlinkat(int at, const char *name, int flags) {
    note("u");
    return (int)syscall(SYS_unlinkat, at, name, flags);
}

static int set_up(void **state) {
    (void)state;
    (void)strcpy(directory, "/tmp/stowage-file.XXXXXX");
    if (!mkdtemp(directory) || (dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return -1;
    return 0;
}
static int tear_down(void **state) {
    (void)state;
    char command[128];
    str_done(&disk.order);
    disk = (struct disk){0};
    cleanup_closep(&dir_fd);
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static void put(const char *name, const char *data, size_t len) {
    int fd cleanup_close = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(syscall(SYS_write, fd, data, len), len);
}
static void assert_text(const char *name, const char *want) {
    char *text cleanup_free = NULL;
    size_t len = 0;
    assert_int_equal(file_read(dir_fd, name, 4096, &text, &len), 0);
    assert_int_equal(len, strlen(want));
    assert_string_equal(text, want);
}
static bool is_there(const char *name) {
    return faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void reads_all_of_it_in_whatever_pieces_it_comes(void **state) {
    (void)state;
    static const char data[] = "a text\0with a NUL in it";
    put("text", data, sizeof data);
    for (size_t step = 0; step <= sizeof data; step++) {
        char *text cleanup_free = NULL;
        size_t len = 0;
        disk.step = step;
        assert_int_equal(file_read(dir_fd, "text", sizeof data, &text, &len), 0);
        assert_int_equal(len, sizeof data);
        assert_memory_equal(text, data, sizeof data);
        assert_int_equal(text[len], '\0');
    }
    put("empty", "", 0);
    assert_text("empty", "");
}

static void what_is_no_small_regular_file_is_refused(void **state) {
    (void)state;
    char *text = NULL;
    size_t len = 0;
    put("long", "123456789", 9);
    assert_int_equal(file_read(dir_fd, "long", 8, &text, &len), -EBADMSG);
    assert_int_equal(mkdirat(dir_fd, "folder", 0700), 0);
    assert_int_equal(file_read(dir_fd, "folder", 4096, &text, &len), -EBADMSG);
    assert_int_equal(symlinkat("long", dir_fd, "link"), 0);
    assert_int_equal(file_read(dir_fd, "link", 4096, &text, &len), -ELOOP);
    assert_int_equal(file_read(dir_fd, "missing", 4096, &text, &len), -ENOENT);
    assert_null(text);
    assert_int_equal(len, 0);
}

static void replacing_is_synced_before_it_counts(void **state) {
    (void)state;
    struct stat st;
    for (size_t step = 0; step < 3; step++) {
        disk.step = step;
        str_done(&disk.order);
        assert_int_equal(file_replace(dir_fd, "record", "first", 5), 0);
        assert_text("record", "first");
        assert_int_equal(file_replace(dir_fd, "record", "2nd", 3), 0);
        assert_text("record", "2nd");
        assert_string_equal(str_text(&disk.order), "wsrdwsrd");
    }
    assert_int_equal(fstatat(dir_fd, "record", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_false(is_there(".record" FILE_UNFINISHED_SUFFIX));
}

static void what_a_killed_call_left_does_not_mix_with_the_next(void **state) {
    (void)state;
    put(".record" FILE_UNFINISHED_SUFFIX, "half of something much longer", 29);
    assert_int_equal(file_replace(dir_fd, "record", "new", 3), 0);
    assert_text("record", "new");
}

static void a_failure_leaves_the_old_text_and_nothing_else(void **state) {
    (void)state;
    assert_int_equal(file_replace(dir_fd, "record", "old", 3), 0);
    for (size_t room = 0; room < 3; room++) {
        disk.small = true, disk.room = room;
        assert_int_equal(file_replace(dir_fd, "record", "new", 3), -ENOSPC);
        assert_text("record", "old");
        assert_false(is_there(".record" FILE_UNFINISHED_SUFFIX));
    }
    disk.small = false;
    disk.sync_code = EIO;
    assert_int_equal(file_replace(dir_fd, "record", "new", 3), -EIO);
    assert_text("record", "old");
    assert_false(is_there(".record" FILE_UNFINISHED_SUFFIX));
    disk.sync_code = 0;
    assert_int_equal(mkdirat(dir_fd, "folder", 0700), 0);
    assert_int_equal(file_replace(dir_fd, "folder", "new", 3), -EISDIR);
    assert_false(is_there(".folder" FILE_UNFINISHED_SUFFIX));
}

static void a_link_in_its_way_is_not_written_through(void **state) {
    (void)state;
    put("somebody", "mine", 4);
    assert_int_equal(symlinkat("somebody", dir_fd, ".record" FILE_UNFINISHED_SUFFIX), 0);
    assert_int_equal(file_replace(dir_fd, "record", "new", 3), -ELOOP);
    assert_text("somebody", "mine");
}

static void names_have_a_limit(void **state) {
    (void)state;
    char name[FILE_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    name[FILE_NAME_MAX + 1] = '\0';
    assert_int_equal(file_replace(dir_fd, name, "text", 4), -ENAMETOOLONG);
    name[FILE_NAME_MAX] = '\0';
    assert_int_equal(file_replace(dir_fd, name, "text", 4), 0);
    assert_text(name, "text");
}

static void removing_is_synced_and_may_be_repeated(void **state) {
    (void)state;
    put("record", "text", 4);
    assert_int_equal(file_remove(dir_fd, "record"), 0);
    assert_false(is_there("record"));
    assert_string_equal(str_text(&disk.order), "ud");
    assert_int_equal(file_remove(dir_fd, "record"), 0);
    assert_int_equal(mkdirat(dir_fd, "folder", 0700), 0);
    assert_int_equal(file_remove(dir_fd, "folder"), -EISDIR);
}

int main(void) {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(reads_all_of_it_in_whatever_pieces_it_comes),
        TEST(what_is_no_small_regular_file_is_refused),
        TEST(replacing_is_synced_before_it_counts),
        TEST(what_a_killed_call_left_does_not_mix_with_the_next),
        TEST(a_failure_leaves_the_old_text_and_nothing_else),
        TEST(a_link_in_its_way_is_not_written_through),
        TEST(names_have_a_limit),
        TEST(removing_is_synced_and_may_be_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
