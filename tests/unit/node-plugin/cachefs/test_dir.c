// SPDX-License-Identifier: Apache-2.0
// Listing a directory of the fake share, page by page.
#include "tests/support/cm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "node-plugin/cachefs/dir.h"
#include "node-plugin/cachefs/op.h"
#include "node-plugin/cachefs/subdir.h"
#include "tests/fakes/fake_nfs.h"

struct fixture {
    struct fake_nfs_store *store;
    struct nfs_share *share;
    struct fs *fs;
    struct nfs_fh root;
};

static int set_up(void **state) {
    static struct fixture f;
    f.store = fake_nfs_store_new();
    f.share = fake_nfs_open(f.store);
    f.root = nfs_share_info(f.share)->root;
    *state = &f;
    const struct fs_options options = {.share = f.share, .root = &f.root};
    return fs_new(&options, &f.fs, NULL);
}
static int tear_down(void **state) {
    struct fixture *f = *state;
    (void)nfs_share_free(f->share);
    (void)fs_free(f->fs);
    (void)fake_nfs_store_free(f->store);
    return 0;
}

static void make(struct fixture *f, enum nfs_op op, const char *name) {
    struct nfs_call call = {.op = op, .fh = f->root, .name = name, .set = {.mask = NFS_SET_MODE, .mode = 0755}};
    assert_int_equal(nfs_run(f->share, &call), 0);
}

struct reader { // waits for a resumed op on the test's thread
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool woken;
};
static struct reader reader = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static void wake(struct op *op) {
    (void)op;
    LOCK_SCOPE(&reader.lock);
    reader.woken = true;
    (void)pthread_cond_signal(&reader.wake);
}

static int want(struct fixture *f, struct dir *dir, uint64_t index) {
    struct op *op = op_new(f->fs, NULL);
    reader.woken = false;
    if (!dir_want(dir, op, index, true, wake)) {
        LOCK_SCOPE(&reader.lock);
        while (!reader.woken)
            (void)pthread_cond_wait(&reader.wake, &reader.lock);
    }
    op_end(op);
    return dir_result(dir, index);
}

static void all_entries_come_once_and_stay_at_their_position(void **state) {
    struct fixture *f = *state;
    struct dir *dir = NULL;
    struct nfs_cred cred = {0};
    struct nfs_dirent entry;
    char name[32], third[32] = "";
    bool seen[500] = {0};
    for (int i = 0; i < 500; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        make(f, NFS_CREATE, name);
    }
    fake_nfs_set_page(f->store, 7);
    assert_int_equal(dir_new(f->fs, &f->root, &cred, &dir), 0);
    uint64_t index = 0;
    for (;; index++) {
        assert_int_equal(want(f, dir, index), 0);
        if (!dir_entry(dir, index, &entry))
            break;
        int number = atoi(entry.name);
        assert_false(seen[number]);
        seen[number] = true;
        if (index == 3)
            (void)snprintf(third, sizeof third, "%s", entry.name);
        dir_given(dir, index);
    }
    assert_int_equal(index, 500);
    assert_true(dir_entry(dir, 3, &entry)); // its page has shrunk by now
    assert_string_equal(entry.name, third);
    assert_false(entry.has_attr);
    dir_put(dir);
}

// The reader was told entries before `at`, removes them as rm -r does, and goes on with another daemon.
static void goes_on_at(struct fixture *f, struct dir_record *record, uint64_t at, const char *last) {
    struct dir *dir = NULL;
    struct nfs_cred cred = {0};
    struct nfs_dirent entry;
    unsigned seen = 0;
    assert_int_equal(dir_new(f->fs, &f->root, &cred, &dir), 0);
    dir_resume(dir, record);
    for (uint64_t index = at; want(f, dir, index) == 0 && dir_entry(dir, index, &entry); index++) {
        assert_string_not_equal(entry.name, last);
        seen++;
    }
    assert_int_equal(seen, 100 - at);
    dir_put(dir);
}

static void a_successor_goes_on_where_the_reader_is(void **state) {
    struct fixture *f = *state;
    struct dir *dir = NULL;
    struct nfs_cred cred = {0};
    struct nfs_dirent entry;
    struct dir_record record = {0};
    char name[32], names[2][32];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        make(f, NFS_CREATE, name);
    }
    fake_nfs_set_page(f->store, 7);
    assert_int_equal(dir_new(f->fs, &f->root, &cred, &dir), 0);
    dir_keep(dir, &record);
    static const uint64_t ends[2] = {20, 41}; // of two replies
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(want(f, dir, ends[i]), 0);
        assert_true(dir_entry(dir, ends[i] - 1, &entry));
        (void)snprintf(names[i], sizeof names[i], "%s", entry.name);
        dir_told(dir, ends[i], entry.cookie);
    }
    dir_put(dir);
    goes_on_at(f, &record, ends[1], names[1]);
    goes_on_at(f, &record, ends[0], names[0]); // the last reply never reached the reader
}

static void a_rewind_sees_what_is_new(void **state) {
    struct fixture *f = *state;
    struct dir *dir = NULL;
    struct nfs_cred cred = {0};
    struct nfs_dirent entry;
    make(f, NFS_CREATE, "a");
    assert_int_equal(dir_new(f->fs, &f->root, &cred, &dir), 0);
    assert_int_equal(want(f, dir, 1), 0);
    assert_false(dir_entry(dir, 1, &entry));
    make(f, NFS_CREATE, "b");
    assert_false(dir_entry(dir, 1, &entry));
    dir_rewind(dir);
    assert_int_equal(want(f, dir, 1), 0);
    assert_true(dir_entry(dir, 1, &entry));
    dir_put(dir);
}

static void attributes_of_a_listing_do_not_outlive_a_change(void **state) {
    struct fixture *f = *state;
    struct dir *dir = NULL;
    struct nfs_cred cred = {0};
    uint64_t moment, writes;
    make(f, NFS_CREATE, "a");
    assert_int_equal(dir_new(f->fs, &f->root, &cred, &dir), 0);
    assert_int_equal(want(f, dir, 0), 0);
    assert_true(dir_is_current(dir, 0, &moment, &writes));
    nodes_changed(f->fs->nodes, NODES_ROOT);
    assert_false(dir_is_current(dir, 0, &moment, &writes));
    dir_put(dir);
}

// Lists all; after the first entries another name is made, which ends the cookies of strict servers.
static void a_change_while_listing_loses_and_repeats_nothing(void **state) {
    struct fixture *f = *state;
    struct dir *dir = NULL;
    struct nfs_cred cred = {0};
    struct nfs_dirent entry;
    char name[32];
    unsigned seen[104] = {0};
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        make(f, NFS_CREATE, name);
    }
    fake_nfs_set_page(f->store, 7);
    fake_nfs_set_strict_cookies(f->store, true);
    assert_int_equal(dir_new(f->fs, &f->root, &cred, &dir), 0);
    for (uint64_t index = 0;; index++) {
        if (index % 30 == 10) { // some pages have shrunk to names by then
            (void)snprintf(name, sizeof name, "%d", 100 + (int)index / 30);
            make(f, NFS_CREATE, name);
        }
        assert_int_equal(want(f, dir, index), 0);
        if (!dir_entry(dir, index, &entry))
            break;
        seen[atoi(entry.name)]++;
        dir_given(dir, index);
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(seen[i], 1);
    for (int i = 100; i < 104; i++)
        assert_true(seen[i] <= 1); // made meanwhile: may show
    dir_put(dir);
}

static void a_server_that_denies_the_directory_is_asked_again(void **state) {
    struct fixture *f = *state;
    struct dir *dir = NULL;
    struct nfs_cred cred = {0};
    struct nfs_dirent entry;
    char name[32];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        make(f, NFS_CREATE, name);
    }
    fake_nfs_set_page(f->store, 7);
    fake_nfs_set_confused(f->store, 20);
    assert_int_equal(dir_new(f->fs, &f->root, &cred, &dir), 0);
    unsigned seen[100] = {0};
    uint64_t index = 0;
    for (; want(f, dir, index) == 0 && dir_entry(dir, index, &entry); index++) {
        seen[atoi(entry.name)]++;
        dir_given(dir, index);
    }
    assert_int_equal(index, 100);
    for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
        assert_int_equal(seen[i], 1);
    dir_put(dir);
}

static void an_error_is_the_answer(void **state) {
    struct fixture *f = *state;
    struct dir *dir = NULL;
    struct nfs_cred cred = {0};
    struct nfs_fh dead = {.len = 8, .data = {9, 9, 9, 9}};
    assert_int_equal(dir_new(f->fs, &dead, &cred, &dir), 0);
    assert_true(want(f, dir, 0) < 0);
    dir_put(dir);
}

static void a_sub_directory_is_found_and_nothing_above_it(void **state) {
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    struct nfs_fh fh;
    make(f, NFS_MKDIR, "d");
    make(f, NFS_CREATE, "f");
    assert_int_equal(subdir_find(f->share, "d", 0, &fh, &err), 0);
    assert_false(nfs_fh_eq(&fh, &f->root));
    assert_int_equal(subdir_find(f->share, NULL, 0, &fh, &err), 0);
    assert_true(nfs_fh_eq(&fh, &f->root));
    assert_int_equal(subdir_find(f->share, "d/../f", 0, &fh, &err), -EINVAL);
    assert_int_equal(subdir_find(f->share, "missing", 0, &fh, &err), -ENOENT);
    assert_non_null(strstr(err_text(&err), "missing"));
    assert_int_equal(subdir_find(f->share, "f", 0, &fh, &err), -ENOTDIR);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(all_entries_come_once_and_stay_at_their_position),  TEST(a_rewind_sees_what_is_new),
        TEST(attributes_of_a_listing_do_not_outlive_a_change),   TEST(an_error_is_the_answer),
        TEST(a_server_that_denies_the_directory_is_asked_again), TEST(a_change_while_listing_loses_and_repeats_nothing),
        TEST(a_successor_goes_on_where_the_reader_is),           TEST(a_sub_directory_is_found_and_nothing_above_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
