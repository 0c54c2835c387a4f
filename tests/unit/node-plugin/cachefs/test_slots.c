// SPDX-License-Identifier: Apache-2.0
// Tables that another process takes over: what was published is there, what was not is free again.
#include "tests/support/cm.h"

#include <string.h>

#include "node-plugin/cachefs/handles.h"
#include "node-plugin/cachefs/slots.h"

struct record {
    struct slot slot;
    uint64_t value;
};

static _Alignas(64) uint8_t memory[64 + 300 * sizeof(struct record)];

static int set_up(void **state) {
    (void)state;
    memset(memory, 0, sizeof memory);
    return 0;
}

static uint32_t put(struct slots *slots, uint64_t value, bool publish) {
    uint32_t index = slots_take(slots);
    assert_true(index > 0);
    struct record *record = slots_at(slots, index);
    assert_int_equal(record->value, 0);
    record->value = value;
    if (publish)
        slots_publish(slots, index);
    return index;
}

static uint64_t sum(const struct slots *slots) {
    uint64_t sum = 0;
    for (uint32_t i = slots_next(slots, 0); i; i = slots_next(slots, i))
        sum += ((struct record *)slots_at(slots, i))->value;
    return sum;
}

static void successor_sees_what_was_published(void **state) {
    (void)state;
    struct slots first, second;
    slots_open(&first, memory, sizeof memory, sizeof(struct record));
    (void)put(&first, 1, true);
    uint32_t gone = put(&first, 2, true);
    uint32_t torn = put(&first, 4, false);
    (void)put(&first, 8, true);
    slots_give(&first, gone);
    // Without another word the first process is dead.
    slots_open(&second, memory, sizeof memory, sizeof(struct record));
    assert_int_equal(sum(&second), 9);
    assert_int_equal(slots_count(&second), 2);
    assert_false(slots_is_live(&second, torn));
    uint32_t a = put(&second, 16, true), b = put(&second, 32, true);
    assert_true((a == gone && b == torn) || (a == torn && b == gone));
    assert_int_equal(sum(&second), 57);
    slots_done(&first);
    slots_done(&second);
}

static void full_table_says_so(void **state) {
    (void)state;
    struct slots slots;
    slots_open(&slots, memory, sizeof memory, sizeof(struct record));
    for (int i = 0; i < 300; i++)
        (void)put(&slots, 1, true);
    assert_int_equal(slots_take(&slots), 0);
    slots_give(&slots, 7);
    assert_int_equal(slots_take(&slots), 7);
    assert_false(slots_is_live(&slots, 0));
    assert_false(slots_is_live(&slots, 301));
    slots_done(&slots);
}

// Each slot may be torn at any store: whatever was written to a record before it is published means nothing.
static void random_ends(void **state) {
    (void)state;
    uint64_t live[301] = {0}, seed = 7;
    for (int life = 0; life < 200; life++) {
        struct slots slots;
        slots_open(&slots, memory, sizeof memory, sizeof(struct record));
        uint64_t want = 0;
        for (int i = 1; i <= 300; i++)
            want += live[i];
        assert_int_equal(sum(&slots), want);
        for (int step = 0; step < 40; step++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            uint32_t choice = (uint32_t)(seed >> 33);
            uint32_t victim = choice % 300 + 1;
            if (choice & 1 && slots_is_live(&slots, victim)) {
                slots_give(&slots, victim);
                live[victim] = 0;
            } else if (slots_count(&slots) < 290) {
                bool publish = choice & 2;
                uint32_t index = put(&slots, choice, publish);
                live[index] = publish ? choice : 0;
            }
        }
        slots_done(&slots);
    }
}

static void handles_are_not_reused(void **state) {
    (void)state;
    struct handles handles;
    struct record record = {.value = 5};
    int objects[200];
    uint64_t first = 0, ids[200];
    handles_open(&handles, memory, sizeof memory, sizeof record);
    assert_int_equal(handles_add(&handles, &objects[0], &record, &first), 0);
    assert_ptr_equal(handles_get(&handles, first), &objects[0]);
    assert_int_equal(((struct record *)handles_record(&handles, first))->value, 5);
    assert_ptr_equal(handles_remove(&handles, first), &objects[0]);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(handles_add(&handles, &objects[i], &record, &ids[i]), 0);
        assert_true(ids[i] != first);
    }
    assert_null(handles_get(&handles, first));
    assert_null(handles_record(&handles, first));
    assert_null(handles_remove(&handles, first));
    for (int i = 0; i < 200; i++)
        assert_ptr_equal(handles_remove(&handles, ids[i]), &objects[i]);
    uint64_t any;
    assert_null(handles_any(&handles, &any));
    handles_done(&handles);
}

static void handles_keep_their_numbers(void **state) {
    (void)state;
    struct handles first, second;
    int objects[3];
    uint64_t ids[3];
    handles_open(&first, memory, sizeof memory, sizeof(struct record));
    for (size_t i = 0; i < 3; i++) {
        struct record record = {.value = i + 10};
        assert_int_equal(handles_add(&first, &objects[i], &record, &ids[i]), 0);
    }
    (void)handles_remove(&first, ids[1]);
    handles_open(&second, memory, sizeof memory, sizeof(struct record));
    uint64_t handle = handles_next(&second, 0);
    assert_int_equal(handle, ids[0]);
    assert_null(handles_get(&second, handle)); // not before it is restored
    assert_int_equal(handles_restore(&second, handle, &objects[0]), 0);
    handle = handles_next(&second, handle);
    assert_int_equal(handle, ids[2]);
    assert_int_equal(((struct record *)handles_record(&second, handle))->value, 12);
    handles_drop(&second, handle);
    assert_int_equal(handles_next(&second, ids[0]), 0);
    assert_ptr_equal(handles_get(&second, ids[0]), &objects[0]);
    uint64_t fresh;
    struct record record = {0};
    assert_int_equal(handles_add(&second, &objects[1], &record, &fresh), 0);
    assert_true(fresh != ids[1] && fresh != ids[2]);
    handles_done(&first);
    handles_done(&second);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(successor_sees_what_was_published, set_up),
        cmocka_unit_test_setup(full_table_says_so, set_up),
        cmocka_unit_test_setup(random_ends, set_up),
        cmocka_unit_test_setup(handles_are_not_reused, set_up),
        cmocka_unit_test_setup(handles_keep_their_numbers, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
