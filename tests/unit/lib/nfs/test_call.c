// SPDX-License-Identifier: Apache-2.0
// The check of calls, nfs_run, and the decorator that fails, dies and stalls.
#include <errno.h>
#include <string.h>

#include "lib/base/clock.h"
#include "tests/fakes/fake_nfs.h"
#include "tests/fakes/faulty_nfs.h"
#include "tests/support/cm.h"

static struct nfs_call call_for(enum nfs_op op, const char *name) {
    return (struct nfs_call){.op = op, .fh = {.len = 8}, .name = name, .fh2 = {.len = 8}, .name2 = "b", .target = "t"};
}

static void test_check_names(void **state) {
    (void)state;
    static const enum nfs_op named[] = {NFS_LOOKUP, NFS_CREATE, NFS_MKDIR, NFS_SYMLINK, NFS_MKNOD,
                                        NFS_LINK,   NFS_REMOVE, NFS_RMDIR, NFS_RENAME};
    static const char *const bad[] = {"", ".", "..", "/", "a/", "/a", "../x", NULL};
    char longest[NFS_NAME_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[NFS_NAME_MAX + 1] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
        struct nfs_call call = call_for(named[i], "...");
        assert_int_equal(nfs_call_check(&call), 0);
        for (size_t k = 0; k < ARRAY_SIZE(bad); k++) {
            call.name = bad[k];
            assert_int_equal(nfs_call_check(&call), -EINVAL);
        }
        call.name = longest;
        assert_int_equal(nfs_call_check(&call), -ENAMETOOLONG);
        call.name = longest + 1;
        assert_int_equal(nfs_call_check(&call), 0);
    }
}

static void test_check_others(void **state) {
    (void)state;
    struct nfs_call call = call_for(NFS_RENAME, "a");
    call.name2 = "..";
    assert_int_equal(nfs_call_check(&call), -EINVAL);
    call = call_for(NFS_LINK, "a");
    call.fh2.len = 0;
    assert_int_equal(nfs_call_check(&call), -EINVAL);
    call = call_for(NFS_GETATTR, NULL);
    call.fh.len = NFS_FH_MAX + 1;
    assert_int_equal(nfs_call_check(&call), -EINVAL);
    call = call_for(NFS_READ, NULL);
    call.count = 1;
    assert_int_equal(nfs_call_check(&call), -EINVAL); // no buffer
    call = call_for(NFS_OP_COUNT, NULL);
    assert_int_equal(nfs_call_check(&call), -EINVAL);
}

static struct nfs_call mkdir_call(struct nfs_share *share, const char *name) {
    return (struct nfs_call){.op = NFS_MKDIR, .fh = nfs_share_info(share)->root, .name = name};
}

static int make(struct nfs_share *share, const char *name) {
    struct nfs_call call = mkdir_call(share, name);
    return nfs_run(share, &call);
}

static int find(struct nfs_share *share, const char *name) {
    struct nfs_call call = {.op = NFS_LOOKUP, .fh = nfs_share_info(share)->root, .name = name};
    return nfs_run(share, &call);
}

static void test_two_clients(void **state) {
    (void)state;
    struct fake_nfs_store *store cleanup(fake_nfs_store_freep) = fake_nfs_store_new();
    struct nfs_share *a cleanup(nfs_share_freep) = fake_nfs_open(store);
    struct nfs_share *b cleanup(nfs_share_freep) = fake_nfs_open(store);
    assert_int_equal(make(a, "x"), 0);
    assert_int_equal(make(b, "x"), -EEXIST);
    fake_nfs_set_denied(store, true);
    assert_int_equal(make(b, "y"), -EACCES);
    assert_int_equal(find(b, "x"), 0);
}

static void test_lost_writes(void **state) {
    (void)state;
    struct fake_nfs_store *store cleanup(fake_nfs_store_freep) = fake_nfs_store_new();
    struct nfs_share *share cleanup(nfs_share_freep) = fake_nfs_open(store);
    struct nfs_call c = {.op = NFS_CREATE, .fh = nfs_share_info(share)->root, .name = "f"};
    assert_int_equal(nfs_run(share, &c), 0);
    char text[] = "abcd";
    struct nfs_call kept = {.op = NFS_WRITE, .fh = c.out_fh, .data = text, .count = 2, .stable = true};
    struct nfs_call lost = {.op = NFS_WRITE, .fh = c.out_fh, .data = text, .count = 4};
    assert_int_equal(nfs_run(share, &kept), 0);
    assert_int_equal(nfs_run(share, &lost), 0);
    assert_int_equal(lost.attr.size, 4);
    fake_nfs_restart_server(store, true);
    struct nfs_call commit = {.op = NFS_COMMIT, .fh = c.out_fh};
    assert_int_equal(nfs_run(share, &commit), 0);
    assert_memory_not_equal(commit.verifier, lost.verifier, sizeof lost.verifier);
    struct nfs_call attr = {.op = NFS_GETATTR, .fh = c.out_fh};
    assert_int_equal(nfs_run(share, &attr), 0);
    assert_int_equal(attr.attr.size, 2);
    fake_nfs_set_limit(store, 1);
    lost.offset = 1 << 20;
    assert_int_equal(nfs_run(share, &lost), -ENOSPC);
}

static void test_fail_nth(void **state) {
    (void)state;
    struct nfs_share *share cleanup(nfs_share_freep) = faulty_nfs_new(fake_nfs_new());
    faulty_nfs_fail(share, FAULTY_CHANGES, 0, 2, -EIO);
    assert_int_equal(make(share, "a"), 0);
    assert_int_equal(find(share, "a"), 0);
    assert_int_equal(make(share, "b"), -EIO);
    assert_int_equal(make(share, "b"), 0);
    assert_int_equal(faulty_nfs_count(share, FAULTY_CHANGES, 0), 3);
    assert_int_equal(faulty_nfs_count(share, FAULTY_OP, NFS_LOOKUP), 1);
    assert_int_equal(faulty_nfs_count(share, FAULTY_ANY, 0), 4);
}

static void test_die(void **state) {
    (void)state;
    for (int applied = 0; applied < 2; applied++) {
        struct nfs_share *share cleanup(nfs_share_freep) = faulty_nfs_new(fake_nfs_new());
        faulty_nfs_die(share, 1, applied);
        assert_int_equal(make(share, "a"), -ESHUTDOWN);
        assert_true(faulty_nfs_dead(share));
        assert_int_equal(find(share, "a"), -ESHUTDOWN);
        faulty_nfs_die(share, 0, false);
        assert_int_equal(find(share, "a"), applied ? 0 : -ENOENT);
    }
}

static void never(struct nfs_call *call) {
    (void)call;
    fail();
}

static void test_hold(void **state) {
    (void)state;
    struct nfs_share *share cleanup(nfs_share_freep) = faulty_nfs_new(fake_nfs_new());
    faulty_nfs_hold(share, true);
    struct nfs_call late = mkdir_call(share, "a");
    late.deadline_ns = clock_monotonic(&clock_system) + NS_PER_MS;
    assert_int_equal(nfs_run(share, &late), -ETIMEDOUT);
    struct nfs_call gone = mkdir_call(share, "b");
    gone.done = never;
    nfs_submit(share, &gone);
    assert_int_equal(faulty_nfs_held(share), 1);
    nfs_cancel(share, &gone);
    assert_int_equal(gone.result, -ECANCELED);
    faulty_nfs_hold(share, false);
    assert_int_equal(find(share, "a"), -ENOENT);
    assert_int_equal(find(share, "b"), -ENOENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_names), cmocka_unit_test(test_check_others), cmocka_unit_test(test_two_clients),
        cmocka_unit_test(test_lost_writes), cmocka_unit_test(test_fail_nth),     cmocka_unit_test(test_die),
        cmocka_unit_test(test_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
