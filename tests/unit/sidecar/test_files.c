// SPDX-License-Identifier: Apache-2.0
// A directory as a file system, with links that lead out of it.
#include "sidecar/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "tests/support/cm.h"

static char folder[] = "/tmp/stowage-files-XXXXXX";
static struct file_systems *all;
static struct file_system *fs;

static char *normal(const char *path, size_t len) {
    char *ret = NULL;
    struct err err = ERR_NONE;
    return file_path_normalise(path, len, &ret, &err) == 0 ? ret : NULL;
}

static void test_paths(void **state) {
    (void)state;
    static const char *const same[][2] = {{"", ""},
                                          {"/", ""},
                                          {"///", ""},
                                          {"a", "a"},
                                          {"/a//b/", "a/b"},
                                          {"...", "..."},
                                          {"a b/\xc3\xa9", "a b/\xc3\xa9"}};
    static const char *const bad[] = {".", "..", "a/..", "../a", "a/../b", "/./", "a\n", "\xc0\xae\xc0\xae/x", "\x7f"};
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        char *path cleanup_free = normal(same[i][0], strlen(same[i][0]));
        assert_string_equal(path, same[i][1]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_null(normal(bad[i], strlen(bad[i])));
    assert_null(normal("a\0b", 3));
    char longest[FILE_PATH_MAX + 1];
    memset(longest, '/', sizeof longest);
    char *path cleanup_free = normal(longest, FILE_PATH_MAX);
    assert_string_equal(path, "");
    assert_null(normal(longest, sizeof longest));
}

static void upload(const char *path, const char *text) {
    struct file_upload *upload = NULL;
    struct err err = ERR_NONE;
    assert_int_equal(fs->ops->upload(fs->self, path, &upload, &err), 0);
    assert_int_equal(fs->ops->upload_write(upload, text, strlen(text), &err), 0);
    assert_int_equal(fs->ops->upload_commit(upload, &err), 0);
}

static void expect_text(const char *path, const char *text) {
    struct err err = ERR_NONE;
    char buf[64] = "";
    int fd cleanup_close = -1;
    int64_t size = -1;
    assert_int_equal(fs->ops->open(fs->self, path, &fd, &size, &err), 0);
    assert_int_equal(size, strlen(text));
    assert_int_equal(read(fd, buf, sizeof buf), size);
    assert_memory_equal(buf, text, strlen(text));
}

static size_t count_entries(const char *path) {
    struct err err = ERR_NONE;
    struct file_list list cleanup(file_list_done) = {0};
    assert_int_equal(fs->ops->list(fs->self, path, &list, &err), 0);
    return list.count;
}

static void test_uploads(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct file_upload *half = NULL;
    assert_int_equal(fs->ops->make_directory(fs->self, "up/deep/er", &err), 0);
    assert_int_equal(fs->ops->make_directory(fs->self, "up/deep/er", &err), 0);
    upload("up/file", "first");
    expect_text("up/file", "first");
    // While another is written, and when it is given up, the old one is seen and nothing else.
    assert_int_equal(fs->ops->upload(fs->self, "up/file", &half, &err), 0);
    assert_int_equal(fs->ops->upload_write(half, "sec", 3, &err), 0);
    expect_text("up/file", "first");
    assert_int_equal(count_entries("up"), 2);
    fs->ops->upload_cancel(half);
    expect_text("up/file", "first");
    upload("up/file", "second, longer");
    expect_text("up/file", "second, longer");
    assert_int_equal(count_entries("up"), 2);
    assert_int_equal(fs->ops->upload(fs->self, "up/deep", &half, &err), -EISDIR);
    assert_int_equal(fs->ops->upload(fs->self, "", &half, &err), -EINVAL);
    assert_int_equal(fs->ops->upload(fs->self, "none/file", &half, &err), -ENOENT);
    assert_int_equal(fs->ops->make_directory(fs->self, "up/file", &err), -EEXIST);
    assert_int_equal(fs->ops->make_directory(fs->self, "up/file/sub", &err), -EEXIST);
}

static void test_removal(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    assert_int_equal(fs->ops->make_directory(fs->self, "rm/a/b", &err), 0);
    upload("rm/a/b/file", "x");
    assert_int_equal(fs->ops->remove(fs->self, "", true, &err), -EINVAL);
    assert_int_equal(fs->ops->remove(fs->self, "rm/none", true, &err), -ENOENT);
    assert_int_equal(fs->ops->remove(fs->self, "rm", false, &err), -ENOTEMPTY);
    expect_text("rm/a/b/file", "x");
    assert_int_equal(fs->ops->remove(fs->self, "rm", true, &err), 0);
    struct file_entry entry;
    assert_int_equal(fs->ops->stat(fs->self, "rm", &entry, &err), -ENOENT);
}

static char *beside(const char *name) {
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void test_links(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct file_entry entry;
    struct file_upload *half = NULL;
    struct file_list list = {0};
    int fd = -1;
    int64_t size = 0;
    static const char *const ways[] = {"absolute", "up-and-out", "absolute/secret", "up-and-out/secret"};
    assert_int_equal(fs->ops->make_directory(fs->self, "in", &err), 0);
    upload("in/file", "inside");
    assert_int_equal(mkdir(beside("outside"), 0700), 0);
    FILE *secret = fopen(beside("outside/secret"), "w");
    assert_non_null(secret);
    assert_int_equal(fclose(secret), 0);
    assert_int_equal(symlink(beside("outside"), "absolute"), 0);
    assert_int_equal(symlink("../outside", "up-and-out"), 0);
    assert_int_equal(symlink("in/file", "fine"), 0);
    assert_int_equal(symlink("/proc/self/cwd", "magic"), 0);
    expect_text("fine", "inside"); // a link that stays inside
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        assert_int_equal(fs->ops->stat(fs->self, ways[i], &entry, &err), -EACCES);
        assert_int_equal(fs->ops->open(fs->self, ways[i], &fd, &size, &err), -EACCES);
        assert_int_equal(fs->ops->list(fs->self, ways[i], &list, &err), -EACCES);
    }
    assert_int_equal(fs->ops->stat(fs->self, "magic", &entry, &err), -EACCES);
    assert_int_equal(fs->ops->upload(fs->self, "absolute/new", &half, &err), -EACCES);
    assert_int_equal(fs->ops->make_directory(fs->self, "up-and-out/new", &err), -EACCES);
    assert_int_equal(fs->ops->remove(fs->self, "absolute/secret", true, &err), -EACCES);
    // A list looks through links that stay inside, and tells nothing of what the others lead to.
    assert_int_equal(fs->ops->list(fs->self, "", &list, &err), 0);
    for (size_t i = 0; i < list.count; i++) {
        if (strcmp(list.items[i].name, "absolute") == 0 || strcmp(list.items[i].name, "up-and-out") == 0)
            assert_false(list.items[i].is_directory);
        if (strcmp(list.items[i].name, "fine") == 0)
            assert_int_equal(list.items[i].size, 6);
    }
    file_list_done(&list);
    // The link itself is inside: it goes, and what it leads to stays. So it is inside a tree that is removed.
    assert_int_equal(fs->ops->remove(fs->self, "absolute", true, &err), 0);
    assert_int_equal(symlink(beside("outside"), "in/link"), 0);
    assert_int_equal(fs->ops->remove(fs->self, "in", true, &err), 0);
    assert_int_equal(access(beside("outside/secret"), F_OK), 0);
    // A name that a link has is replaced by an upload; the target is not written.
    upload("up-and-out", "a file now");
    expect_text("up-and-out", "a file now");
    assert_int_equal(unlink(beside("outside/secret")), 0);
    assert_int_equal(rmdir(beside("outside")), 0);
}

static void test_usage(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    int64_t before = -1, after = -1;
    assert_int_equal(fs->ops->usage(fs->self, DEADLINE_NONE, &before, &err), 0);
    upload("big", "0123456789");
    assert_int_equal(fs->ops->usage(fs->self, DEADLINE_NONE, &after, &err), 0);
    assert_true(after > before);
    assert_int_equal(fs->ops->usage(fs->self, 1, &after, &err), 0); // no time: the disk's own figure
    assert_true(after > 0);
}

// As lost+found is, to a server that is not root.
static void test_usage_passes_over_what_it_may_not_read(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    int64_t bytes = -1;
    if (geteuid() != 0)
        skip();
    assert_int_equal(fs->ops->make_directory(fs->self, "locked", &err), 0);
    upload("locked/file", "0123456789");
    assert_int_equal(chmod("locked", 0700), 0);
    assert_int_equal(chmod(".", 0755), 0);
    assert_int_equal(seteuid(65534), 0);
    int r = fs->ops->usage(fs->self, DEADLINE_NONE, &bytes, &err);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(r, 0);
    assert_true(bytes > 0);
    assert_int_equal(fs->ops->remove(fs->self, "locked", true, &err), 0);
}

static void test_registry(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    struct file_system *found = NULL;
    assert_int_equal(file_systems_find(all, "one", "share", &found, &err), 0);
    assert_ptr_equal(found, fs);
    assert_int_equal(file_systems_find(all, "one", "default", &found, &err), -ENOENT); // it has one of its own
    assert_int_equal(file_systems_find(all, "two", "share", &found, &err), -ENOENT);
    assert_int_equal(file_systems_find(all, "two", "default", &found, &err), 0);
    assert_int_equal(file_systems_add(all, "x=/tmp", NULL, &err), -EINVAL);
    assert_int_equal(file_systems_add(all, "share=/tmp", "one", &err), -EEXIST);
    assert_int_equal(file_systems_add(all, "three/UP=/tmp", NULL, &err), -EINVAL);
    assert_int_equal(file_systems_add(all, "three/x=tmp", NULL, &err), -EINVAL);
    assert_int_equal(file_systems_add(all, "three/x=/tmp/no/such/place", NULL, &err), -ENOENT);
}

static int set_up(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    char text[160];
    if (!mkdtemp(folder) || mkdir(beside("root"), 0700) < 0 || chdir(beside("root")) < 0)
        return -1;
    if (file_systems_new(beside("made"), &all, &err) < 0)
        return -1;
    (void)snprintf(text, sizeof text, "share=%s/root", folder);
    if (file_systems_add(all, text, "one", &err) < 0)
        return -1;
    return file_systems_find(all, "one", "share", &fs, &err);
}

static int tear_down(void **state) {
    (void)state;
    char command[160];
    all = file_systems_free(all);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return chdir("/") < 0 ? -1 : system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),    cmocka_unit_test(test_uploads),
        cmocka_unit_test(test_removal),  cmocka_unit_test(test_links),
        cmocka_unit_test(test_usage),    cmocka_unit_test(test_usage_passes_over_what_it_may_not_read),
        cmocka_unit_test(test_registry),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
