// SPDX-License-Identifier: Apache-2.0
// What every engine keeps of queues.
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

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_first_in_first_out),
        T(test_same_content_within_the_window),
        T(test_ids_decide_when_given),
        T(test_window_off),
        T(test_delay),
        T(test_retention),
        T(test_batches_and_peek),
        T(test_batches_end_at_their_bytes),
        T(test_limits_and_quota),
        T(test_removed_and_made_again),
    };
    return cmocka_run_group_tests_name("an engine's queues", tests, NULL, NULL);
}
