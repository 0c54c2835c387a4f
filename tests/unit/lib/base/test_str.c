// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cm.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

static void appends_and_takes(void **state) {
    (void)state;
    struct str s = {0};
    for (int i = 0; i < 1000; i++)
        assert_int_equal(str_printf(&s, "%d,", i), 0);
    assert_int_equal(s.len, 3890);
    assert_int_equal(strlen(str_text(&s)), s.len);
    char *text = str_take(&s);
    assert_memory_equal(text, "0,1,2,3,", 8);
    assert_null(s.data);
    free(text);
}

static void failure_sticks_and_takes_nothing(void **state) {
    (void)state;
    struct str s = {0};
    assert_int_equal(str_append(&s, "kept"), 0);
    char big[4096];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    (void)mem_fail_nth(1);
    assert_int_equal(str_append(&s, big), -ENOMEM);
    (void)mem_fail_nth(0);
    assert_string_equal(str_text(&s), "kept");
    assert_int_equal(str_append(&s, "more"), -ENOMEM); // even though memory is back
    assert_null(str_take(&s));
}

static void converts_numbers_strictly(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int result;
        uint64_t value;
    } cases[] = {
        {"0", 0, 0},         {"42", 0, 42},
        {"", -EINVAL, 0},    {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},  {"+1", -EINVAL, 0},
        {"-1", -EINVAL, 0},  {"0x10", -EINVAL, 0},
        {"101", -ERANGE, 0}, {"99999999999999999999", -ERANGE, 0},
        {NULL, -EINVAL, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t value = 7;
        assert_int_equal(str_to_u64(cases[i].text, 0, 100, &value), cases[i].result);
        assert_int_equal(value, cases[i].result ? 7 : cases[i].value);
    }
    int64_t number;
    assert_int_equal(str_to_i64("-9223372036854775807", INT64_MIN, INT64_MAX, &number), 0);
    assert_true(number == -INT64_MAX);
    assert_int_equal(str_to_i64("9223372036854775808", INT64_MIN, INT64_MAX, &number), -ERANGE);
}

static void converts_octal_and_bool(void **state) {
    (void)state;
    uint32_t mode = 0;
    assert_int_equal(str_to_octal("0770", 07777, &mode), 0);
    assert_int_equal(mode, 0770);
    assert_int_equal(str_to_octal("0778", 07777, &mode), -EINVAL);
    assert_int_equal(str_to_octal("17777", 07777, &mode), -ERANGE);
    bool yes = false;
    assert_int_equal(str_to_bool("True", &yes), 0);
    assert_true(yes);
    assert_int_equal(str_to_bool("1", &yes), -EINVAL);
}

static void converts_sizes(void **state) {
    (void)state;
    int64_t bytes = 0;
    assert_int_equal(str_to_bytes("10Gi", &bytes), 0);
    assert_true(bytes == INT64_C(10737418240));
    assert_int_equal(str_to_bytes("3M", &bytes), 0);
    assert_true(bytes == 3000000);
    assert_int_equal(str_to_bytes("9Xi", &bytes), -EINVAL);
    assert_int_equal(str_to_bytes("Gi", &bytes), -EINVAL);
    assert_int_equal(str_to_bytes("9223372036854775807Ki", &bytes), -ERANGE);
    char text[24];
    str_from_bytes(INT64_C(1) << 30, text);
    assert_string_equal(text, "1Gi");
    str_from_bytes(1536, text);
    assert_string_equal(text, "1.5Ki");
    str_from_bytes(12, text);
    assert_string_equal(text, "12");
}

static void knows_utf8(void **state) {
    (void)state;
    static const char *const good[] = {"", "a", "é", "€", "𝄞", "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF"};
    static const char *const bad[] = {"\x80",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xE0\x9F\xBF",
                                      "\xED\xA0\x80",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xE2\x82",
                                      "a\xFF"};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        assert_true(str_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(str_is_utf8(bad[i], strlen(bad[i])));
    assert_false(str_is_utf8("a\0b", 3));
}

static void knows_path_components(void **state) {
    (void)state;
    char name[257];
    memset(name, 'n', sizeof name);
    assert_true(str_is_path_component(name, 255));
    assert_false(str_is_path_component(name, 256));
    static const char *const bad[] = {"", ".", "..", "a/b", "tab\t", "del\x7F", "\xFF"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(str_is_path_component(bad[i], strlen(bad[i])));
    assert_true(str_is_path_component("...", 3));
    assert_true(str_is_path_component("ünï", strlen("ünï")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_and_takes),
        cmocka_unit_test(failure_sticks_and_takes_nothing),
        cmocka_unit_test(converts_numbers_strictly),
        cmocka_unit_test(converts_octal_and_bool),
        cmocka_unit_test(converts_sizes),
        cmocka_unit_test(knows_utf8),
        cmocka_unit_test(knows_path_components),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
