// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/readahead.h"

#include "tests/support/cm.h"

#define MIB (UINT64_C(1) << 20)

static void forward_reads_grow_a_window_and_leave_no_gap(void **state) {
    (void)state;
    struct readahead r = {0};
    uint64_t from, to, ahead = 0;
    uint32_t most = 0;
    for (uint64_t at = 0; at < 256 * MIB; at += MIB) {
        if (!readahead_next(&r, at, MIB, 256 * MIB, &from, &to))
            continue;
        if (ahead)
            assert_int_equal(from, ahead > at + MIB ? ahead : at + MIB);
        assert_true(from >= at + MIB && to > from && to <= 256 * MIB);
        ahead = to;
        if (to - (at + MIB) > most)
            most = (uint32_t)(to - (at + MIB));
    }
    assert_int_equal(ahead, 256 * MIB);
    assert_int_equal(most, READAHEAD_MOST);
}

static void jumps_ask_for_nothing(void **state) {
    (void)state;
    struct readahead r = {0};
    uint64_t from, to;
    uint64_t seed = 7;
    for (int i = 0; i < 1000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint64_t at = (seed >> 20) % (1 << 18) * 4096 * 17; // sparse: no two are neighbours
        assert_false(readahead_next(&r, at, 4096, UINT64_MAX / 2, &from, &to) && i > 1);
    }
    assert_false(readahead_is_forward(&r));
}

static void a_jump_forgets_and_going_on_there_starts_anew(void **state) {
    (void)state;
    struct readahead r = {0};
    uint64_t from, to;
    for (uint64_t at = 0; at < 64 * MIB; at += MIB)
        (void)readahead_next(&r, at, MIB, 1024 * MIB, &from, &to);
    assert_int_equal(r.window, READAHEAD_MOST);
    assert_false(readahead_next(&r, 700 * MIB, MIB, 1024 * MIB, &from, &to));
    assert_false(readahead_is_forward(&r));
    assert_true(readahead_next(&r, 701 * MIB, MIB, 1024 * MIB, &from, &to));
    assert_int_equal(from, 702 * MIB);
    assert_int_equal(to, 702 * MIB + READAHEAD_FIRST);
}

static void reads_out_of_order_still_go_forward(void **state) {
    (void)state;
    struct readahead r = {0};
    uint64_t from, to;
    static const unsigned order[] = {0, 1, 2, 4, 3, 6, 5, 7, 9, 8};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        (void)readahead_next(&r, order[i] * MIB, MIB, 1024 * MIB, &from, &to);
    assert_true(readahead_is_forward(&r));
    assert_int_equal(r.reached, 10 * MIB);
}

static void nothing_is_asked_for_behind_the_end(void **state) {
    (void)state;
    struct readahead r = {0};
    uint64_t from = 0, to = 0;
    for (uint64_t at = 0; at < 3 * MIB; at += MIB / 2)
        if (readahead_next(&r, at, MIB / 2, 3 * MIB, &from, &to))
            assert_true(to <= 3 * MIB);
    assert_false(readahead_next(&r, 3 * MIB, 4096, 3 * MIB, &from, &to));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_reads_grow_a_window_and_leave_no_gap),
        cmocka_unit_test(jumps_ask_for_nothing),
        cmocka_unit_test(a_jump_forgets_and_going_on_there_starts_anew),
        cmocka_unit_test(reads_out_of_order_still_go_forward),
        cmocka_unit_test(nothing_is_asked_for_behind_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
