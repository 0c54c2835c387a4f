// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/base64.h"
#include "lib/base/mem.h"
#include "tests/support/cm.h"

static void test_known_texts(void **state) { // RFC 4648, section 10
    (void)state;
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        char *text cleanup_free = base64_encode(pairs[i][0], strlen(pairs[i][0])), *back cleanup_free = NULL;
        size_t len = 99;
        assert_string_equal(text, pairs[i][1]);
        assert_int_equal(base64_decode(text, strlen(text), &back, &len), 0);
        assert_int_equal(len, strlen(pairs[i][0]));
        assert_string_equal(back, pairs[i][0]);
    }
}

static void test_every_byte_comes_back(void **state) {
    (void)state;
    unsigned char bytes[600];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        char *text cleanup_free = base64_encode(bytes, size), *back cleanup_free = NULL;
        size_t len = 0;
        assert_int_equal(base64_decode(text, strlen(text), &back, &len), 0);
        assert_int_equal(len, size);
        assert_memory_equal(back, bytes, size);
        assert_int_equal(back[size], '\0');
    }
}

static void test_what_is_no_base64(void **state) {
    (void)state;
    static const char *const wrong[] = {"A",     "AA",    "AAA",      "A===", "====", "=",    "==",    "Zg= =",
                                        "Zm 9v", "Zm9\n", "Zg==Zg==", "Z=g=", "Zm9-", "Zm9_", "Zm9v=", "\xc3\xa4=="};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        char *back = NULL;
        size_t len;
        assert_int_equal(base64_decode(wrong[i], strlen(wrong[i]), &back, &len), -EBADMSG);
        assert_null(back);
    }
    char *back = NULL;
    size_t len;
    assert_int_equal(base64_decode("Zm\0v", 4, &back, &len), -EBADMSG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_texts),
        cmocka_unit_test(test_every_byte_comes_back),
        cmocka_unit_test(test_what_is_no_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
