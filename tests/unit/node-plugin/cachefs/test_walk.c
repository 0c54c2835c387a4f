// SPDX-License-Identifier: Apache-2.0
// Walking a tree of the fake share: every file once, whatever the pages, the depth and the width.
#include "tests/support/cm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "node-plugin/cachefs/walk.h"
#include "tests/fakes/fake_nfs.h"
#include "tests/fakes/faulty_nfs.h"

#define FILES_MAX 1000

struct fixture {
    struct fake_nfs_store *store;
    struct nfs_share *share;
    struct nfs_fh root;
    struct nfs_cred cred;
    pthread_mutex_t lock;
    struct bell bell;
    unsigned seen[FILES_MAX];
    unsigned found;
};

static int set_up(void **state) {
    static struct fixture f;
    memset(&f, 0, sizeof f);
    f.store = fake_nfs_store_new();
    f.share = faulty_nfs_new(fake_nfs_open(f.store));
    f.root = nfs_share_info(f.share)->root;
    (void)pthread_mutex_init(&f.lock, NULL);
    f.bell.lock = &f.lock;
    (void)pthread_cond_init(&f.bell.cond, NULL);
    *state = &f;
    return 0;
}
static int tear_down(void **state) {
    struct fixture *f = *state;
    (void)nfs_share_free(f->share);
    (void)fake_nfs_store_free(f->store);
    return 0;
}

static struct nfs_fh make(struct fixture *f, enum nfs_op op, const struct nfs_fh *dir, const char *name) {
    struct nfs_call call = {
        .op = op, .fh = *dir, .name = name, .target = "/x", .set = {.mask = NFS_SET_MODE, .mode = 0755}};
    assert_int_equal(nfs_run(f->share, &call), 0);
    return call.out_fh;
}

static void wait_for_bell(struct fixture *f) {
    LOCK_SCOPE(&f->lock);
    while (!f->bell.rung)
        (void)pthread_cond_wait(&f->bell.cond, &f->lock);
    f->bell.rung = false;
}

// Up to `most` files; what they are called is counted.
static enum walk_result go_on(struct fixture *f, struct walk *walk, unsigned most) {
    struct walk_file file;
    while (most) {
        switch (walk_next(walk, &file)) {
        case WALK_FILE:
            f->seen[atoi(file.name)]++;
            f->found++;
            most--;
            break;
        case WALK_WAIT:
            wait_for_bell(f);
            break;
        case WALK_END:
            return WALK_END;
        }
    }
    return WALK_FILE;
}

static void each_file_comes_once(void **state) {
    struct fixture *f = *state;
    struct walk *walk cleanup(walk_freep) = NULL;
    struct nfs_fh dir = f->root, other = {0};
    char name[32];
    int error;
    for (int i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        (void)make(f, NFS_CREATE, &dir, name);
        if (i % 10 == 0) { // three of these below each other, the others empty
            (void)snprintf(name, sizeof name, "d%d", i);
            other = make(f, NFS_MKDIR, &dir, name);
        }
        if (i % 100 == 50)
            dir = other;
    }
    (void)make(f, NFS_SYMLINK, &dir, "link");
    fake_nfs_set_page(f->store, 7);
    assert_int_equal(walk_new(f->share, &f->cred, &f->bell, &f->root, &walk), 0);
    assert_int_equal(go_on(f, walk, UINT32_MAX), WALK_END);
    assert_int_equal(f->found, 300);
    for (int i = 0; i < 300; i++)
        assert_int_equal(f->seen[i], 1);
    assert_int_equal(walk_failures(walk, &error), 0);
}

// More directories in a page than the stack holds: the page is read again for the rest of them.
static void a_wide_directory_takes_little_memory(void **state) {
    struct fixture *f = *state;
    struct walk *walk cleanup(walk_freep) = NULL;
    char name[32];
    int error;
    unsigned dirs = WALK_STACK_MAX + 500;
    for (unsigned i = 0; i < dirs; i++) {
        (void)snprintf(name, sizeof name, "d%u", i);
        struct nfs_fh dir = make(f, NFS_MKDIR, &f->root, name);
        if (i % 100 == 0 || i > dirs - 10) {
            (void)snprintf(name, sizeof name, "%u", i % FILES_MAX);
            (void)make(f, NFS_CREATE, &dir, name);
        }
    }
    (void)make(f, NFS_CREATE, &f->root, "1");
    fake_nfs_set_page(f->store, dirs * 2);
    assert_int_equal(walk_new(f->share, &f->cred, &f->bell, &f->root, &walk), 0);
    assert_int_equal(go_on(f, walk, UINT32_MAX), WALK_END);
    assert_int_equal(f->found, (dirs + 99) / 100 + 9 - ((dirs - 1) / 100 * 100 > dirs - 10) + 1);
    assert_int_equal(walk_failures(walk, &error), 0);
    assert_int_equal(faulty_nfs_count(f->share, FAULTY_OP, NFS_READDIR), dirs + 2);
}

static void a_directory_that_changes_is_read_from_its_start(void **state) {
    struct fixture *f = *state;
    struct walk *walk cleanup(walk_freep) = NULL;
    char name[32];
    int error;
    for (int i = 0; i < 50; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        (void)make(f, NFS_CREATE, &f->root, name);
    }
    fake_nfs_set_page(f->store, 10);
    fake_nfs_set_strict_cookies(f->store, true);
    assert_int_equal(walk_new(f->share, &f->cred, &f->bell, &f->root, &walk), 0);
    assert_int_equal(go_on(f, walk, 15), WALK_FILE);
    (void)make(f, NFS_CREATE, &f->root, "50");
    assert_int_equal(go_on(f, walk, UINT32_MAX), WALK_END);
    for (int i = 0; i <= 50; i++)
        assert_in_range(f->seen[i], 1, 2);
    assert_int_equal(walk_failures(walk, &error), 0);
}

static void what_cannot_be_read_is_counted(void **state) {
    struct fixture *f = *state;
    struct walk *walk cleanup(walk_freep) = NULL;
    int error = 0;
    struct nfs_fh dir = make(f, NFS_MKDIR, &f->root, "a");
    (void)make(f, NFS_CREATE, &f->root, "1");
    (void)make(f, NFS_CREATE, &dir, "2");
    assert_int_equal(walk_new(f->share, &f->cred, &f->bell, &f->root, &walk), 0);
    faulty_nfs_fail(f->share, FAULTY_OP, NFS_READDIR, 2, -EACCES);
    assert_int_equal(go_on(f, walk, UINT32_MAX), WALK_END);
    assert_int_equal(f->found, 1);
    assert_int_equal(walk_failures(walk, &error), 1);
    assert_int_equal(error, -EACCES);
}

static void it_ends_while_the_server_is_silent(void **state) {
    struct fixture *f = *state;
    struct walk *walk = NULL;
    struct walk_file file;
    (void)make(f, NFS_CREATE, &f->root, "1");
    assert_int_equal(walk_new(f->share, &f->cred, &f->bell, &f->root, &walk), 0);
    faulty_nfs_hold(f->share, true);
    assert_int_equal(walk_next(walk, &file), WALK_WAIT);
    assert_int_equal(walk_next(walk, &file), WALK_WAIT);
    assert_null(walk_free(walk));
    assert_int_equal(faulty_nfs_held(f->share), 0);
    faulty_nfs_hold(f->share, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_file_comes_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wide_directory_takes_little_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_directory_that_changes_is_read_from_its_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_ends_while_the_server_is_silent, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
