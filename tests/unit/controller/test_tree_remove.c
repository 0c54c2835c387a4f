// SPDX-License-Identifier: Apache-2.0
#include "controller/tree_remove.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "tests/fakes/fake_nfs.h"
#include "tests/fakes/faulty_nfs.h"
#include "tests/support/tree_kit.h"

struct fixture {
    struct fake_nfs_store *store;
    struct nfs_share *share, *other;
    struct nfs_fh root, tree;
    uint64_t files; // before the tree
};

static int setup(void **state) {
    struct fixture *f = mem_zalloc(sizeof *f);
    f->store = fake_nfs_store_new();
    f->share = faulty_nfs_new(fake_nfs_open(f->store));
    f->other = fake_nfs_open(f->store);
    f->root = nfs_share_info(f->share)->root;
    f->files = fake_nfs_file_count(f->store);
    f->tree = kit_mkdir(f->other, &f->root, "tree");
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    (void)nfs_share_free(f->share);
    (void)nfs_share_free(f->other);
    (void)fake_nfs_store_free(f->store);
    free(f);
    return 0;
}

static int remove_tree(struct fixture *f, struct tree_remove_progress *progress, struct err *err) {
    return tree_remove(f->share, &f->root, "tree", NULL, progress, err);
}

static void assert_gone(struct fixture *f) {
    assert_int_equal(kit_lookup(f->other, &f->root, "tree", NULL), -ENOENT);
    assert_int_equal(fake_nfs_file_count(f->store), f->files);
}

static void removes_odd_tree(void **state) {
    struct fixture *f = *state;
    struct tree_remove_progress progress = {0};
    kit_odd_tree(f->other, &f->tree);
    assert_int_equal(remove_tree(f, &progress, NULL), 0);
    assert_gone(f);
    assert_int_equal(progress.removed, 18); // 13 names and 5 directories
    assert_int_equal(progress.failed, 0);
}

static void removes_a_file_and_nothing(void **state) {
    struct fixture *f = *state;
    (void)kit_file(f->other, &f->root, "file", "x");
    assert_int_equal(tree_remove(f->share, &f->root, "file", NULL, NULL, NULL), 0);
    assert_int_equal(tree_remove(f->share, &f->root, "file", NULL, NULL, NULL), 0);
    assert_int_equal(kit_lookup(f->other, &f->root, "file", NULL), -ENOENT);
}

static void removes_deep_and_wide(void **state) {
    struct fixture *f = *state;
    struct nfs_fh at = f->tree;
    for (int i = 0; i < 300; i++) {
        (void)kit_file(f->other, &at, "beside", "");
        at = kit_mkdir(f->other, &at, "level");
    }
    struct nfs_fh wide = kit_mkdir(f->other, &f->tree, "wide");
    for (int i = 0; i < 5000; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%d", i);
        (void)(i % 5 ? kit_file(f->other, &wide, name, "") : kit_mkdir(f->other, &wide, name));
    }
    assert_int_equal(remove_tree(f, NULL, NULL), 0);
    assert_gone(f);
}

static void never_follows_a_link(void **state) {
    struct fixture *f = *state;
    struct nfs_fh outside = kit_mkdir(f->other, &f->root, "outside");
    (void)kit_file(f->other, &outside, "precious", "x");
    kit_symlink(f->other, &f->tree, "link", "../outside");
    assert_int_equal(remove_tree(f, NULL, NULL), 0);
    assert_int_equal(kit_lookup(f->other, &outside, "precious", NULL), 0);
}

static void what_stays_is_told_once_and_the_rest_goes(void **state) {
    struct fixture *f = *state;
    struct tree_remove_progress progress = {0};
    struct err err = ERR_NONE;
    for (int i = 0; i < 20; i++)
        (void)kit_file(f->other, &f->tree, (char[]){(char)('a' + i), 0}, "");
    faulty_nfs_fail(f->share, FAULTY_OP, NFS_REMOVE, 7, -EPERM); // as an immutable file does
    assert_int_equal(remove_tree(f, &progress, &err), -EPERM);
    assert_int_equal(progress.failed, 1);
    assert_int_equal(kit_entries(f->other, &f->tree), 1);
    assert_non_null(strstr(err.msg, "1 in all"));
    assert_int_equal(remove_tree(f, NULL, NULL), 0);
    assert_gone(f);
}

static void denied_entry_opens_its_directory(void **state) {
    struct fixture *f = *state;
    struct nfs_fh sub = kit_mkdir(f->other, &f->tree, "sub");
    (void)kit_file(f->other, &sub, "file", "");
    faulty_nfs_fail(f->share, FAULTY_OP, NFS_REMOVE, 1, -EACCES);
    assert_int_equal(remove_tree(f, NULL, NULL), 0);
    assert_int_equal(faulty_nfs_count(f->share, FAULTY_OP, NFS_SETATTR), 1);
    assert_gone(f);
}

static void denied_share_is_told(void **state) {
    struct fixture *f = *state;
    struct err err = ERR_NONE;
    (void)kit_file(f->other, &f->tree, "file", "");
    fake_nfs_set_denied(f->store, true);
    assert_int_equal(remove_tree(f, NULL, &err), -EACCES);
    assert_non_null(strstr(err.msg, "'tree/file'"));
    fake_nfs_set_denied(f->store, false);
}

static void goes_on_after_any_death(void **state) {
    struct fixture *f = *state;
    bool died = true;
    for (long n = 1; died; n++) {
        kit_odd_tree(f->other, &f->tree);
        faulty_nfs_die(f->share, n, n % 2);
        int r = remove_tree(f, NULL, NULL);
        died = faulty_nfs_dead(f->share);
        assert_int_equal(r, died ? -ESHUTDOWN : 0);
        faulty_nfs_die(f->share, 0, false);
        assert_int_equal(remove_tree(f, NULL, NULL), 0);
        assert_gone(f);
        f->tree = kit_mkdir(f->other, &f->root, "tree");
    }
}

// Each removal takes the server's cookies away; the tree goes nevertheless, since every attempt finds fewer entries.
static void bears_lost_cookies(void **state) {
    struct fixture *f = *state;
    fake_nfs_set_strict_cookies(f->store, true);
    for (int i = 0; i < 2000; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%d", i);
        (void)(i % 5 ? kit_file(f->other, &f->tree, name, "") : kit_mkdir(f->other, &f->tree, name));
    }
    assert_int_equal(remove_tree(f, NULL, NULL), 0);
    assert_gone(f);
    fake_nfs_set_strict_cookies(f->store, false);
}

struct racer {
    struct fixture *f;
    struct nfs_share *share;
    int result;
};

static void *race(void *arg) {
    struct racer *racer = arg;
    racer->result = tree_remove(racer->share, &racer->f->root, "tree", NULL, NULL, NULL);
    return NULL;
}

static void two_at_once_do_no_harm(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 40; i++) {
        struct nfs_fh sub = kit_mkdir(f->other, &f->tree, (char[]){(char)('A' + i), 0});
        kit_odd_tree(f->other, &sub);
    }
    struct racer racers[2] = {{.f = f, .share = f->share}, {.f = f, .share = f->other}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(racers[0].result, 0);
    assert_int_equal(racers[1].result, 0);
    assert_gone(f);
}

static void survives_lack_of_memory(void **state) {
    struct fixture *f = *state;
    struct nfs_fh sub = kit_mkdir(f->other, &f->tree, "sub");
    (void)kit_file(f->other, &sub, "file", "");
    int r = -ENOMEM;
    for (long n = 1; r; n++) {
        (void)mem_fail_nth(n);
        r = remove_tree(f, NULL, NULL);
        (void)mem_fail_nth(0);
        assert_true(r == 0 || r == -ENOMEM);
        assert_true(n < 1000);
    }
    assert_gone(f);
}

static bool frozen(void *arg) {
    return faulty_nfs_held(arg) > 0;
}

static void freeze(const struct nfs_call *call, void *arg) {
    (void)call;
    faulty_nfs_hold(arg, true);
}

static void stops_though_the_server_is_frozen(void **state) {
    struct fixture *f = *state;
    (void)kit_file(f->other, &f->tree, "file", "");
    struct tree_remove_options options = {.cancel = {.cancelled = frozen, .arg = f->share}};
    faulty_nfs_hook(f->share, freeze, f->share);
    assert_int_equal(tree_remove(f->share, &f->root, "tree", &options, NULL, NULL), -ECANCELED);
    faulty_nfs_hook(f->share, NULL, NULL);
    faulty_nfs_hold(f->share, false);
    assert_int_equal(remove_tree(f, NULL, NULL), 0);
    assert_gone(f);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(removes_odd_tree),
        T(removes_a_file_and_nothing),
        T(removes_deep_and_wide),
        T(never_follows_a_link),
        T(what_stays_is_told_once_and_the_rest_goes),
        T(denied_entry_opens_its_directory),
        T(denied_share_is_told),
        T(goes_on_after_any_death),
        T(two_at_once_do_no_harm),
        T(bears_lost_cookies),
        T(survives_lack_of_memory),
        T(stops_though_the_server_is_frozen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
