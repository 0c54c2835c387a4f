// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cm.h"

#include <errno.h>
#include <string.h>

#include "cli/options.h"

static const char *const FLAGS[] = {"parameter", "size", "read-only", "access", NULL};

struct parsed {
    struct option_set set;
    struct options options;
    char *argv[16];
    int count;
    struct err err;
};

static int parse(struct parsed *p, const char *const *words) {
    int argc = 0;
    *p = (struct parsed){.err = ERR_NONE};
    for (; words[argc]; argc++)
        p->argv[argc] = (char *)(uintptr_t)words[argc];
    options_select(FLAGS, OPTIONS_DRIVER, &p->set);
    return options_parse(&p->set, &p->options, argc, p->argv, &p->count, &p->err);
}

static void flags_may_stand_anywhere(void **state) {
    (void)state;
    struct parsed p;
    const char *words[] = {
        "create", "--size", "10Gi", "name", "-p", "server=a", "--read-only", "more", "--parameter=share=/x", NULL};
    assert_int_equal(parse(&p, words), 0);
    assert_int_equal(p.count, 2);
    assert_string_equal(p.argv[0], "name");
    assert_string_equal(p.argv[1], "more");
    assert_int_equal(p.options.size, INT64_C(10) << 30);
    assert_true(p.options.read_only);
    assert_int_equal(p.options.parameter.count, 2);
    assert_string_equal(p.options.parameter.items[1], "share=/x");
    assert_string_equal(p.options.controller, "unix:///run/stowage/controller.sock");
    options_done(&p.set, &p.options);
}

static void two_dashes_end_the_flags(void **state) {
    (void)state;
    struct parsed p;
    const char *words[] = {"create", "--read-only", "--", "--size", "-p", NULL};
    assert_int_equal(parse(&p, words), 0);
    assert_int_equal(p.count, 2);
    assert_string_equal(p.argv[0], "--size");
    assert_string_equal(p.argv[1], "-p");
    assert_int_equal(p.options.size, 0);
    options_done(&p.set, &p.options);
}

static void help_is_met_anywhere(void **state) {
    (void)state;
    struct parsed p;
    assert_int_equal(parse(&p, (const char *[]){"create", "name", "--help", NULL}), -ECANCELED);
    options_done(&p.set, &p.options);
    assert_int_equal(parse(&p, (const char *[]){"create", "-h", NULL}), -ECANCELED);
    options_done(&p.set, &p.options);
}

static void mistakes_are_named(void **state) {
    (void)state;
    static const struct {
        const char *words[4], *named;
    } cases[] = {
        {{"create", "--sise", "1Gi", NULL}, "unknown flag 'sise'"},
        {{"create", "--size", "big", NULL}, "'big'"},
        {{"create", "--size", NULL}, "wants a value"},
        {{"create", "--access", "RWX", NULL}, "ReadWriteMany"},
        {{"create", "--timeout", "0", NULL}, "timeout"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed p;
        assert_int_equal(parse(&p, cases[i].words), -EINVAL);
        if (!strstr(err_text(&p.err), cases[i].named))
            fail_msg("'%s' does not name '%s'", err_text(&p.err), cases[i].named);
        options_done(&p.set, &p.options);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_may_stand_anywhere),
        cmocka_unit_test(two_dashes_end_the_flags),
        cmocka_unit_test(help_is_met_anywhere),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
