// SPDX-License-Identifier: Apache-2.0
// The write-back against a server whose every answer the test gives itself, in the order it likes.
#include "tests/support/cm.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "node-plugin/cachefs/state.h"
#include "node-plugin/cachefs/writeback.h"

#define KIB ((size_t)1024)

struct hand { // a share in the test's hand
    struct nfs_share share;
    struct nfs_info info;
    struct nfs_call *calls[256];
    size_t count;
    uint8_t verifier;
};

static void hand_submit(struct nfs_share *share, struct nfs_call *call) {
    struct hand *hand = (struct hand *)(void *)share;
    assert_true(hand->count < 256);
    hand->calls[hand->count++] = call;
}
static const struct nfs_info *hand_info(struct nfs_share *share) {
    return &((struct hand *)(void *)share)->info;
}
static const struct nfs_backend hand_backend = {.submit = hand_submit, .info = hand_info};

struct fixture {
    struct hand hand;
    struct state *state;
    struct spool spool;
    struct slots records;
    struct bufs bufs;
    struct wb_mount mount;
    struct wb wb;
    char text[4096];
};
struct counted_wait {
    struct wb_wait wait;
    int runs, result;
};

static void count_run(struct wb_wait *wait, int result) {
    struct counted_wait *w = (struct counted_wait *)(void *)wait;
    w->runs++;
    w->result = result;
}
#define WAIT                                                                                                           \
    { .wait.run = count_run }

static const struct nfs_cred cred = {.uid = 7, .gid = 8};

static int set_up(void **state) {
    static struct fixture f;
    f = (struct fixture){.hand.share.backend = &hand_backend, .hand.info.write_max = 1024 * 1024};
    memset(f.text, 'x', sizeof f.text);
    size_t bytes, record;
    assert_int_equal(state_open(NULL, false, &f.state, NULL), 0);
    assert_int_equal(spool_open(&f.spool, f.state->fds[STATE_SPOOL]), 0);
    void *memory = state_region(f.state, STATE_PIECES, &bytes, &record);
    slots_open(&f.records, memory, bytes, record);
    bufs_init(&f.bufs, 1024 * 1024 + 4096, &f.spool);
    wb_mount_init(&f.mount, &f.hand.share, &f.bufs, &f.records, 4 << 20);
    struct nfs_fh fh = {.len = 1};
    wb_init(&f.wb, &f.mount, &fh);
    *state = &f;
    return 0;
}
static int tear_down(void **state) {
    struct fixture *f = *state;
    assert_int_equal(wb_mount_used(&f->mount), 0); // every byte was accounted for
    bufs_done(&f->bufs);
    wb_mount_done(&f->mount);
    assert_int_equal(slots_count(&f->records), 0);
    assert_int_equal(f->spool.used, 0);
    slots_done(&f->records);
    spool_done(&f->spool);
    f->state = state_free(f->state);
    return 0;
}

static int put(struct fixture *f, uint64_t offset, size_t len, struct counted_wait *wait) {
    static struct counted_wait nobody = WAIT;
    struct wb_write w = {.offset = offset, .len = len, .data = f->text, .cred = &cred};
    return wb_write(&f->wb, &w, wait ? &wait->wait : &nobody.wait);
}

static struct nfs_call *take(struct fixture *f, enum nfs_op op) { // the oldest unanswered call
    assert_true(f->hand.count > 0);
    struct nfs_call *call = f->hand.calls[0];
    assert_int_equal(call->op, op);
    memmove(f->hand.calls, f->hand.calls + 1, --f->hand.count * sizeof call);
    return call;
}

static void answer(struct fixture *f, struct nfs_call *call, int result) {
    call->result = result;
    memset(call->verifier, f->hand.verifier, sizeof call->verifier);
    call->done(call);
}

static void finish(struct fixture *f) { // as a good server
    struct counted_wait wait = WAIT;
    (void)wb_sync(&f->wb, &wait.wait);
    while (f->hand.count)
        answer(f, take(f, f->hand.calls[0]->op), 0);
    assert_true(wb_clean(&f->wb));
}

static void small_writes_grow_into_one(void **state) {
    struct fixture *f = *state;
    struct counted_wait wait = WAIT;
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(put(f, i * 1000, 1000, NULL), 1);
    assert_int_equal(f->hand.count, 0);
    assert_false(wb_sync(&f->wb, &wait.wait));
    struct nfs_call *call = take(f, NFS_WRITE);
    assert_int_equal(call->offset, 0);
    assert_int_equal(call->count, 10000);
    assert_int_equal(call->cred->uid, 7);
    assert_true(call->stable); // one call instead of WRITE and COMMIT
    assert_int_equal(wait.runs, 0);
    answer(f, call, 0);
    assert_int_equal(wait.runs, 1);
    assert_int_equal(f->hand.count, 0);
}

static void a_tick_sends_what_was_held_back(void **state) {
    struct fixture *f = *state;
    assert_int_equal(put(f, 0, 10, NULL), 1);
    wb_tick(&f->mount);
    assert_int_equal(f->hand.count, 0); // young
    wb_tick(&f->mount);
    assert_int_equal(f->hand.count, 1);
    finish(f);
}

static void overlapping_writes_keep_their_order(void **state) {
    struct fixture *f = *state;
    struct counted_wait wait = WAIT;
    assert_int_equal(put(f, 0, 100, NULL), 1);
    assert_int_equal(put(f, 50, 100, NULL), 1);
    assert_int_equal(put(f, 5000, 100, NULL), 1);
    assert_false(wb_wait_range(&f->wb, &wait.wait, 60, 10));
    assert_int_equal(f->hand.count, 2); // the second waits for the first
    struct nfs_call *first = take(f, NFS_WRITE), *third = take(f, NFS_WRITE);
    assert_int_equal(first->offset, 0);
    assert_int_equal(third->offset, 5000);
    answer(f, first, 0);
    assert_int_equal(wait.runs, 0);
    struct nfs_call *second = take(f, NFS_WRITE);
    assert_int_equal(second->offset, 50);
    answer(f, second, 0);
    assert_int_equal(wait.runs, 1); // though the third is still on its way
    answer(f, third, 0);
    finish(f);
}

static void a_restarted_server_gets_the_data_again(void **state) {
    struct fixture *f = *state;
    struct counted_wait wait = WAIT;
    assert_int_equal(put(f, 0, 100, NULL), 1);
    assert_int_equal(put(f, 5000, 100, NULL), 1);
    assert_false(wb_sync(&f->wb, &wait.wait));
    answer(f, take(f, NFS_WRITE), 0);
    answer(f, take(f, NFS_WRITE), 0);
    f->hand.verifier = 9; // it lost its memory
    answer(f, take(f, NFS_COMMIT), 0);
    assert_int_equal(wait.runs, 0);
    assert_int_equal(f->hand.count, 2);
    struct nfs_call *again = take(f, NFS_WRITE);
    assert_int_equal(again->offset, 0);
    assert_int_equal(again->count, 100);
    answer(f, again, 0);
    answer(f, take(f, NFS_WRITE), 0);
    assert_int_equal(wait.runs, 0);
    answer(f, take(f, NFS_COMMIT), 0);
    assert_int_equal(wait.runs, 1);
    assert_int_equal(wait.result, 0);
}

static void an_error_is_told_once_and_the_next_write_waits(void **state) {
    struct fixture *f = *state;
    struct counted_wait wait = WAIT, through = WAIT;
    unsigned seen = wb_error_now(&f->wb), other = seen;
    assert_int_equal(put(f, 0, 100, NULL), 1);
    assert_false(wb_sync(&f->wb, &wait.wait));
    answer(f, take(f, NFS_WRITE), -ENOSPC);
    assert_int_equal(wait.runs, 1);
    assert_int_equal(wb_error(&f->wb, &seen), -ENOSPC);
    assert_int_equal(wb_error(&f->wb, &seen), 0);
    assert_int_equal(wb_error(&f->wb, &other), -ENOSPC); // every descriptor hears of it
    assert_int_equal(put(f, 0, 100, &through), 0);
    answer(f, take(f, NFS_WRITE), -ENOSPC);
    assert_int_equal(through.runs, 1);
    assert_int_equal(through.result, -ENOSPC);
    assert_int_equal(wb_error(&f->wb, &seen), 0); // it was told to the writer already
    assert_int_equal(put(f, 0, 100, &through), 0);
    answer(f, take(f, NFS_WRITE), 0);
    assert_int_equal(through.result, 0);
    assert_int_equal(put(f, 200, 100, NULL), 1); // back to normal
    finish(f);
}

static void a_partly_done_write_goes_on_where_it_stopped(void **state) {
    struct fixture *f = *state;
    struct counted_wait wait = WAIT;
    assert_int_equal(put(f, 1000, 100, NULL), 1);
    assert_false(wb_sync(&f->wb, &wait.wait));
    struct nfs_call *call = take(f, NFS_WRITE);
    call->count = 30;
    answer(f, call, 0);
    call = take(f, NFS_WRITE);
    assert_int_equal(call->offset, 1030);
    assert_int_equal(call->count, 70);
    answer(f, call, 0);
    finish(f);
    assert_int_equal(wait.runs, 1);
}

static void without_room_a_write_waits_and_data_is_committed(void **state) {
    struct fixture *f = *state;
    struct counted_wait wait = WAIT;
    int r = 1;
    uint64_t at = 0;
    for (; r == 1; at += 256 * KIB) { // not contiguous: a piece each
        struct wb_write w = {.offset = at * 2, .len = 256 * KIB, .cred = &cred};
        w.buf = bufs_get(&f->bufs);
        w.data = w.buf;
        r = wb_write(&f->wb, &w, &wait.wait);
        bufs_put(&f->bufs, w.buf);
    }
    assert_int_equal(r, -EAGAIN);
    assert_true(wb_mount_used(&f->mount) <= 4u << 20);
    while (f->hand.count && wait.runs == 0)
        answer(f, take(f, f->hand.calls[0]->op), 0);
    assert_int_equal(wait.runs, 1);
    finish(f);
}

static void a_truncation_cuts_what_may_be_sent_again(void **state) {
    struct fixture *f = *state;
    struct counted_wait wait = WAIT;
    assert_int_equal(put(f, 0, 100, NULL), 1);
    assert_int_equal(put(f, 5000, 100, NULL), 1);
    assert_false(wb_wait_range(&f->wb, &wait.wait, 0, 0));
    answer(f, take(f, NFS_WRITE), 0);
    answer(f, take(f, NFS_WRITE), 0);
    assert_int_equal(wait.runs, 1);
    wb_truncated(&f->wb, 40);
    assert_false(wb_sync(&f->wb, &wait.wait));
    f->hand.verifier = 1;
    answer(f, take(f, NFS_COMMIT), 0);
    struct nfs_call *again = take(f, NFS_WRITE);
    assert_int_equal(again->count, 40);
    assert_int_equal(f->hand.count, 0); // nothing is left of the second
    answer(f, again, 0);
    finish(f);
}

static void attributes_from_before_a_write_are_known_as_such(void **state) {
    struct fixture *f = *state;
    struct counted_wait wait = WAIT;
    uint64_t before = wb_moment(&f->mount), end = 0;
    assert_false(wb_busy(&f->wb, before, &end));
    assert_int_equal(put(f, 1000, 24, NULL), 1);
    assert_true(wb_busy(&f->wb, before, &end));
    assert_int_equal(end, 1024);
    assert_false(wb_sync(&f->wb, &wait.wait));
    answer(f, take(f, NFS_WRITE), 0);
    assert_true(wb_busy(&f->wb, before, &end));
    assert_false(wb_busy(&f->wb, wb_moment(&f->mount), &end));
}

static void a_wait_that_was_taken_back_does_not_run(void **state) {
    struct fixture *f = *state;
    struct counted_wait wait = WAIT;
    assert_int_equal(put(f, 0, 100, NULL), 1);
    assert_false(wb_wait_range(&f->wb, &wait.wait, 0, 0));
    assert_true(wb_unwait(&f->wb, &wait.wait));
    assert_false(wb_unwait(&f->wb, &wait.wait));
    finish(f);
    assert_int_equal(wait.runs, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(small_writes_grow_into_one),
        TEST(a_tick_sends_what_was_held_back),
        TEST(overlapping_writes_keep_their_order),
        TEST(a_restarted_server_gets_the_data_again),
        TEST(an_error_is_told_once_and_the_next_write_waits),
        TEST(a_partly_done_write_goes_on_where_it_stopped),
        TEST(without_room_a_write_waits_and_data_is_committed),
        TEST(a_truncation_cuts_what_may_be_sent_again),
        TEST(attributes_from_before_a_write_are_known_as_such),
        TEST(a_wait_that_was_taken_back_does_not_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
