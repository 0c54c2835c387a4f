// SPDX-License-Identifier: Apache-2.0
// What every engine does with receives that wait for a message.
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

static void expect_lengths(int64_t ready, int64_t leased, int64_t delayed) {
    struct queue_info info = kit_info(&kit, "q");
    assert_int_equal(info.ready, ready);
    assert_int_equal(info.leased, leased);
    assert_int_equal(info.delayed, delayed);
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

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_waiting),
        T(test_those_who_left),
        T(test_what_ends_waiting),
    };
    return cmocka_run_group_tests_name("an engine's waiting receives", tests, NULL, NULL);
}
