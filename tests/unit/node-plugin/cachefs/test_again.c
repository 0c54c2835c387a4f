// SPDX-License-Identifier: Apache-2.0
// What a request that comes again is told about the first time.
#include "tests/support/cm.h"

#include <errno.h>

#include "node-plugin/cachefs/again.h"
#include "node-plugin/cachefs/op.h"
#include "tests/fakes/fake_nfs.h"

static struct fake_nfs_store *store;
static struct nfs_share *share;
static struct fs *fs;

static int set_up(void **state) {
    (void)state;
    store = fake_nfs_store_new();
    share = fake_nfs_open(store);
    const struct fs_options options = {.share = share, .root = &nfs_share_info(share)->root};
    return fs_new(&options, &fs, NULL);
}
static int tear_down(void **state) {
    (void)state;
    (void)nfs_share_free(share);
    fs = fs_free(fs);
    (void)fake_nfs_store_free(store);
    return 0;
}

static struct op *request(uint64_t unique) {
    struct op *op = op_new(fs, NULL);
    assert_non_null(op);
    op->unique = unique;
    return op;
}

static void submit(struct op *op, enum nfs_op operation, uint64_t number) {
    op->call = (struct nfs_call){.op = operation};
    again_submitting(op);
    if (op->call.sent)
        *op->call.sent = number;
}

static void answer(struct op *op, int result) {
    op->result = result;
    again_answered(op);
}

// The daemon dies: its op is gone from memory, its record is not.
static void lose(struct op *op) {
    op->call_record = 0;
    op_end(op);
    fs->life++;
}

static void what_was_sent_is_known(void **state) {
    (void)state;
    struct op *op = request(40);
    submit(op, NFS_LINK, 7);
    answer(op, 0);
    submit(op, NFS_REMOVE, 8);
    lose(op);
    op = request(40);
    again_find(op);
    assert_true(again_was(op, NFS_LINK));
    assert_true(again_was(op, NFS_REMOVE));
    assert_false(again_was(op, NFS_RENAME));
    submit(op, NFS_LINK, 9);
    assert_true(op->call.again == 0); // not the latest: its number is not known any more
    op_end(op);
    assert_int_equal(slots_count(&fs->calls), 0);
}

static void the_latest_call_gets_its_number_again(void **state) {
    (void)state;
    struct op *op = request(42);
    submit(op, NFS_SETATTR, 11);
    lose(op);
    op = request(42);
    again_find(op);
    submit(op, NFS_SETATTR, 12);
    assert_true(op->call.again == 11);
    submit(op, NFS_SETATTR, 13); // another one of the same request
    assert_true(op->call.again == 0);
    lose(op);
    op = request(42);
    again_find(op);
    submit(op, NFS_SETATTR, 14);
    assert_true(op->call.again == 13);
    op_end(op);
}

static void what_the_server_refused_was_not_done(void **state) {
    (void)state;
    struct op *op = request(44);
    submit(op, NFS_MKDIR, 1);
    answer(op, -EEXIST);
    lose(op);
    op = request(44);
    again_find(op);
    assert_false(again_was(op, NFS_MKDIR));
    submit(op, NFS_MKDIR, 2);
    lose(op);
    op = request(44); // twice unlucky: the refusal may be due to what the one before had done
    again_find(op);
    submit(op, NFS_MKDIR, 3);
    answer(op, -EEXIST);
    lose(op);
    op = request(44);
    again_find(op);
    assert_true(again_was(op, NFS_MKDIR));
    op_end(op);
}

static void nothing_is_written_down_for_reads_and_own_work(void **state) {
    (void)state;
    struct op *op = request(46), *own = request(0);
    submit(op, NFS_LOOKUP, 1);
    submit(op, NFS_WRITE, 1); // has records of its own
    submit(own, NFS_REMOVE, 1);
    assert_int_equal(slots_count(&fs->calls), 0);
    op_end(op);
    op_end(own);
}

static void others_do_not_know(void **state) {
    (void)state;
    struct op *op = request(48), *other = request(50);
    submit(op, NFS_RMDIR, 1);
    again_find(other);
    assert_false(again_was(other, NFS_RMDIR));
    op_end(other);
    op_end(op);
}

static void what_does_not_come_again_is_forgotten(void **state) {
    (void)state;
    submit(request(52), NFS_RMDIR, 1);
    struct op *op = fs->ops;
    lose(op);
    struct op *mine = request(54);
    submit(mine, NFS_RMDIR, 1);
    fs->resumed_ns = clock_monotonic(fs->clock);
    again_forget_old(fs);
    assert_int_equal(slots_count(&fs->calls), 2); // it may still come
    fs->resumed_ns -= 31 * NS_PER_S;
    again_forget_old(fs);
    assert_int_equal(slots_count(&fs->calls), 1);
    op_end(mine);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_was_sent_is_known),
        TEST(the_latest_call_gets_its_number_again),
        TEST(what_the_server_refused_was_not_done),
        TEST(nothing_is_written_down_for_reads_and_own_work),
        TEST(others_do_not_know),
        TEST(what_does_not_come_again_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
