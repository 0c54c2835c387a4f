// SPDX-License-Identifier: Apache-2.0
#include "sidecar/kv_cursor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cm.h"

static void round_trip(const char *key, size_t len) {
    char *digits cleanup_free = kv_cursor_encode(key, len);
    assert_non_null(digits);
    assert_int_equal(strspn(digits, "0123456789"), strlen(digits));
    assert_true(digits[0] != '0'); // JSON allows no leading zero
    assert_in_range(strlen(digits), 1, 4300);
    char *back cleanup_free = NULL;
    size_t back_len = 0;
    assert_int_equal(kv_cursor_decode(digits, strlen(digits), &back, &back_len), 0);
    assert_int_equal(back_len, len);
    assert_memory_equal(back, key, len);
}

static void test_round_trips(void **state) {
    (void)state;
    char key[KV_CURSOR_KEY_MAX];
    round_trip("a", 1);
    round_trip("\0\0", 2);
    round_trip("\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    for (size_t len = 1; len <= sizeof key; len = len * 3 / 2 + 1) {
        for (int fill = 0; fill < 256; fill += 51) {
            memset(key, fill, len);
            round_trip(key, len);
        }
        for (size_t i = 0; i < len; i++)
            key[i] = (char)(i * 37 + len);
        round_trip(key, len);
    }
    memset(key, 0xff, sizeof key);
    round_trip(key, sizeof key);
}

static void test_known_numbers(void **state) {
    (void)state;
    char *digits cleanup_free = kv_cursor_encode("a", 1); // 0x0161
    assert_string_equal(digits, "353");
    char big[KV_CURSOR_KEY_MAX + 1] = {0};
    assert_null(kv_cursor_encode(big, sizeof big));
}

static void test_other_numbers_are_refused(void **state) {
    (void)state;
    static const char *const start[] = {"", "0", "000"};
    static const char *const bad[] = {"2", "255", "600", "-1", "1.5", "12a", " 353", "353 "};
    char *key = NULL, digits[5000];
    size_t len = 1;
    for (size_t i = 0; i < ARRAY_SIZE(start); i++) {
        assert_int_equal(kv_cursor_decode(start[i], strlen(start[i]), &key, &len), 0);
        assert_int_equal(len, 0);
        free(key);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(kv_cursor_decode(bad[i], strlen(bad[i]), &key, &len), -EINVAL);
    memset(digits, '9', sizeof digits);
    assert_int_equal(kv_cursor_decode(digits, sizeof digits, &key, &len), -EINVAL);
    assert_int_equal(kv_cursor_decode(digits, 4100, &key, &len), -EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_known_numbers),
        cmocka_unit_test(test_other_numbers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
