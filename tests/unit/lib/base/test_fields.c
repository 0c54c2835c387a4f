// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cm.h"

#include <errno.h>
#include <string.h>

#include "lib/base/fields.h"
#include "lib/base/str.h"

struct settings {
    char *server;
    struct field_list shares;
    bool verbose;
    uint32_t threads, mode;
    int64_t size;
    int format;
};

static int no_spaces(const char *value, struct err *err) {
    return strchr(value, ' ') ? err_set(err, -EINVAL, "spaces are not allowed in '%s'", value) : 0;
}

static const char *const formats[] = {"json", "text", NULL};
#define AT(member) .offset = offsetof(struct settings, member)
static const struct field rows[] = {
    {"server", FIELD_TEXT, AT(server), .help = "the NFS server", .max = 16, .check = no_spaces, .required = true},
    {"share", FIELD_LIST, AT(shares), .help = "a share"},
    {"verbose", FIELD_BOOL, AT(verbose), .help = "say more"},
    {"threads", FIELD_U32, AT(threads), .fallback = "16", .min = 1, .max = 256, .help = "handlers at once"},
    {"mode", FIELD_OCTAL, AT(mode), .fallback = "0750", .max = 07777, .help = "permissions"},
    {"size", FIELD_BYTES, AT(size), .help = "bytes"},
    {"format", FIELD_CHOICE, AT(format), .fallback = "text", .choices = formats, .help = "log format"},
};
static const struct fields flags = {rows, ARRAY_SIZE(rows), "flag", true};
static const struct fields parameters = {rows, ARRAY_SIZE(rows), "parameter", false};

static int parse(struct settings *s, int *next, struct err *err, int argc, const char **argv) {
    *s = (struct settings){0};
    int r = fields_defaults(&flags, s, err);
    return r < 0 ? r : fields_parse_args(&flags, s, argc, (char **)argv, next, err);
}
#define PARSE(s, next, err, ...)                                                                                       \
    parse(s, next, err, (int)ARRAY_SIZE(((const char *[]){"program", __VA_ARGS__})),                                   \
          (const char *[]){"program", __VA_ARGS__, NULL})

static void reads_all_types(void **state) {
    (void)state;
    struct settings s;
    struct err err = ERR_NONE;
    int next = 0;
    assert_int_equal(PARSE(&s, &next, &err, "--server=nas", "--share", "a", "--share", "b", "--verbose", "--size",
                           "2Gi", "--format", "JSON", "rest"),
                     0);
    assert_string_equal(s.server, "nas");
    assert_int_equal(s.shares.count, 2);
    assert_string_equal(s.shares.items[1], "b");
    assert_true(s.verbose);
    assert_int_equal(s.threads, 16);
    assert_int_equal(s.mode, 0750);
    assert_true(s.size == INT64_C(2) << 30);
    assert_int_equal(s.format, 0);
    assert_int_equal(next, 11);
    assert_int_equal(fields_required(&flags, &s, &err), 0);
    fields_done(&flags, &s);
    assert_null(s.server);
}

static void refuses_with_name_and_remedy(void **state) {
    (void)state;
    static const struct {
        const char *name, *value, *says;
    } cases[] = {
        {"colour", "red", "unknown parameter 'colour'; known are: server, share"},
        {"threads", "0", "from 1 to 256"},
        {"threads", "257", "from 1 to 256"},
        {"threads", "many", "'threads' has the value 'many'"},
        {"mode", "0999", "octal"},
        {"size", "10X", "a size such as 10Gi"},
        {"format", "xml", "one of json, text"},
        {"verbose", "yes", "true or false"},
        {"server", "12345678901234567", "the limit is 16"},
        {"server", "a b", "parameter 'server': spaces are not allowed"},
    };
    struct settings s = {.threads = 3};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct err err = ERR_NONE;
        assert_int_equal(fields_set(&parameters, &s, cases[i].name, cases[i].value, &err), -EINVAL);
        if (!strstr(err.msg, cases[i].says))
            fail_msg("'%s' does not say '%s'", err.msg, cases[i].says);
    }
    assert_int_equal(s.threads, 3);
    assert_null(s.server);
}

static void matches_parameters_without_case_and_flags_with(void **state) {
    (void)state;
    struct settings s = {0};
    struct err err = ERR_NONE;
    assert_int_equal(fields_set(&parameters, &s, "SERVER", "nas", &err), 0);
    assert_int_equal(fields_set(&flags, &s, "SERVER", "nas", &err), -EINVAL);
    fields_done(&parameters, &s);
}

static void asks_for_missing_values(void **state) {
    (void)state;
    struct settings s;
    struct err err = ERR_NONE;
    int next = 0;
    assert_int_equal(PARSE(&s, &next, &err, "--server"), -EINVAL);
    assert_non_null(strstr(err.msg, "wants a value"));
    assert_int_equal(PARSE(&s, &next, &err, "--help"), -ECANCELED);
    assert_int_equal(fields_required(&flags, &s, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "'server' is missing"));
}

static void environment_comes_before_the_command_line(void **state) {
    (void)state;
    struct settings s;
    struct err err = ERR_NONE;
    int next = 0;
    (void)setenv("STOWAGE_THREADS", "5", 1);
    assert_int_equal(PARSE(&s, &next, &err, "--server", "x"), 0);
    assert_int_equal(s.threads, 5);
    fields_done(&flags, &s);
    assert_int_equal(PARSE(&s, &next, &err, "--threads", "6"), 0);
    assert_int_equal(s.threads, 6);
    (void)setenv("STOWAGE_THREADS", "none", 1);
    assert_int_equal(PARSE(&s, &next, &err, "--server", "x"), -EINVAL);
    assert_non_null(strstr(err.msg, "STOWAGE_THREADS"));
    (void)unsetenv("STOWAGE_THREADS");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_types),
        cmocka_unit_test(refuses_with_name_and_remedy),
        cmocka_unit_test(matches_parameters_without_case_and_flags_with),
        cmocka_unit_test(asks_for_missing_values),
        cmocka_unit_test(environment_comes_before_the_command_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
