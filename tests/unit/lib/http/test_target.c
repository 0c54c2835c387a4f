// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/http/target.h"

static struct http_slice slice(const char *text) {
    return (struct http_slice){text, strlen(text)};
}
static bool slice_is(struct http_slice s, const char *text) {
    return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0;
}

static void decodes_once(void **state) {
    (void)state;
    static const struct {
        const char *in, *out;
        bool plus;
    } cases[] = {
        {"", "", false},         {"a+b", "a+b", false}, {"a+b", "a b", true},           {"%41%7a", "Az", false},
        {"%2541", "%41", false}, {"%2B+", "+ ", true},  {"%e2%82%ac", "\u20ac", false}, {"x%2Fy", "x/y", false}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char out[32];
        long len = http_percent_decode(slice(cases[i].in), cases[i].plus, out);
        assert_int_equal(len, strlen(cases[i].out));
        assert_memory_equal(out, cases[i].out, (size_t)len);
    }
    static const char *const bad[] = {"%", "%4", "a%", "%g0", "%0g", "%%41", "% 41", "%+1"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char out[32];
        assert_int_equal(http_percent_decode(slice(bad[i]), true, out), -EINVAL);
    }
}

static void decodes_no_further_than_its_text(void **state) {
    (void)state;
    char out[4];
    assert_int_equal(http_percent_decode((struct http_slice){"%41", 2}, false, out), -EINVAL);
    assert_int_equal(http_percent_decode((struct http_slice){"a%41", 1}, false, out), 1);
}

static void splits(void **state) {
    (void)state;
    struct http_slice path, query;
    bool has;
    assert_int_equal(http_target_split(slice("/a/b?c=d?e"), &path, &query, &has, NULL), 0);
    assert_true(has && slice_is(path, "/a/b") && slice_is(query, "c=d?e"));
    assert_int_equal(http_target_split(slice("/a"), &path, &query, &has, NULL), 0);
    assert_true(!has && slice_is(path, "/a") && !query.len);
    assert_int_equal(http_target_split(slice("/?"), &path, &query, &has, NULL), 0);
    assert_true(has && slice_is(path, "/") && !query.len);
    static const char *const bad[] = {"", "a", "*", "http://a/", "/a b", "/a\tb", "/a#b", "/\x7f", "/\x1f", "/?a#b"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(http_target_split(slice(bad[i]), &path, &query, &has, NULL), -EINVAL);
}

static void walks_queries(void **state) {
    (void)state;
    struct http_slice query = slice("&a=1&&b&=c&d==&"), name, value;
    static const char *const wanted[][2] = {{"a", "1"}, {"b", ""}, {"", "c"}, {"d", "="}};
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        assert_true(http_query_next(&query, &name, &value));
        assert_true(slice_is(name, wanted[i][0]) && slice_is(value, wanted[i][1]));
    }
    assert_false(http_query_next(&query, &name, &value));
}

static void matches_patterns(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *path, *args; // args: "a=1 b=2"; NULL: no match
    } cases[] = {
        {"/", "/", ""},
        {"/", "", ""},
        {"/", "/a", NULL},
        {"/a", "/a", ""},
        {"/a", "/a/", NULL},
        {"/a", "/ab", NULL},
        {"/a", "", NULL},
        {"/a/b", "/a", NULL},
        {"/{x}", "/1", "x=1 "},
        {"/{x}", "/", NULL},
        {"/{x}", "/1/2", NULL},
        {"/{x}/{y}", "/1/2", "x=1 y=2 "},
        {"/a/{x...}", "/a/", "x= "},
        {"/a/{x...}", "/a", NULL},
        {"/a/{x...}", "/a//b/", "x=/b/ "},
        {"/a/{x}/c", "/a//c", NULL},
        {"/a/{x}/c", "/a/%2F/c", "x=%2F "},
        {"", "", ""},
        {"", "/", NULL},
        {"/a/", "/a/", ""},
        {"/a/", "/a", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_pattern pattern;
        struct http_args args = {.count = 0};
        char text[64] = "";
        assert_int_equal(http_pattern_parse(cases[i].pattern, &pattern, NULL), 0);
        bool matched = http_pattern_match(&pattern, slice(cases[i].path), &args, NULL);
        for (size_t a = 0; a < args.count; a++)
            (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%.*s=%.*s ", (int)args.names[a].len,
                           args.names[a].data, (int)args.values[a].len, args.values[a].data);
        if (matched != (cases[i].args != NULL) || (matched && strcmp(text, cases[i].args) != 0))
            fail_msg("%s on %s: %d %s", cases[i].pattern, cases[i].path, matched, text);
    }
}

static void matches_prefixes(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *path, *rest; // NULL: no match
    } cases[] = {
        {"", "/a", "/a"},      {"/v1", "/v1/a", "/a"},   {"/v1", "/v1", ""},          {"/v1", "/v1/", "/"},
        {"/v1", "/v11", NULL}, {"/v1", "/v1//a", "//a"}, {"/w/{ws}", "/w/x/a", "/a"}, {"/w/{ws}", "/w//a", NULL}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_pattern pattern;
        struct http_args args = {.count = 0};
        struct http_slice rest;
        assert_int_equal(http_pattern_parse(cases[i].pattern, &pattern, NULL), 0);
        bool matched = http_pattern_match(&pattern, slice(cases[i].path), &args, &rest);
        if (matched != (cases[i].rest != NULL) || (matched && !slice_is(rest, cases[i].rest)))
            fail_msg("%s on %s", cases[i].pattern, cases[i].path);
    }
}

static void prefers_the_exact(void **state) {
    (void)state;
    static const char *const order[] = {"/a/b/c",    "/a/b/{x}", "/a/{x}/c", "/a/{x}/{y}",
                                        "/a/{x...}", "/{x}/b",   "/{x...}"};
    for (size_t i = 0; i + 1 < ARRAY_SIZE(order); i++) {
        struct http_pattern first, second;
        assert_int_equal(http_pattern_parse(order[i], &first, NULL), 0);
        assert_int_equal(http_pattern_parse(order[i + 1], &second, NULL), 0);
        if (http_pattern_compare(&first, &second) >= 0 || http_pattern_compare(&second, &first) <= 0)
            fail_msg("%s must come before %s", order[i], order[i + 1]);
        assert_int_equal(http_pattern_compare(&first, &first), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_once),
        cmocka_unit_test(decodes_no_further_than_its_text),
        cmocka_unit_test(splits),
        cmocka_unit_test(walks_queries),
        cmocka_unit_test(matches_patterns),
        cmocka_unit_test(matches_prefixes),
        cmocka_unit_test(prefers_the_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
