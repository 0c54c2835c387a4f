// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "node-plugin/node_store.h"

static char directory[64];
static ino_t bad_inode; // the disk does not give this file
static int bad_code;

// The product's reads end here.
ssize_t read(int fd, void *buf, size_t n) {
    struct stat st;
    if (bad_inode && fstat(fd, &st) == 0 && st.st_ino == bad_inode) {
        errno = bad_code;
        return -1;
    }
    return (ssize_t)syscall(SYS_read, fd, buf, n);
}

static int set_up(void **state) {
    (void)state;
    (void)strcpy(directory, "/tmp/stowage-store.XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}
static int tear_down(void **state) {
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static void path_of(const char *id, const char *suffix, char ret[256]) {
    char key[HASH_ID_LEN + 1];
    hash_id(id, strlen(id), key);
    (void)snprintf(ret, 256, "%s/%s.json%s", directory, key, suffix);
}

static void write_file(const char *id, const char *text) {
    char path[256];
    path_of(id, "", path);
    int fd cleanup_close = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static struct staged *example(const char *id) {
    struct staged *staged = staged_new(id, "/staging");
    const struct string_pair pairs[] = {{"server", "10.0.0.5"}, {"share", "/e"}, {"odd \"key\"", "väl\nue"}};
    const char *flags[] = {"ro", "nconnect=4"};
    staged->source = mem_strdup("10.0.0.5:/e");
    staged->mode = MOUNT_MODE_FUSE;
    staged->daemon = (struct process_id){.pid = 4711, .start = 123456789012, .domain = "0123-4567"};
    assert_int_equal(staged_set_context(staged, &(struct string_map){pairs, 3}), 0);
    assert_int_equal(staged_set_flags(staged, flags, 2), 0);
    assert_int_equal(staged_add_target(staged, "/pods/a", true, ACCESS_SINGLE_NODE_SINGLE_WRITER), 0);
    assert_int_equal(staged_add_target(staged, "/pods/b", false, ACCESS_MULTI_NODE_MULTI_WRITER), 0);
    return staged;
}

struct taken {
    struct staged *items[4];
    size_t count;
};
static int take(struct staged *staged, void *arg) {
    struct taken *taken = arg;
    taken->items[taken->count++] = staged;
    return 0;
}
static void taken_done(struct taken *taken) {
    for (size_t i = 0; i < taken->count; i++)
        (void)staged_free(taken->items[i]);
}

static void gives_back_what_was_saved(void **state) {
    (void)state;
    struct node_store *store cleanup(node_store_freep) = NULL;
    assert_int_equal(node_store_open(directory, &store, NULL), 0);
    struct staged *staged cleanup(staged_freep) = example("volume-1");
    assert_int_equal(node_store_save(store, staged, NULL), 0);
    staged_remove_target(staged, "/pods/a");
    assert_int_equal(node_store_save(store, staged, NULL), 0); // replaces

    struct taken taken cleanup(taken_done) = {0};
    assert_int_equal(node_store_load(store, take, &taken, NULL), 0);
    assert_int_equal(taken.count, 1);
    const struct staged *back = taken.items[0];
    assert_string_equal(back->id, "volume-1");
    assert_string_equal(back->staging_path, "/staging");
    assert_string_equal(back->source, "10.0.0.5:/e");
    assert_int_equal(back->mode, MOUNT_MODE_FUSE);
    assert_int_equal(back->daemon.pid, 4711);
    assert_true(back->daemon.start == 123456789012);
    assert_string_equal(back->daemon.domain, "0123-4567");
    assert_int_equal(back->target_count, 1);
    assert_string_equal(back->targets[0].path, "/pods/b");
    assert_false(back->targets[0].read_only);
    assert_int_equal(back->targets[0].access, ACCESS_MULTI_NODE_MULTI_WRITER);
    const char *flags[] = {"ro", "nconnect=4"};
    assert_true(staged_flags_equal(back, flags, 2));
    assert_int_equal(back->context_count, 3);
    struct string_map map = {back->context, back->context_count};
    assert_string_equal(string_map_get(&map, "odd \"key\""), "väl\nue");
}

static void a_removed_record_is_gone_and_removing_again_is_fine(void **state) {
    (void)state;
    struct node_store *store cleanup(node_store_freep) = NULL;
    assert_int_equal(node_store_open(directory, &store, NULL), 0);
    struct staged *staged cleanup(staged_freep) = example("volume-1");
    assert_int_equal(node_store_save(store, staged, NULL), 0);
    assert_int_equal(node_store_remove(store, "volume-1", NULL), 0);
    assert_int_equal(node_store_remove(store, "volume-1", NULL), 0);
    struct taken taken cleanup(taken_done) = {0};
    assert_int_equal(node_store_load(store, take, &taken, NULL), 0);
    assert_int_equal(taken.count, 0);
}

static void a_second_process_is_refused(void **state) {
    (void)state;
    struct node_store *store cleanup(node_store_freep) = NULL;
    struct node_store *second = NULL;
    struct err err = ERR_NONE;
    assert_int_equal(node_store_open(directory, &store, NULL), 0);
    assert_int_equal(node_store_open(directory, &second, &err), -EADDRINUSE);
    assert_non_null(strstr(err.msg, directory));
}

static void damaged_files_are_kept_aside_and_do_not_stop_the_others(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{\"kind\":\"something else\",\"version\":1}",
        "{\"kind\":\"stowage-node-volume\",\"version\":1,\"volume\":\"damaged\"}",
        "{\"kind\":\"stowage-node-volume\",\"version\":1,\"volume\":\"damaged\",\"stagingPath\":\"/"
        "s\",\"source\":\"s\","
        "\"mode\":\"fuse\",\"targets\":[{\"path\":\"relative\"}]}",
        // A good record under another volume's file name.
        "{\"kind\":\"stowage-node-volume\",\"version\":1,\"volume\":\"x\",\"stagingPath\":\"/s\",\"source\":\"s\","
        "\"mode\":\"fuse\"}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct node_store *store cleanup(node_store_freep) = NULL;
        assert_int_equal(node_store_open(directory, &store, NULL), 0);
        struct staged *staged cleanup(staged_freep) = example("good");
        assert_int_equal(node_store_save(store, staged, NULL), 0);
        write_file("damaged", texts[i]);
        struct taken taken cleanup(taken_done) = {0};
        assert_int_equal(node_store_load(store, take, &taken, NULL), 0);
        assert_int_equal(taken.count, 1);
        assert_string_equal(taken.items[0]->id, "good");
        char path[256];
        path_of("damaged", "", path);
        assert_int_equal(access(path, F_OK), -1);
        path_of("damaged", ".damaged", path);
        assert_int_equal(access(path, F_OK), 0);
    }
}

static void a_newer_record_is_left_alone(void **state) {
    (void)state;
    struct node_store *store cleanup(node_store_freep) = NULL;
    assert_int_equal(node_store_open(directory, &store, NULL), 0);
    write_file("future", "{\"kind\":\"stowage-node-volume\",\"version\":2,\"volume\":\"future\"}");
    struct taken taken cleanup(taken_done) = {0};
    assert_int_equal(node_store_load(store, take, &taken, NULL), 0);
    assert_int_equal(taken.count, 0);
    struct staged *staged cleanup(staged_freep) = example("future");
    struct err err = ERR_NONE;
    assert_int_equal(node_store_save(store, staged, &err), -EBUSY);
    assert_non_null(strstr(err.msg, "upgrade"));
    assert_int_equal(node_store_remove(store, "future", NULL), -EBUSY);
    char path[256];
    path_of("future", "", path);
    assert_int_equal(access(path, F_OK), 0);
}

static void a_record_that_the_disk_does_not_give_is_kept_and_its_volume_left_alone(void **state) {
    (void)state;
    static const int codes[] = {EIO, EACCES, ESTALE};
    char path[256], aside[256];
    path_of("hidden", "", path);
    path_of("hidden", ".damaged", aside);
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        struct node_store *store cleanup(node_store_freep) = NULL;
        struct staged *staged cleanup(staged_freep) = example("hidden");
        struct staged *other cleanup(staged_freep) = example("other");
        assert_int_equal(node_store_open(directory, &store, NULL), 0);
        assert_int_equal(node_store_save(store, staged, NULL), 0);
        assert_int_equal(node_store_save(store, other, NULL), 0);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        bad_inode = st.st_ino, bad_code = codes[i];
        struct taken taken cleanup(taken_done) = {0};
        int r = node_store_load(store, take, &taken, NULL);
        bad_inode = 0;
        assert_int_equal(r, 0);
        assert_int_equal(taken.count, 1);
        assert_string_equal(taken.items[0]->id, "other");
        assert_int_equal(access(path, F_OK), 0);
        assert_int_equal(access(aside, F_OK), -1);
        struct err err = ERR_NONE;
        assert_int_equal(node_store_check(store, "hidden", &err), -EBUSY);
        assert_non_null(strstr(err.msg, "restart stowage-node"));
        assert_int_equal(node_store_save(store, staged, NULL), -EBUSY);
        assert_int_equal(node_store_remove(store, "hidden", NULL), -EBUSY);
        assert_int_equal(node_store_check(store, "other", NULL), 0);
        // A later process, with a disk that gives it again, knows it.
        store = node_store_free(store);
        struct taken again cleanup(taken_done) = {0};
        assert_int_equal(node_store_open(directory, &store, NULL), 0);
        assert_int_equal(node_store_load(store, take, &again, NULL), 0);
        assert_int_equal(again.count, 2);
    }
}

static void what_a_killed_process_left_half_written_is_swept(void **state) {
    (void)state;
    char key[HASH_ID_LEN + 1], half[256], foreign[256];
    hash_id("volume-1", 8, key);
    (void)snprintf(half, sizeof half, "%s/.%s.json.new", directory, key);
    (void)snprintf(foreign, sizeof foreign, "%s/.somebody.json.new", directory);
    const char *const paths[] = {half, foreign};
    for (size_t i = 0; i < 2; i++) {
        int fd cleanup_close = open(paths[i], O_WRONLY | O_CREAT, 0600);
        assert_int_equal(write(fd, "{\"kind", 6), 6);
    }
    struct node_store *store cleanup(node_store_freep) = NULL;
    struct staged *staged cleanup(staged_freep) = example("volume-1");
    assert_int_equal(node_store_open(directory, &store, NULL), 0);
    struct taken taken cleanup(taken_done) = {0};
    assert_int_equal(node_store_load(store, take, &taken, NULL), 0);
    assert_int_equal(taken.count, 0);
    assert_int_equal(access(half, F_OK), -1);
    assert_int_equal(access(foreign, F_OK), 0);
    assert_int_equal(node_store_save(store, staged, NULL), 0);
}

static void foreign_files_are_not_touched(void **state) {
    (void)state;
    char path[256];
    (void)snprintf(path, sizeof path, "%s/notes.json", directory);
    int fd cleanup_close = open(path, O_WRONLY | O_CREAT, 0600);
    struct node_store *store cleanup(node_store_freep) = NULL;
    assert_int_equal(node_store_open(directory, &store, NULL), 0);
    struct taken taken cleanup(taken_done) = {0};
    assert_int_equal(node_store_load(store, take, &taken, NULL), 0);
    assert_int_equal(access(path, F_OK), 0);
}

static void every_failed_allocation_is_told(void **state) {
    (void)state;
    struct staged *staged cleanup(staged_freep) = example("volume-1");
    struct json *json cleanup(json_freep) = staged_encode(staged);
    int r = -ENOMEM;
    for (long n = 1; r == -ENOMEM; n++) {
        struct staged *back cleanup(staged_freep) = NULL;
        (void)mem_fail_nth(n);
        r = staged_decode(json, &back, NULL);
        (void)mem_fail_nth(0);
        assert_true(r == 0 ? back != NULL : back == NULL);
    }
    assert_int_equal(r, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gives_back_what_was_saved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_removed_record_is_gone_and_removing_again_is_fine, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_second_process_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged_files_are_kept_aside_and_do_not_stop_the_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_newer_record_is_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_record_that_the_disk_does_not_give_is_kept_and_its_volume_left_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_a_killed_process_left_half_written_is_swept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(foreign_files_are_not_touched, set_up, tear_down),
        cmocka_unit_test(every_failed_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
