// SPDX-License-Identifier: Apache-2.0
// Who asks for a file system never waits for it, and many who ask make one question.
#include "tests/fakes/fake_kube.h"
#include "tests/support/cm.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>

#include "controller/operator/reach.h"

static struct {
    sem_t go;
    atomic_int asked, answered;
    atomic_int result;
} kit;

static int ask(void *arg, const char *location, int64_t deadline_ns, int64_t *ret_total, int64_t *ret_available,
               struct err *err) {
    (void)arg, (void)deadline_ns;
    atomic_fetch_add(&kit.asked, 1);
    (void)sem_wait(&kit.go);
    *ret_total = 100;
    *ret_available = 40;
    int r = atomic_load(&kit.result);
    return r < 0 ? err_set(err, r, "%s does not answer", location) : 0;
}

static struct reach_answer get(struct reach *reach) {
    struct reach_answer answer;
    assert_int_equal(reach_get(reach, "10.0.0.5/e", &answer, NULL), 0);
    return answer;
}

static void an_answer_is_shared_kept_and_asked_for_again_when_it_is_old(void **state) {
    const struct reach_options options = {.ask = ask, .clock = &fake_kube_clock};
    struct reach *reach cleanup(reach_freep) = NULL;
    struct reach_answer answer;
    (void)state;
    (void)sem_init(&kit.go, 0, 0);
    assert_int_equal(reach_new(&options, &reach, NULL), 0);
    for (int i = 0; i < 100; i++)
        assert_false(get(reach).known); // at once, although nobody answers
    (void)sem_post(&kit.go);
    while (!(answer = get(reach)).known)
        (void)sched_yield();
    assert_int_equal(atomic_load(&kit.asked), 1);
    assert_int_equal(answer.result, 0);
    assert_int_equal(answer.total_bytes, 100);
    fake_kube_clock_add(29 * NS_PER_S);
    assert_true(get(reach).known);
    assert_int_equal(atomic_load(&kit.asked), 1);
    fake_kube_clock_add(2 * NS_PER_S);
    atomic_store(&kit.result, -EHOSTUNREACH);
    assert_int_equal(get(reach).result, 0); // the last one, while it is asked again
    (void)sem_post(&kit.go);
    while ((answer = get(reach)).result == 0)
        (void)sched_yield();
    assert_int_equal(answer.result, -EHOSTUNREACH);
    assert_string_equal(answer.message, "10.0.0.5/e does not answer");
    assert_int_equal(atomic_load(&kit.asked), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_shared_kept_and_asked_for_again_when_it_is_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
