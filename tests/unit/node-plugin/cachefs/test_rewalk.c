// SPDX-License-Identifier: Apache-2.0
// Nobody is sent to look a name up twice, and nobody when there is no room to remember it.
#include "tests/support/cm.h"

#include "lib/base/clock.h"
#include "node-plugin/cachefs/rewalk.h"

static struct rewalk rewalk;

static int set_up(void **state) {
    (void)state;
    rewalk = (struct rewalk){.lock = PTHREAD_MUTEX_INITIALIZER};
    return 0;
}

static void sent_once(void **state) {
    (void)state;
    assert_true(rewalk_send(&rewalk, 10, 7, true, 0));
    assert_false(rewalk_send(&rewalk, 10, 7, true, 1)); // it is back
    assert_true(rewalk_send(&rewalk, 10, 7, true, 2));  // another open
}

static void back_and_content(void **state) {
    (void)state;
    assert_true(rewalk_send(&rewalk, 10, 7, true, 0));
    assert_false(rewalk_send(&rewalk, 10, 7, false, 1)); // the lookup told what it needed
    assert_true(rewalk_send(&rewalk, 10, 7, true, 2));
}

static void threads_and_files_are_told_apart(void **state) {
    (void)state;
    assert_true(rewalk_send(&rewalk, 10, 7, true, 0));
    assert_true(rewalk_send(&rewalk, 11, 7, true, 0));
    assert_false(rewalk_send(&rewalk, 10, 7, true, 0));
    assert_false(rewalk_send(&rewalk, 11, 7, true, 0));
}

static void without_room_nobody_is_sent(void **state) {
    (void)state;
    for (pid_t pid = 1; pid <= (pid_t)REWALK_SLOTS; pid++)
        assert_true(rewalk_send(&rewalk, pid * (pid_t)REWALK_SLOTS, 7, true, 0)); // whatever their numbers
    assert_false(rewalk_send(&rewalk, 10, 7, true, 0));
    assert_false(rewalk_send(&rewalk, (pid_t)REWALK_SLOTS, 7, true, 0)); // is remembered all the same
    assert_true(rewalk_send(&rewalk, 10, 7, true, 0));                   // in the room that it left
}

static void the_file_that_its_lookup_found_is_the_same_open(void **state) {
    (void)state;
    assert_true(rewalk_send(&rewalk, 10, 7, true, 0));
    assert_false(rewalk_send(&rewalk, 10, 8, true, 1)); // replaced meanwhile: a second refusal would reach the program
    assert_true(rewalk_send(&rewalk, 10, 8, true, 2));
}

static void who_never_came_back_is_forgotten(void **state) {
    (void)state;
    assert_true(rewalk_send(&rewalk, 10, 7, true, 0));
    assert_true(rewalk_send(&rewalk, 10, 7, true, 3600 * NS_PER_S));
}

static void of_unknown_threads_one_is_sent_for_a_file(void **state) {
    (void)state;
    assert_true(rewalk_send(&rewalk, 0, 7, true, 0));
    assert_true(rewalk_send(&rewalk, 0, 8, true, 0));
    assert_false(rewalk_send(&rewalk, 0, 7, true, 1));
    assert_false(rewalk_send(&rewalk, 0, 7, true, NS_PER_S)); // whoever it is
    assert_true(rewalk_send(&rewalk, 0, 7, true, 3 * NS_PER_S));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(sent_once, set_up),
        cmocka_unit_test_setup(back_and_content, set_up),
        cmocka_unit_test_setup(threads_and_files_are_told_apart, set_up),
        cmocka_unit_test_setup(without_room_nobody_is_sent, set_up),
        cmocka_unit_test_setup(the_file_that_its_lookup_found_is_the_same_open, set_up),
        cmocka_unit_test_setup(who_never_came_back_is_forgotten, set_up),
        cmocka_unit_test_setup(of_unknown_threads_one_is_sent_for_a_file, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
