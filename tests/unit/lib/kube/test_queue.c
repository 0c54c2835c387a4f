// SPDX-License-Identifier: Apache-2.0
// One key, one thread; failures wait longer each time; what was asked for meanwhile is done again.
#include "tests/fakes/fake_kube.h"
#include "tests/support/cm.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/kube/queue.h"

static struct kube_queue *queue;

static int set_up(void **state) {
    (void)state;
    return kube_queue_new(&(struct kube_queue_options){.first_ms = 100, .most_ms = 1000, .clock = &fake_kube_clock},
                          &queue, NULL);
}
static int tear_down(void **state) {
    (void)state;
    queue = kube_queue_free(queue);
    return 0;
}

static char *take(void) {
    char *key = NULL;
    return kube_queue_try(queue, &key) == 0 ? key : NULL;
}
static char *expect_key(const char *wanted) {
    char *key = take();
    assert_non_null(key);
    assert_string_equal(key, wanted);
    return key;
}

static void a_key_is_there_once(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(kube_queue_add(queue, "a", 0), 0);
    assert_int_equal(kube_queue_length(queue), 1);
    kube_queue_done(queue, expect_key("a"));
    assert_null(take());
    assert_int_equal(kube_queue_length(queue), 0);
}

static void one_that_is_worked_on_is_given_to_nobody_else_and_done_again(void **state) {
    (void)state;
    assert_int_equal(kube_queue_add(queue, "a", 0), 0);
    char *key = expect_key("a");
    assert_int_equal(kube_queue_add(queue, "a", 0), 0);
    assert_null(take());
    kube_queue_done(queue, key);
    kube_queue_done(queue, expect_key("a"));
    assert_null(take());
}

static void the_soonest_is_first_and_is_never_put_off(void **state) {
    (void)state;
    assert_int_equal(kube_queue_add(queue, "late", 3000), 0);
    assert_int_equal(kube_queue_add(queue, "soon", 1000), 0);
    assert_int_equal(kube_queue_add(queue, "middle", 2000), 0);
    assert_int_equal(kube_queue_add(queue, "soon", 60000), 0);
    assert_null(take());
    fake_kube_clock_add(NS_PER_S);
    kube_queue_done(queue, expect_key("soon"));
    assert_null(take());
    assert_int_equal(kube_queue_add(queue, "late", 0), 0);
    kube_queue_done(queue, expect_key("late"));
    fake_kube_clock_add(NS_PER_S);
    kube_queue_done(queue, expect_key("middle"));
    fake_kube_clock_add(100 * NS_PER_S);
    assert_null(take());
}

static void failures_wait_ever_longer_up_to_a_limit(void **state) {
    uint32_t pause_ms = 0, before = 0;
    (void)state;
    assert_int_equal(kube_queue_add(queue, "a", 0), 0);
    for (int i = 0; i < 40; i++) {
        pause_ms = kube_queue_failed(queue, expect_key("a"));
        assert_true(pause_ms >= 50 && pause_ms <= 1000);
        assert_true(i >= 4 ? pause_ms >= 500 : i == 0 || pause_ms > before / 2);
        before = pause_ms;
        assert_int_equal(kube_queue_add(queue, "b", 0), 0); // another one does not wait for it
        kube_queue_done(queue, expect_key("b"));
        fake_kube_clock_add((pause_ms - 1) * NS_PER_MS);
        assert_null(take());
        fake_kube_clock_add(NS_PER_MS);
    }
    kube_queue_done(queue, expect_key("a"));
    assert_int_equal(kube_queue_add(queue, "a", 0), 0);
    assert_true(kube_queue_failed(queue, expect_key("a")) <= 100); // success is the end of it
}

static void what_failed_is_not_hurried_by_what_came_meanwhile(void **state) {
    (void)state;
    assert_int_equal(kube_queue_add(queue, "a", 0), 0);
    char *key = expect_key("a");
    assert_int_equal(kube_queue_add(queue, "a", 0), 0);
    assert_true(kube_queue_failed(queue, key) > 0);
    assert_null(take());
    assert_int_equal(kube_queue_add(queue, "a", 0), 0); // but a change that comes now is looked at
    kube_queue_done(queue, expect_key("a"));
}

// ---- with threads ----------------------------------------------------------------------------------------------------

#define KEYS 50
#define ROUNDS 200
static struct kube_queue *busy;
static atomic_int working[KEYS], worked;

static void *worker(void *arg) {
    char *key = NULL;
    (void)arg;
    while (kube_queue_take(busy, &key) == 0) {
        long number = strtol(key, NULL, 10);
        assert_int_equal(atomic_fetch_add(&working[number], 1), 0);
        atomic_fetch_add(&worked, 1);
        atomic_fetch_sub(&working[number], 1);
        if (atomic_load(&worked) % 7 == 0)
            (void)kube_queue_failed(busy, key);
        else
            kube_queue_done(busy, key);
    }
    return NULL;
}

static void threads_never_meet_at_one_key(void **state) {
    pthread_t threads[4];
    (void)state;
    assert_int_equal(kube_queue_new(&(struct kube_queue_options){.first_ms = 1, .most_ms = 2}, &busy, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, worker, NULL), 0);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < KEYS; i++) {
            char key[16];
            (void)snprintf(key, sizeof key, "%d", i);
            assert_int_equal(kube_queue_add(busy, key, 0), 0);
        }
    while (kube_queue_length(busy) > 0) // ends, or the test's own limit does it
        (void)sched_yield();
    kube_queue_stop(busy);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(atomic_load(&worked) >= KEYS);
    char *key = NULL;
    assert_int_equal(kube_queue_take(busy, &key), -ECANCELED);
    busy = kube_queue_free(busy);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_key_is_there_once),
        TEST(one_that_is_worked_on_is_given_to_nobody_else_and_done_again),
        TEST(the_soonest_is_first_and_is_never_put_off),
        TEST(failures_wait_ever_longer_up_to_a_limit),
        TEST(what_failed_is_not_hurried_by_what_came_meanwhile),
        cmocka_unit_test(threads_never_meet_at_one_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
