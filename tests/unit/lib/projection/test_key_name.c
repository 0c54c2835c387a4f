// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/projection/key_name.h"
#include "tests/support/cm.h"

static void a_key_has_the_name_that_is_written_down(void **state) {
    static const struct {
        const char *key, *name;
    } cases[] = {
        {"settings.yaml", "settings.yaml"},
        {"A-z_0.9", "A-z_0.9"},
        {".hidden", ".hidden"},
        {"a..b", "a..b"},
        {".", "%2E"},
        {"..", "%2E."},
        {"..data", "%2E.data"},
        {"...", "%2E.."},
        {"a/b", "a%2Fb"},
        {"/", "%2F"},
        {"100%", "100%25"},
        {"a%2Fb", "a%252Fb"},
        {"a b", "a%20b"},
        {"\xc3\xa4", "%C3%A4"},
        {"\xff\x01", "%FF%01"},
        {"../../x", "%2E.%2F..%2Fx"},
    };
    char name[KEY_NAME_MAX + 1], key[KEY_NAME_MAX + 1];
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(key_name_encode(cases[i].key, strlen(cases[i].key), name), strlen(cases[i].name));
        assert_string_equal(name, cases[i].name);
        assert_int_equal(key_name_decode(name, key), (long)strlen(cases[i].key));
        assert_string_equal(key, cases[i].key);
    }
}

static void what_no_key_is_called_is_refused(void **state) {
    static const char *const names[] = {"",    ".",    "..",  "..data", "a/b", "%",    "%2",    "%2f",
                                        "%61", "a%2E", "%GG", "a b",    "%2E", "%2Ea", "%2E%2E"};
    char key[KEY_NAME_MAX + 1];
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_int_equal(key_name_decode(names[i], key) > 0, strcmp(names[i], "%2E") == 0);
}

static void a_name_that_is_too_long_is_none(void **state) {
    char key[KEY_NAME_MAX + 8], name[KEY_NAME_MAX + 1];
    (void)state;
    memset(key, 'k', sizeof key);
    assert_int_equal(key_name_encode(key, KEY_NAME_MAX, name), KEY_NAME_MAX);
    assert_int_equal(key_name_encode(key, KEY_NAME_MAX + 1, name), 0);
    key[7] = '/';
    assert_int_equal(key_name_encode(key, KEY_NAME_MAX - 2, name), KEY_NAME_MAX);
    assert_int_equal(key_name_encode(key, KEY_NAME_MAX - 1, name), 0);
    assert_int_equal(key_name_encode(key, 0, name), 0);
}

static void any_bytes_come_back(void **state) {
    char key[86], name[KEY_NAME_MAX + 1], again[KEY_NAME_MAX + 1];
    unsigned char size = 0;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        clock_random(&clock_system, &size, 1);
        size_t len = 1 + size % 85U;
        clock_random(&clock_system, key, len);
        if (i % 2) // of few kinds, so that dots meet
            for (size_t k = 0; k < len; k++)
                key[k] = ".%/a2E"[(unsigned char)key[k] % 6U];
        size_t n = key_name_encode(key, len, name);
        assert_true(n >= len && n == strlen(name));
        assert_null(strchr(name, '/'));
        assert_false(strncmp(name, "..", 2) == 0 || strcmp(name, ".") == 0);
        assert_int_equal(key_name_decode(name, again), (long)len);
        assert_memory_equal(again, key, len);
    }
}

static void
whatever_reads_as_a_name_is_written_so(void **state) { // decoding loses nothing: so no two keys share a name
    static const char alphabet[] = "%2E5.aF";
    char name[8], key[KEY_NAME_MAX + 1], again[KEY_NAME_MAX + 1];
    (void)state;
    for (unsigned number = 0; number < 7 * 7 * 7 * 7 * 7 * 7; number++) {
        unsigned rest = number;
        for (int i = 0; i < 6; i++, rest /= 7)
            name[i] = alphabet[rest % 7];
        name[6] = '\0';
        long len = key_name_decode(name, key);
        if (len < 0)
            continue;
        assert_int_equal(key_name_encode(key, (size_t)len, again), 6);
        assert_string_equal(again, name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_has_the_name_that_is_written_down), cmocka_unit_test(what_no_key_is_called_is_refused),
        cmocka_unit_test(a_name_that_is_too_long_is_none),         cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(whatever_reads_as_a_name_is_written_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
