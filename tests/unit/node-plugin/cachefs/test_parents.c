// SPDX-License-Identifier: Apache-2.0
// What replies told about directories: given out once, the latest wins.
#include "tests/support/cm.h"

#include "node-plugin/cachefs/parents.h"

static struct parents parents = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int set_up(void **state) {
    (void)state;
    parents = (struct parents){.lock = PTHREAD_MUTEX_INITIALIZER};
    return 0;
}

static void put(uint64_t id, uint64_t change, uint64_t size) {
    struct nfs_attr attr = {.mode = S_IFDIR | 0755, .size = size};
    parents_put(&parents, id, change, (int64_t)change * 10, &attr);
}

static void unknown_is_not_told(void **state) {
    (void)state;
    struct parent known;
    assert_false(parents_take(&parents, 7, &known));
}

static void told_once(void **state) {
    (void)state;
    struct parent known;
    put(7, 3, 4096);
    assert_true(parents_take(&parents, 7, &known));
    assert_int_equal(known.id, 7);
    assert_int_equal(known.change, 3);
    assert_int_equal(known.told_ns, 30);
    assert_int_equal(known.attr.size, 4096);
    assert_false(parents_take(&parents, 7, &known));
}

static void an_older_change_does_not_win(void **state) {
    (void)state;
    struct parent known;
    put(7, 5, 500);
    put(7, 4, 400); // its reply came late
    assert_true(parents_take(&parents, 7, &known));
    assert_int_equal(known.attr.size, 500);
}

static void a_newer_change_wins(void **state) {
    (void)state;
    struct parent known;
    put(7, 4, 400);
    put(7, 5, 500);
    assert_true(parents_take(&parents, 7, &known));
    assert_int_equal(known.attr.size, 500);
}

static void directories_that_share_a_slot_are_not_mixed_up(void **state) {
    (void)state;
    struct parent known;
    put(7, 9, 700);
    put(7 + PARENTS_MAX, 2, 800); // lower number: of another directory, so it counts all the same
    assert_false(parents_take(&parents, 7, &known));
    assert_true(parents_take(&parents, 7 + PARENTS_MAX, &known));
    assert_int_equal(known.attr.size, 800);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(unknown_is_not_told, set_up),
        cmocka_unit_test_setup(told_once, set_up),
        cmocka_unit_test_setup(an_older_change_does_not_win, set_up),
        cmocka_unit_test_setup(a_newer_change_wins, set_up),
        cmocka_unit_test_setup(directories_that_share_a_slot_are_not_mixed_up, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
