// SPDX-License-Identifier: Apache-2.0
// What every engine keeps of queues.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cm.h"
#include "tests/support/engine_kit.h"

static struct kit kit;
static atomic_bool left; // the client of a waiting receive

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

static void test_first_in_first_out(void **state) {
    (void)state;
    take(NULL);
    send("1");
    send("22");
    send("333");
    expect_lengths(3, 0, 0);
    assert_int_equal(kit_info(&kit, "q").bytes, 6);
    take("1");
    take("22");
    take("333");
    take(NULL);
    expect_lengths(0, 0, 0);
    assert_int_equal(kit_info(&kit, "q").bytes, 0);
    assert_int_equal(kit_send(&kit, "missing", "1", NULL), -ENOENT);
}

static void test_same_content_within_the_window(void **state) {
    (void)state;
    bool duplicate;
    assert_int_equal(kit_send(&kit, "q", "m", &duplicate), 0);
    assert_false(duplicate);
    take("m"); // consumed: the window stays
    kit_pass(&kit, QUEUE_DEDUP_MS - 1);
    assert_int_equal(kit_send(&kit, "q", "m", &duplicate), 0);
    assert_true(duplicate);
    kit_close(&kit);
    kit_open(&kit); // restarted: the window stays
    assert_int_equal(kit_send(&kit, "q", "m", &duplicate), 0);
    assert_true(duplicate);
    struct kit_wait wait = KIT_WAIT;
    struct queue_describe purge = {.call = kit_call(&wait), .name = "q"};
    kit.engine.queue->purge(kit.engine.self, &purge);
    assert_int_equal(kit_end(&wait, &purge.call), 0);
    assert_int_equal(kit_send(&kit, "q", "m", &duplicate), 0);
    assert_true(duplicate);
    take(NULL);
    kit_pass(&kit, 1);
    assert_int_equal(kit_send(&kit, "q", "m", &duplicate), 0);
    assert_false(duplicate);
    take("m");
}

static void test_ids_decide_when_given(void **state) {
    (void)state;
    struct queue_message messages[] = {
        {.body = text_blob("a"), .dedup_id = text_blob("1"), .delay_ms = -1},
        {.body = text_blob("b"), .dedup_id = text_blob("1"), .delay_ms = -1}, // the same id
        {.body = text_blob("a"), .dedup_id = text_blob("2"), .delay_ms = -1}, // the same body
        {.body = text_blob("1"), .delay_ms = -1},                             // the body is no id
    };
    struct kit_wait wait = KIT_WAIT;
    struct queue_send call = {.call = kit_call(&wait), .queue = "q", .messages = messages, .count = 4};
    kit.engine.queue->send(kit.engine.self, &call);
    assert_int_equal(kit_end(&wait, &call.call), 0);
    assert_false(messages[0].ret_duplicate);
    assert_true(messages[1].ret_duplicate);
    assert_int_equal(messages[1].ret_id, messages[0].ret_id);
    assert_false(messages[2].ret_duplicate);
    assert_false(messages[3].ret_duplicate);
    take("a");
    take("a");
    take("1");
    take(NULL);
}

static void test_window_off(void **state) {
    (void)state;
    struct queue_settings settings = KIT_DEFAULTS;
    settings.dedup_ms = 0;
    assert_int_equal(kit_queue(&kit, "q", settings), 0);
    send("m");
    send("m");
    take("m");
    take("m");
    take(NULL);
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

static void test_delay(void **state) {
    (void)state;
    struct queue_settings settings = KIT_DEFAULTS;
    settings.delay_ms = 1000;
    assert_int_equal(kit_queue(&kit, "q", settings), 0);
    send("late");
    expect_lengths(0, 0, 1);
    take(NULL);
    kit_pass(&kit, 1000);
    expect_lengths(1, 0, 0);
    take("late");
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

static void test_retention(void **state) {
    (void)state;
    struct queue_settings settings = KIT_DEFAULTS;
    settings.retention_ms = 60000;
    assert_int_equal(kit_queue(&kit, "q", settings), 0);
    char receipt[64];
    send("1");
    send("2");
    lease("1", receipt);
    kit_pass(&kit, 40000); // the lease is over
    send("3");
    expect_lengths(3, 0, 0);
    kit_pass(&kit, 20000);
    expect_lengths(1, 0, 0);
    assert_int_equal(kit_info(&kit, "q").bytes, 1);
    take("3");
}

static struct queue_receive waiting(struct kit_wait *wait) {
    return (struct queue_receive){.call = kit_call(wait),
                                  .queue = "q",
                                  .mode = QUEUE_TAKE,
                                  .max = 1,
                                  .visibility_ms = -1,
                                  .wait_until_ns = clock_monotonic(&kit.clock) + 60 * NS_PER_S};
}

static void expect_end(struct kit_wait *wait, struct queue_receive *receive, const char *body) {
    assert_int_equal(kit_end(wait, &receive->call), 0);
    assert_int_equal(receive->ret_count, body ? 1 : 0);
    if (body)
        assert_string_equal(receive->ret[0].body, body);
    engine_call_release(&receive->call);
}

static void test_waiting(void **state) {
    (void)state;
    struct kit_wait w1 = KIT_WAIT, w2 = KIT_WAIT, w3 = KIT_WAIT, w4 = KIT_WAIT;
    struct queue_receive r1 = waiting(&w1), r2 = waiting(&w2);
    kit.engine.queue->receive(kit.engine.self, &r1);
    kit.engine.queue->receive(kit.engine.self, &r2);
    send("1"); // the one that waits longest gets it
    expect_end(&w1, &r1, "1");
    assert_false(kit_ended(&w2));
    send("2");
    expect_end(&w2, &r2, "2");
    char receipt[64];
    send("3");
    lease("3", receipt);
    struct queue_receive r3 = waiting(&w3);
    kit.engine.queue->receive(kit.engine.self, &r3);
    kit_pass(&kit, 30000); // a lease that ends
    expect_end(&w3, &r3, "3");
    struct queue_receive r4 = waiting(&w4);
    kit.engine.queue->receive(kit.engine.self, &r4);
    take(NULL); // is carried out behind r4
    kit_pass(&kit, 60000);
    expect_end(&w4, &r4, NULL);
    expect_lengths(0, 0, 0);
}

static bool always(const struct engine_call *call) {
    (void)call;
    return true;
}
static bool when_told(const struct engine_call *call) {
    (void)call;
    return atomic_load(&left);
}

// Who left while it waited, or before it was looked at, gets nothing: the next one does.
static void expect_nothing_for_the_gone(enum queue_receive_mode mode) {
    struct kit_wait w1 = KIT_WAIT, w2 = KIT_WAIT, w3 = KIT_WAIT;
    struct queue_receive r1 = waiting(&w1), r2 = waiting(&w2), r3 = waiting(&w3);
    atomic_store(&left, false);
    r1.mode = r2.mode = r3.mode = mode;
    r1.gone = when_told;
    kit.engine.queue->receive(kit.engine.self, &r1);
    kit.engine.queue->receive(kit.engine.self, &r2);
    take(NULL); // is carried out behind both
    atomic_store(&left, true);
    send("1");
    expect_end(&w2, &r2, "1");
    expect_end(&w1, &r1, NULL);
    send("2");
    r3.gone = always;
    kit.engine.queue->receive(kit.engine.self, &r3);
    expect_end(&w3, &r3, NULL);
    take("2");
}
static void test_those_who_left(void **state) {
    (void)state;
    struct queue_settings settings = KIT_DEFAULTS;
    settings.dedup_ms = 0;
    assert_int_equal(kit_queue(&kit, "q", settings), 0);
    expect_nothing_for_the_gone(QUEUE_TAKE);
    expect_nothing_for_the_gone(QUEUE_LEASE);
    expect_lengths(0, 1, 0);
}

static void test_what_ends_waiting(void **state) {
    (void)state;
    struct kit_wait w1 = KIT_WAIT, w2 = KIT_WAIT, w3 = KIT_WAIT, w4 = KIT_WAIT;
    struct queue_receive r1 = waiting(&w1), r2 = waiting(&w2), r3 = waiting(&w4);
    kit.engine.queue->receive(kit.engine.self, &r1);
    struct queue_describe removal = {.call = kit_call(&w3), .name = "q"};
    kit.engine.queue->remove(kit.engine.self, &removal);
    assert_int_equal(kit_end(&w3, &removal.call), 0);
    assert_int_equal(kit_end(&w1, &r1.call), -ENOENT);
    assert_int_equal(kit_queue(&kit, "q", KIT_DEFAULTS), 0);
    kit.engine.queue->receive(kit.engine.self, &r2);
    kit.engine.drain(kit.engine.self);
    expect_end(&w2, &r2, NULL);
    kit.engine.queue->receive(kit.engine.self, &r3); // does not wait any more
    expect_end(&w4, &r3, NULL);
}

static void test_batches_and_peek(void **state) {
    (void)state;
    for (int i = 0; i < 7; i++) {
        char body[8];
        (void)snprintf(body, sizeof body, "%d", i);
        send(body);
    }
    struct kit_wait wait = KIT_WAIT, wait2 = KIT_WAIT;
    struct queue_receive peek = {.call = kit_call(&wait), .queue = "q", .mode = QUEUE_PEEK, .max = 3};
    kit.engine.queue->receive(kit.engine.self, &peek);
    assert_int_equal(kit_end(&wait, &peek.call), 0);
    assert_int_equal(peek.ret_count, 3);
    assert_string_equal(peek.ret[2].body, "2");
    assert_int_equal(peek.ret[0].receives, 0);
    engine_call_release(&peek.call);
    struct queue_receive five = {.call = kit_call(&wait2), .queue = "q", .mode = QUEUE_TAKE, .max = 5};
    kit.engine.queue->receive(kit.engine.self, &five);
    assert_int_equal(kit_end(&wait2, &five.call), 0);
    assert_int_equal(five.ret_count, 5);
    assert_string_equal(five.ret[0].body, "0");
    assert_string_equal(five.ret[4].body, "4");
    engine_call_release(&five.call);
    take("5");
    expect_lengths(1, 0, 0);
}

static void expect_batch(enum queue_receive_mode mode, size_t count) {
    struct kit_wait wait = KIT_WAIT;
    struct queue_receive batch = {.call = kit_call(&wait), .queue = "q", .mode = mode, .max = 100, .visibility_ms = -1};
    kit.engine.queue->receive(kit.engine.self, &batch);
    assert_int_equal(kit_end(&wait, &batch.call), 0);
    assert_int_equal(batch.ret_count, count);
    engine_call_release(&batch.call);
}

static void test_batches_end_at_their_bytes(void **state) {
    (void)state;
    char *body cleanup_free = malloc(QUEUE_MESSAGE_MAX + 1);
    assert_non_null(body);
    memset(body, 'x', QUEUE_MESSAGE_MAX);
    body[QUEUE_MESSAGE_MAX] = '\0';
    const size_t fit = PAGE_BYTES_MAX / QUEUE_MESSAGE_MAX;
    for (size_t i = 0; i < 2 * fit + 1; i++) {
        body[0] = (char)('A' + i);
        send(body);
    }
    expect_batch(QUEUE_PEEK, fit);
    expect_batch(QUEUE_LEASE, fit);
    expect_batch(QUEUE_TAKE, fit);
    expect_lengths(1, (int64_t)fit, 0); // what did not fit stays
    expect_batch(QUEUE_TAKE, 1);
}

static void test_limits_and_quota(void **state) {
    (void)state;
    char *body cleanup_free = malloc(4 * QUEUE_MESSAGE_MAX + 2);
    memset(body, 'x', QUEUE_MESSAGE_MAX + 1);
    body[QUEUE_MESSAGE_MAX + 1] = '\0';
    assert_int_equal(kit_send(&kit, "q", body, NULL), -E2BIG);
    for (size_t i = 0; i < QUEUE_MESSAGE_MAX; i++) // as many characters, of four bytes
        memcpy(body + 4 * i, "\xf0\x9f\x98\x80", 5);
    assert_int_equal(kit_send(&kit, "q", body, NULL), 0);
    take(body);
    struct quota quota = {.queues = 1, .bytes = 4};
    assert_int_equal(kit.engine.set_quota(kit.engine.self, "ws", &quota, NULL), 0);
    assert_int_equal(kit_queue(&kit, "second", KIT_DEFAULTS), -EDQUOT);
    assert_int_equal(kit_send(&kit, "q", "12345", NULL), -EDQUOT);
    send("1234");
    bool duplicate;
    assert_int_equal(kit_send(&kit, "q", "1234", &duplicate), 0); // nothing more is kept of it
    assert_true(duplicate);
    take("1234");
    send("abcd");
}

static void test_removed_and_made_again(void **state) {
    (void)state;
    send("m");
    struct kit_wait wait = KIT_WAIT;
    struct queue_describe removal = {.call = kit_call(&wait), .name = "q"};
    kit.engine.queue->remove(kit.engine.self, &removal);
    assert_int_equal(kit_end(&wait, &removal.call), 0);
    assert_int_equal(kit_queue(&kit, "q", KIT_DEFAULTS), 0);
    take(NULL);
    bool duplicate;
    assert_int_equal(kit_send(&kit, "q", "m", &duplicate), 0);
    assert_false(duplicate);
    take("m");
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
        T(test_first_in_first_out),
        T(test_same_content_within_the_window),
        T(test_ids_decide_when_given),
        T(test_window_off),
        T(test_lease_ack),
        T(test_returned_messages_keep_their_place),
        T(test_extend),
        T(test_nack_with_delay),
        T(test_delay),
        T(test_dead_letters),
        T(test_dead_letters_after_a_delay),
        T(test_retention),
        T(test_waiting),
        T(test_those_who_left),
        T(test_what_ends_waiting),
        T(test_batches_and_peek),
        T(test_batches_end_at_their_bytes),
        T(test_limits_and_quota),
        T(test_removed_and_made_again),
        T(test_leases_survive_a_restart),
    };
    return cmocka_run_group_tests_name("an engine's queues", tests, NULL, NULL);
}
