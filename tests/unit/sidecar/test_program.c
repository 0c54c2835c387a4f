// SPDX-License-Identifier: Apache-2.0
// Which program the command line asks for.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cleanup.h"
#include "sidecar/program.h"
#include "tests/support/cm.h"

#define WANTED(...) wanted((char *[]){"stowage-sidecar", __VA_ARGS__, NULL})
static const char *wanted(char **argv) {
    int argc = 0;
    while (argv[argc])
        argc++;
    return program_wanted(argc, argv);
}

static void flags_choose(void **state) {
    (void)state;
    assert_null(WANTED("--data-dir", "/x"));
    assert_null(WANTED("--engine", "sqlite"));
    assert_null(WANTED("--engine"));
    assert_string_equal(WANTED("--engine", "remote"), "-remote");
    assert_string_equal(WANTED("--listen", ":1", "--engine=remote"), "-remote");
    assert_null(WANTED("--engine=remote", "--engine=sqlite"));
    assert_null(WANTED("--engines=remote"));
    assert_string_equal(WANTED("--token-review", "in-cluster"), "-cluster");
    assert_string_equal(WANTED("--token-review=https://1"), "-cluster");
    assert_null(WANTED("--token-review-ca", "f"));
    assert_null(WANTED("--token-review="));
}

static void the_environment_chooses_where_no_flag_does(void **state) {
    (void)state;
    assert_int_equal(setenv("STOWAGE_ENGINE", "remote", 1), 0);
    assert_string_equal(WANTED("--probe"), "-remote");
    assert_null(WANTED("--engine=sqlite"));
    assert_int_equal(unsetenv("STOWAGE_ENGINE"), 0);
    assert_int_equal(setenv("STOWAGE_TOKEN_REVIEW", "in-cluster", 1), 0);
    assert_string_equal(WANTED("--data-dir", "/x"), "-cluster");
    assert_int_equal(unsetenv("STOWAGE_TOKEN_REVIEW"), 0);
}

static void what_is_not_there_is_named(void **state) {
    char *argv[] = {"stowage-sidecar", NULL};
    struct err err = ERR_NONE;
    (void)state;
    assert_int_equal(program_become("-none", argv, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "test_program-none"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(flags_choose),
                                       cmocka_unit_test(the_environment_chooses_where_no_flag_does),
                                       cmocka_unit_test(what_is_not_there_is_named)};
    return cmocka_run_group_tests_name("the choice of a program", tests, NULL, NULL);
}
