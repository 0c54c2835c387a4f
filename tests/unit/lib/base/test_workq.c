// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cm.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "lib/base/mem.h"
#include "lib/base/workq.h"

struct item {
    struct work work;
    sem_t *started, *go;
    atomic_int *ran;
};

static void run(struct work *work) {
    struct item *item = (struct item *)work;
    if (item->started)
        (void)sem_post(item->started);
    if (item->go)
        (void)sem_wait(item->go);
    atomic_fetch_add(item->ran, 1);
}

static void runs_everything_in_parallel_up_to_the_limit(void **state) {
    (void)state;
    struct workq *q = NULL;
    assert_int_equal(workq_new("test", 3, &q, NULL), 0);
    sem_t started, go;
    (void)sem_init(&started, 0, 0);
    (void)sem_init(&go, 0, 0);
    atomic_int ran = 0;
    struct item items[10];
    for (size_t i = 0; i < 10; i++) {
        items[i] = (struct item){{run, NULL}, &started, &go, &ran};
        assert_int_equal(workq_push(q, &items[i].work), 0);
    }
    for (int i = 0; i < 3; i++)
        (void)sem_wait(&started); // three at once, or this never returns
    assert_int_not_equal(sem_trywait(&started), 0);
    assert_int_equal(workq_pending(q), 10);
    for (int i = 0; i < 10; i++)
        (void)sem_post(&go);
    for (int i = 0; i < 7; i++)
        (void)sem_wait(&started);
    q = workq_free(q);
    assert_null(q);
    assert_int_equal(ran, 10);
}

static void stop_lets_the_running_end_and_drops_the_rest(void **state) {
    (void)state;
    struct workq *q = NULL;
    assert_int_equal(workq_new("test", 1, &q, NULL), 0);
    sem_t started;
    (void)sem_init(&started, 0, 0);
    atomic_int ran = 0;
    struct item first = {{run, NULL}, &started, NULL, &ran};
    assert_int_equal(workq_push(q, &first.work), 0);
    (void)sem_wait(&started);
    workq_stop(q);
    assert_true(workq_stopping(q));
    assert_int_equal(ran, 1);
    struct item late = {{run, NULL}, NULL, NULL, &ran};
    assert_int_equal(workq_push(q, &late.work), -ECANCELED);
    workq_free(q);
    assert_int_equal(ran, 1);
}

static void new_without_memory_says_so(void **state) {
    (void)state;
    for (long n = 1; n <= 2; n++) {
        struct workq *q = NULL;
        (void)mem_fail_nth(n);
        assert_int_equal(workq_new("test", 1, &q, NULL), -ENOMEM);
        (void)mem_fail_nth(0);
        assert_null(q);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_everything_in_parallel_up_to_the_limit),
        cmocka_unit_test(stop_lets_the_running_end_and_drops_the_rest),
        cmocka_unit_test(new_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
