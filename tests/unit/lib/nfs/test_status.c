// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "lib/nfs/status.h"
#include "tests/support/cm.h"

static void test_known(void **state) {
    (void)state;
    // Numbers from RFC 1813 2.6 and RFC 7530 13, written out so that the table is not compared with itself.
    static const struct {
        uint32_t status;
        int error;
    } rows[] = {{0, 0},           {1, -EPERM},       {2, -ENOENT},        {5, -EIO},
                {13, -EACCES},    {17, -EEXIST},     {18, -EXDEV},        {20, -ENOTDIR},
                {21, -EISDIR},    {22, -EINVAL},     {27, -EFBIG},        {28, -ENOSPC},
                {30, -EROFS},     {31, -EMLINK},     {63, -ENAMETOOLONG}, {66, -ENOTEMPTY},
                {69, -EDQUOT},    {70, -ESTALE},     {10001, -EBADF},     {10004, -EOPNOTSUPP},
                {10008, -EAGAIN}, {10009, -EISDIR},  {10013, -EAGAIN},    {10014, -ESTALE},
                {10018, -EAGAIN}, {10027, -ENOTDIR}, {10039, -EINVAL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(nfs_status_error(rows[i].status), rows[i].error);
}

static void test_unknown(void **state) {
    (void)state;
    static const uint32_t unknown[] = {3, 100, 9999, 10022, 20000, UINT32_MAX};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_int_equal(nfs_status_error(unknown[i]), -EREMOTEIO);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known), cmocka_unit_test(test_unknown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
