// SPDX-License-Identifier: Apache-2.0
// What every engine does with leased messages, and with those that are leased too often.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cm.h"
#include "tests/support/engine_kit.h"

static struct kit kit;

static int setup(void **state) {
    (void)state;
    kit_start(&kit);
    return kit_queue(&kit, "q", KIT_DEFAULTS);
}

static int teardown(void **state) {
    (void)state;
    kit_stop(&kit);
    return 0;
}

static void send(const char *body) {
    assert_int_equal(kit_send(&kit, "q", body, NULL), 0);
}

static void expect_from(const char *queue, const char *body, enum queue_receive_mode mode, char *ret_receipt) {
    char *got cleanup_free = kit_receive(&kit, queue, mode, ret_receipt);
    if (!body) {
        assert_null(got);
        return;
    }
    assert_non_null(got);
    assert_string_equal(got, body);
}

static void take(const char *body) {
    expect_from("q", body, QUEUE_TAKE, NULL);
}

static void lease(const char *body, char *ret_receipt) {
    expect_from("q", body, QUEUE_LEASE, ret_receipt);
}

static bool settle(enum queue_settle_action action, const char *receipt, int64_t ms) {
    bool ok = false;
    assert_int_equal(kit_settle(&kit, "q", action, receipt, ms, &ok), 0);
    return ok;
}

static void expect_lengths(int64_t ready, int64_t leased, int64_t delayed) {
    struct queue_info info = kit_info(&kit, "q");
    assert_int_equal(info.ready, ready);
    assert_int_equal(info.leased, leased);
    assert_int_equal(info.delayed, delayed);
}

static void test_lease_ack(void **state) {
    (void)state;
    char receipt[64], receipt2[64];
    send("1");
    send("2");
    lease("1", receipt);
    lease("2", receipt2);
    take(NULL);
    expect_lengths(0, 2, 0);
    assert_true(settle(QUEUE_ACK, receipt, 0));
    assert_false(settle(QUEUE_ACK, receipt, 0));
    assert_false(settle(QUEUE_ACK, "nonsense", 0));
    expect_lengths(0, 1, 0);
    kit_pass(&kit, 30000); // the default
    assert_false(settle(QUEUE_ACK, receipt2, 0));
    expect_lengths(1, 0, 0);
    take("2");
}

static void test_returned_messages_keep_their_place(void **state) {
    (void)state;
    char r1[64], r2[64], r3[64];
    send("1");
    send("2");
    send("3");
    send("4");
    lease("1", r1);
    lease("2", r2);
    lease("3", r3);
    assert_true(settle(QUEUE_NACK, r3, 0));
    assert_true(settle(QUEUE_NACK, r1, 0));
    kit_pass(&kit, 30000);
    take("1");
    take("2");
    take("3");
    take("4");
}

static void test_extend(void **state) {
    (void)state;
    char receipt[64];
    send("1");
    lease("1", receipt);
    kit_pass(&kit, 29999);
    assert_true(settle(QUEUE_EXTEND, receipt, 10000));
    kit_pass(&kit, 9999);
    take(NULL);
    assert_true(settle(QUEUE_ACK, receipt, 0));
    kit_pass(&kit, 100000);
    take(NULL);
}

static void test_nack_with_delay(void **state) {
    (void)state;
    char receipt[64];
    send("1");
    lease("1", receipt);
    assert_true(settle(QUEUE_NACK, receipt, 5000));
    expect_lengths(0, 0, 1);
    assert_false(settle(QUEUE_ACK, receipt, 0));
    kit_pass(&kit, 4999);
    take(NULL);
    kit_pass(&kit, 1);
    take("1");
}

static void test_dead_letters(void **state) {
    (void)state;
    struct queue_settings settings = KIT_DEFAULTS;
    settings.dead_letter = "dead";
    settings.max_receives = 2;
    assert_int_equal(kit_queue(&kit, "q", settings), -ENOENT);
    assert_int_equal(kit_queue(&kit, "dead", KIT_DEFAULTS), 0);
    assert_int_equal(kit_queue(&kit, "q", settings), 0);
    char receipt[64];
    send("bad");
    lease("bad", receipt);
    assert_true(settle(QUEUE_NACK, receipt, 0));
    lease("bad", receipt);
    kit_pass(&kit, 30000);
    take(NULL);
    assert_int_equal(kit_info(&kit, "dead").ready, 1);
    struct kit_wait wait = KIT_WAIT;
    struct queue_redrive redrive = {.call = kit_call(&wait), .queue = "dead"};
    kit.engine.queue->redrive(kit.engine.self, &redrive);
    assert_int_equal(kit_end(&wait, &redrive.call), 0);
    assert_int_equal(redrive.ret_moved, 1);
    assert_int_equal(kit_info(&kit, "dead").ready, 0);
    lease("bad", receipt); // with a new count
    assert_true(settle(QUEUE_NACK, receipt, 0));
    take("bad");
}

// How the last lease ended does not matter: given back with a delay, a bad message must not come for ever.
static void test_dead_letters_after_a_delay(void **state) {
    (void)state;
    struct queue_settings settings = KIT_DEFAULTS;
    settings.dead_letter = "dead";
    settings.max_receives = 2;
    assert_int_equal(kit_queue(&kit, "dead", KIT_DEFAULTS), 0);
    assert_int_equal(kit_queue(&kit, "q", settings), 0);
    char receipt[64];
    send("bad");
    for (int i = 0; i < 2; i++) {
        lease("bad", receipt);
        assert_true(settle(QUEUE_NACK, receipt, 100));
        kit_pass(&kit, 100);
    }
    take(NULL);
    expect_lengths(0, 0, 0);
    expect_from("dead", "bad", QUEUE_TAKE, NULL);
}

static void test_leases_survive_a_restart(void **state) {
    (void)state;
    char receipt[64];
    send("1");
    send("2");
    lease("1", receipt);
    kit_close(&kit);
    kit_open(&kit);
    expect_lengths(1, 1, 0);
    take("2");
    assert_true(settle(QUEUE_ACK, receipt, 0));
    expect_lengths(0, 0, 0);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_lease_ack),
        T(test_returned_messages_keep_their_place),
        T(test_extend),
        T(test_nack_with_delay),
        T(test_dead_letters),
        T(test_dead_letters_after_a_delay),
        T(test_leases_survive_a_restart),
    };
    return cmocka_run_group_tests_name("an engine's leases", tests, NULL, NULL);
}
