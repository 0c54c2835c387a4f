// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "lib/nfs/owner.h"
#include "tests/support/cm.h"

static uint32_t parse(const char *text) {
    return nfs_owner_parse((const uint8_t *)text, strlen(text), false);
}

static void test_numbers(void **state) {
    (void)state;
    assert_int_equal(parse("0"), 0);
    assert_int_equal(parse("1000"), 1000);
    assert_int_equal(parse("4294967295"), UINT32_MAX);
    assert_int_equal(parse("1000@example.org"), 1000);
    assert_int_equal(nfs_owner_parse((const uint8_t *)"12345", 2, false), 12); // no NUL is looked for
}

static void test_names(void **state) {
    (void)state;
    assert_int_equal(parse("root"), 0);
    assert_int_equal(parse("root@localdomain"), 0);
    assert_int_equal(nfs_owner_parse((const uint8_t *)"root@x", 6, true), 0);
    for (int i = 0; i < 2; i++) // the second time from the cache
        assert_int_equal(parse("no-such-user-here@localdomain"), NFS_OWNER_NOBODY);
}

static void test_bad(void **state) {
    (void)state;
    char longest[200];
    memset(longest, '9', sizeof longest);
    assert_int_equal(nfs_owner_parse((const uint8_t *)longest, sizeof longest, false), NFS_OWNER_NOBODY);
    assert_int_equal(parse(""), NFS_OWNER_NOBODY);
    assert_int_equal(parse("@domain"), NFS_OWNER_NOBODY);
    assert_int_equal(parse("4294967296"), NFS_OWNER_NOBODY);
    assert_int_equal(parse("-1"), NFS_OWNER_NOBODY);
    assert_int_equal(nfs_owner_parse((const uint8_t *)"1\0002", 3, false), NFS_OWNER_NOBODY);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_bad)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
