// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cm.h"

#include <errno.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/http/multipart.h"

static void reads_parameters(void **state) {
    (void)state;
    static const struct {
        const char *value, *name, *out;
        int r;
    } cases[] = {
        {"form-data; name=value", "name", "value", 0},
        {"form-data; NAME=\"a b;c\"; x=y", "name", "a b;c", 0},
        {"form-data;name = x", "name", NULL, -EBADMSG},
        {"form-data; name=\"a\\\"b\\\\c\"", "name", "a\"b\\c", 0},
        {"form-data; name=\"C:\\dir\"", "name", "C:\\dir", 0},
        {"form-data; filename=\"x\"; name=\"y\"", "name", "y", 0},
        {"form-data; name=\"\"", "name", "", 0},
        {"form-data; name*=UTF-8''a%20%E2%82%AC", "name", "a \u20ac", 0},
        {"form-data; name*=utf-8'en'b; name=c", "name", "c", 0},
        {"form-data; name=c; name*=UTF-8''b", "name", "c", 0},
        {"form-data; name*=UTF-8''%00", "name", NULL, -EBADMSG},
        {"form-data; name*=UTF-8''%ff", "name", NULL, -EBADMSG},
        {"form-data; name*=plain", "name", NULL, -EBADMSG},
        {"form-data; name=\"open", "name", NULL, -EBADMSG},
        {"form-data; other=1", "name", NULL, -ENOENT},
        {"form-data", "name", NULL, -ENOENT},
        {"form-data;", "name", NULL, -ENOENT},
        {"form-data; name=12345678", "name", NULL, -ENAMETOOLONG},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char out[8];
        int r = http_header_parameter(cases[i].value, cases[i].name, out, sizeof out);
        if (r != cases[i].r || (r == 0 && strcmp(out, cases[i].out) != 0))
            fail_msg("%s: %d %s", cases[i].value, r, r == 0 ? out : "");
    }
}

static void wants_a_boundary(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "text/plain",
                                      "multipart/form-data",
                                      "multipart/form-data; boundary=",
                                      "multipart/form-data; boundary=\"a",
                                      "multipart/mixed; boundary=a"};
    struct http_multipart m;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(http_multipart_init(&m, bad[i]), -EBADMSG);
    assert_int_equal(http_multipart_init(&m, NULL), -EBADMSG);
    char longest[300] = "multipart/form-data; boundary=";
    size_t len = strlen(longest);
    memset(longest + len, 'b', HTTP_BOUNDARY_MAX);
    assert_int_equal(http_multipart_init(&m, longest), 0);
    longest[len + HTTP_BOUNDARY_MAX] = 'b';
    assert_int_equal(http_multipart_init(&m, longest), -EBADMSG);
}

// Writes what is read as "<name>bytes</>" and so on; "!" where it is malformed, "..." where it is cut short.
static void transcript(const char *form, size_t len, size_t step, struct str *out) {
    struct http_multipart m;
    assert_int_equal(http_multipart_init(&m, "multipart/form-data; boundary=\"b\""), 0);
    size_t from = 0;
    for (size_t to = step < len ? step : len;; to = to + step < len ? to + step : len) {
        struct http_multipart_event event;
        do {
            if (http_multipart_next(&m, form + from, to - from, &event) < 0) {
                assert_int_equal(str_append(out, "!"), 0);
                return;
            }
            if (event.kind == HTTP_MULTIPART_BEGIN)
                assert_int_equal(str_printf(out, "<%s>", m.name), 0);
            if (event.kind == HTTP_MULTIPART_BYTES)
                assert_int_equal(str_append_bytes(out, event.data, event.len), 0);
            if (event.kind == HTTP_MULTIPART_END)
                assert_int_equal(str_append(out, "</>"), 0);
            from += event.used;
        } while (event.kind != HTTP_MULTIPART_MORE && event.kind != HTTP_MULTIPART_CLOSE);
        if (to == len || event.kind == HTTP_MULTIPART_CLOSE) {
            assert_int_equal(str_append(out, m.state == HTTP_MULTIPART_DONE ? "." : "..."), 0);
            return;
        }
    }
}

#define PART "Content-Disposition: form-data; name=\"v\"\r\n\r\n"

static void reads_parts(void **state) {
    (void)state;
    static const struct {
        const char *form, *wanted;
    } cases[] = {
        {"--b\r\n" PART "x\r\n--b--\r\n", "<v>x</>."},
        {"--b\r\n" PART "x\r\n--b--", "<v>x</>."},
        {"--b\r\n" PART "\r\n--b--", "<v></>."},
        {"--b--", "."},
        {"pre\r\n--b\r\n" PART "x\r\n--b--post", "<v>x</>."},
        {"\r\n--b \t\r\n" PART "x\r\n--b \r\n" PART "y\r\n--b--", "<v>x</><v>y</>."},
        {"--b\r\n" PART "a\r\n--bc\r\n-b\r\n--\r\n--b--", "<v>a\r\n--bc\r\n-b\r\n--</>."},
        {"--b\r\n" PART "\r\n\r\n\r\n--b--", "<v>\r\n\r\n</>."},
        {"--b\r\n" PART "a\n--b--\n\r\n--b--", "<v>a\n--b--\n</>."},
        {"--b\r\nContent-Type: text/plain\r\ncontent-disposition:form-data;name=w\r\n\r\nx\r\n--b--", "<w>x</>."},
        {"--b\r\n" PART "x", "<v>x..."},
        {"--b\r\n" PART "x\r\n--b", "<v>x..."},
        {"--b\r\n" PART "x\r\n--b\r\n", "<v>x</>..."},
        {"", "..."},
        {"x", "..."},
        {"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--", "!"},
        {"--b\r\n\r\n\r\nx\r\n--b--", "!"},
        {"--b\r\nContent-Disposition: attachment; name=v\r\n\r\nx\r\n--b--", "!"},
        {"--b\r\n" PART "x\r\n--b-x", "<v>x</>!"},
        {"--b\r\n" PART "x\r\n--b \rx", "<v>x</>!"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (size_t step = 1; step < 100; step += step < 12 ? 1 : 29) {
            struct str out cleanup_str = {0};
            transcript(cases[i].form, strlen(cases[i].form), step, &out);
            if (strcmp(str_text(&out), cases[i].wanted) != 0)
                fail_msg("%s\nin steps of %zu: wanted %s, got %s", cases[i].form, step, cases[i].wanted,
                         str_text(&out));
        }
}

// What is kept between two reads is bounded, whatever comes.
static void holds_little(void **state) {
    (void)state;
    struct http_multipart m;
    struct http_multipart_event event;
    char data[HTTP_PART_HEADER_MAX + 200];
    assert_int_equal(http_multipart_init(&m, "multipart/form-data; boundary=b"), 0);
    memset(data, '\r', sizeof data);
    assert_int_equal(http_multipart_next(&m, data, sizeof data, &event), 0);
    assert_true(sizeof data - event.used < 8);
    assert_int_equal(http_multipart_init(&m, "multipart/form-data; boundary=b"), 0);
    memset(data, 'a', sizeof data);
    memcpy(data, "--b\r\n", 5);
    assert_int_equal(http_multipart_next(&m, data, sizeof data, &event), -EBADMSG);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_parameters), cmocka_unit_test(wants_a_boundary),
                                       cmocka_unit_test(reads_parts), cmocka_unit_test(holds_little)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
