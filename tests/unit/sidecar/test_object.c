// SPDX-License-Identifier: Apache-2.0
#include "sidecar/object.h"

#include <errno.h>
#include <string.h>

#include "tests/support/cm.h"

static int check(const char *key, size_t len) {
    struct err err = ERR_NONE;
    return object_check_key((struct blob){key, len}, &err);
}

static void test_keys(void **state) {
    (void)state;
    static const char *const good[] = {"a",   "a/b/c.txt", "/abs/path", "a b", "\xc3\xa9",
                                       "...", "a..b",      "-",         "%41", "a?b"};
    static const char *const bad[] = {"",     "/",  ".",   "..",  "a/..", "../a", "a/./b",
                                      "a//b", "a/", "//a", "a\n", "\xc3", "/.."};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_int_equal(check(good[i], strlen(good[i])), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(check(bad[i], strlen(bad[i])), -EINVAL);
    assert_int_equal(check("a\0b", 3), -EINVAL);
    char longest[OBJECT_KEY_MAX + 2];
    for (size_t i = 0; i < sizeof longest; i++)
        longest[i] = i % 200 == 199 ? '/' : 'k';
    assert_int_equal(check(longest, OBJECT_KEY_MAX), 0);
    assert_int_equal(check(longest, OBJECT_KEY_MAX + 1), -E2BIG);
    memset(longest, 'k', sizeof longest);
    assert_int_equal(check(longest, 255), 0);
    assert_int_equal(check(longest, 256), -EINVAL);
}

static void test_ranges(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t size;
        enum object_answer answer;
        int64_t offset, len;
    } cases[] = {
        {"bytes=0-0", 10, OBJECT_PART, 0, 1},
        {"bytes=0-9", 10, OBJECT_PART, 0, 10},
        {"bytes=0-99", 10, OBJECT_PART, 0, 10},
        {"bytes=3-", 10, OBJECT_PART, 3, 7},
        {"bytes=9-", 10, OBJECT_PART, 9, 1},
        {"bytes=-3", 10, OBJECT_PART, 7, 3},
        {"bytes=-99", 10, OBJECT_PART, 0, 10},
        {"bytes=10-", 10, OBJECT_BAD_RANGE, 0, 0},
        {"bytes=-0", 10, OBJECT_BAD_RANGE, 0, 0},
        {"bytes=0-", 0, OBJECT_BAD_RANGE, 0, 0},
        {"bytes=-1", 0, OBJECT_BAD_RANGE, 0, 0},
        {"bytes=5-4", 10, OBJECT_FULL, 0, 0},
        {"bytes=0-1,3-4", 10, OBJECT_FULL, 0, 0},
        {"bytes=-", 10, OBJECT_FULL, 0, 0},
        {"bytes=a-b", 10, OBJECT_FULL, 0, 0},
        {"bytes= 0-1", 10, OBJECT_FULL, 0, 0},
        {"items=0-1", 10, OBJECT_FULL, 0, 0},
        {"bytes=0-9223372036854775807", 10, OBJECT_PART, 0, 10},
        {"bytes=9223372036854775807-", 10, OBJECT_BAD_RANGE, 0, 0},
        {"bytes=0-9223372036854775808", 10, OBJECT_FULL, 0, 0},
        {"bytes=00000000000000000000000000-1", 10, OBJECT_FULL, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t offset = 0, len = 0;
        assert_int_equal(object_parse_range(cases[i].text, cases[i].size, &offset, &len), cases[i].answer);
        assert_int_equal(offset, cases[i].offset);
        assert_int_equal(len, cases[i].len);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_keys), cmocka_unit_test(test_ranges)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
