// SPDX-License-Identifier: Apache-2.0
// The store's stream of changes, whole and in any pieces.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sidecar/remote/watch.h"
#include "tests/support/cm.h"

static char told[1024];

static int change(void *arg, const struct json *event) {
    struct watch_bytes key cleanup(watch_bytes_done) = {0}, value cleanup(watch_bytes_done) = {0};
    (void)arg;
    assert_int_equal(watch_bytes_get(event, "key", &key), 0);
    assert_int_equal(key.data[key.len], 0);
    int r = watch_bytes_get(event, "value", &value);
    (void)snprintf(told + strlen(told), sizeof told - strlen(told), "%s=%.*s%s;", key.data, (int)value.len,
                   value.data ? value.data : "", r == -ENOENT ? "(none)" : "");
    return 0;
}
static int settled(void *arg, const char *id) {
    (void)arg;
    (void)snprintf(told + strlen(told), sizeof told - strlen(told), "[%s]", id);
    return 0;
}
static const struct watch_ops ops = {change, settled};

static const char stream[] =
    ": nothing changed\n\nevent: change\ndata: {\"key\":\"listed\",\"value\":\"\"}\n\n"
    "id: 4\nevent: change\ndata: {\"key\":\"a\",\"value\":\"x\\ny\"}\n\n"
    "id: 5\nevent: change\ndata: {\"key_base64\":\"/w==\",\"value_base64\":\"AAEC\"}\n\n"
    "id: 6\nevent: change\ndata: {\"key\":\"b\",\"removed\":true}\n\nid: 6-1\n\n: nothing changed\n\n";
static const char wanted[] = "listed=;a=x\ny;\xff=;b=(none);[6-1]"; // a value that begins with NUL

static void a_stream_is_read_in_any_pieces(void **state) {
    (void)state;
    for (size_t step = 1; step <= sizeof stream; step++) {
        struct watch_reader reader cleanup(watch_reader_done) = {0};
        told[0] = '\0';
        for (size_t at = 0; at < sizeof stream - 1; at += step) {
            size_t n = step < sizeof stream - 1 - at ? step : sizeof stream - 1 - at;
            assert_int_equal(watch_read(&reader, stream + at, n, &ops, NULL), 0);
        }
        assert_string_equal(told, wanted);
    }
}

static void an_error_ends_it_and_says_why(void **state) {
    static const char error[] = "id: 7\n\nevent: error\ndata: \"gone\"\n\nid: 8\n\n";
    struct watch_reader reader cleanup(watch_reader_done) = {0};
    (void)state;
    told[0] = '\0';
    assert_int_equal(watch_read(&reader, error, sizeof error - 1, &ops, NULL), -EPIPE);
    assert_string_equal(told, "[7]");
    assert_string_equal(reader.error, "\"gone\"");
}

static void what_is_no_stream_is_refused(void **state) {
    static const char *const bad[] = {"data: x\n", "data: []]\n", "data: 1\n"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct watch_reader reader cleanup(watch_reader_done) = {0};
        assert_int_equal(watch_read(&reader, bad[i], strlen(bad[i]), &ops, NULL), -EBADMSG);
    }
    struct watch_reader reader cleanup(watch_reader_done) = {0};
    static char endless[1 << 20];
    int r = 0;
    memset(endless, 'x', sizeof endless);
    for (int i = 0; r == 0 && i < 100; i++)
        r = watch_read(&reader, endless, sizeof endless, &ops, NULL);
    assert_int_equal(r, -EMSGSIZE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_read_in_any_pieces),
        cmocka_unit_test(an_error_ends_it_and_says_why),
        cmocka_unit_test(what_is_no_stream_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
