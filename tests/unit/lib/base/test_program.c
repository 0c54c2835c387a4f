// SPDX-License-Identifier: Apache-2.0
// What every program does with its command line before it does anything else.
#include "tests/support/cm.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/program.h"

struct settings {
    uint32_t port, size;
};
static const struct field rows[] = {
    {"port", FIELD_U32, .offset = offsetof(struct settings, port), .fallback = "3500", .value = "N", .help = "port"},
    {"size", FIELD_U32, .offset = offsetof(struct settings, size), .fallback = "1", .value = "N", .help = "size"},
};
static const struct fields flags = {.rows = rows, .count = ARRAY_SIZE(rows), .kind = "flag"};
static const struct program program = {.name = "stowage-test", .about = "stowage-test: tests\n", .flags = &flags};
#define ARGUMENTS(...) ((char *[]){"stowage-test", __VA_ARGS__, NULL})

static int run(char **argv, struct settings *ret, struct err *err) {
    int argc = 0;
    while (argv[argc])
        argc++;
    *ret = (struct settings){0};
    return program_read(&program, ret, argc, argv, err);
}

static void the_command_line_counts_before_the_environment_before_defaults(void **state) {
    struct settings settings;
    (void)state;
    assert_int_equal(setenv("STOWAGE_SIZE", "2", 1), 0);
    assert_int_equal(setenv("STOWAGE_PORT", "2", 1), 0);
    assert_int_equal(run(ARGUMENTS("--port", "80"), &settings, NULL), 0);
    assert_int_equal(settings.port, 80);
    assert_int_equal(settings.size, 2);
    assert_int_equal(unsetenv("STOWAGE_SIZE"), 0);
    assert_int_equal(unsetenv("STOWAGE_PORT"), 0);
    assert_int_equal(run(ARGUMENTS("--port=81"), &settings, NULL), 0);
    assert_int_equal(settings.port, 81);
    assert_int_equal(settings.size, 1);
}

static void what_is_asked_for_ends_the_program(void **state) {
    struct settings settings;
    (void)state;
    assert_int_equal(run(ARGUMENTS("--version"), &settings, NULL), -ECANCELED);
    assert_int_equal(run(ARGUMENTS("--port", "80", "--version"), &settings, NULL), -ECANCELED);
    assert_int_equal(run(ARGUMENTS("--help"), &settings, NULL), -ECANCELED);
}

static void what_nobody_expects_is_named(void **state) {
    static const char *const wrong[] = {"serve", "--prot=1", "--port=x"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct settings settings;
        struct err err = ERR_NONE;
        char text[32];
        (void)strcpy(text, wrong[i]);
        assert_int_equal(run(ARGUMENTS(text), &settings, &err), -EINVAL);
        text[strcspn(text, "=")] = '\0';
        assert_non_null(strstr(err.msg, text + (text[0] == '-' ? 2 : 0)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_command_line_counts_before_the_environment_before_defaults),
        cmocka_unit_test(what_is_asked_for_ends_the_program),
        cmocka_unit_test(what_nobody_expects_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
