// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/fetch_room.h"

#include "lib/base/clock.h"
#include "node-plugin/cachefs/fetch.h"
#include "tests/support/cm.h"

static size_t count(const struct fetch_wait *wait) {
    size_t n = 0;
    for (; wait; wait = wait->next) {
        assert_false(wait->linked);
        n++;
    }
    return n;
}

static void only_what_moves_is_waited_for(void **state) {
    (void)state;
    struct fetch_room room = {0};
    assert_false(fetch_room_moves(&room, 5 * NS_PER_S));
    fetch_room_taken(&room, 5 * NS_PER_S);
    assert_true(fetch_room_moves(&room, 6 * NS_PER_S - 1));
    assert_false(fetch_room_moves(&room, 6 * NS_PER_S));
    fetch_room_taken(&room, 7 * NS_PER_S); // more to do is no sign of life
    assert_false(fetch_room_moves(&room, 7 * NS_PER_S));
    assert_null(fetch_room_given(&room, 8 * NS_PER_S));
    assert_true(fetch_room_moves(&room, 8 * NS_PER_S));
    assert_null(fetch_room_given(&room, 8 * NS_PER_S));
    assert_false(fetch_room_moves(&room, 8 * NS_PER_S));
}

static void one_goes_for_each_that_is_given_the_first_first(void **state) {
    (void)state;
    struct fetch_room room = {0};
    struct fetch_wait waits[4] = {0};
    for (int i = 0; i < 3; i++)
        fetch_room_taken(&room, 0);
    for (int i = 0; i < 4; i++)
        fetch_room_wait(&room, &waits[i]);
    struct fetch_wait *due = fetch_room_given(&room, 1);
    assert_ptr_equal(due, &waits[0]);
    assert_int_equal(count(due), 1);
    due = fetch_room_given(&room, 1);
    assert_ptr_equal(due, &waits[1]);
    assert_int_equal(count(due), 1);
    due = fetch_room_given(&room, 1); // nobody is left who could give anything
    assert_ptr_equal(due, &waits[2]);
    assert_int_equal(count(due), 2);
}

static void all_go_when_nothing_moves(void **state) {
    (void)state;
    struct fetch_room room = {0};
    struct fetch_wait waits[3] = {0};
    fetch_room_taken(&room, 0);
    for (int i = 0; i < 3; i++)
        fetch_room_wait(&room, &waits[i]);
    assert_null(fetch_room_tick(&room, NS_PER_S - 1));
    assert_int_equal(count(fetch_room_tick(&room, NS_PER_S)), 3);
    assert_null(fetch_room_given(&room, NS_PER_S));
}

static void whoever_leaves_is_not_called(void **state) {
    (void)state;
    for (int gone = 0; gone < 3; gone++) {
        struct fetch_room room = {0};
        struct fetch_wait waits[3] = {0}, last = {0};
        fetch_room_taken(&room, 0);
        for (int i = 0; i < 3; i++)
            fetch_room_wait(&room, &waits[i]);
        fetch_room_leave(&room, &waits[gone]);
        assert_false(waits[gone].linked);
        fetch_room_wait(&room, &last);
        struct fetch_wait *due = fetch_room_given(&room, 0);
        assert_int_equal(count(due), 3);
        assert_ptr_equal(due, &waits[gone == 0]);
        assert_ptr_equal(due->next->next, &last);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_moves_is_waited_for),
        cmocka_unit_test(one_goes_for_each_that_is_given_the_first_first),
        cmocka_unit_test(all_go_when_nothing_moves),
        cmocka_unit_test(whoever_leaves_is_not_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
