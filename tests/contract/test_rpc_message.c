// SPDX-License-Identifier: Apache-2.0
// What a server makes of messages: text, codes, malformed and oversized bytes.
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/metrics.h"
#include "tests/support/cm.h"
#include "tests/support/rpc_kit.h"

#define SEND(f, text, status) rpc_kit_send(f, text, sizeof(text) - 1, status)

static void test_round_trip(void **state) {
    struct rpc_kit *f = *state;
    struct rpc_status status;
    char *reply = rpc_kit_ask(f->client, "/t.T/Echo", "höhö", DEADLINE_NONE, &status);
    assert_string_equal(reply, "höhö");
    assert_int_equal(status.code, RPC_OK);
    free(reply);
}

static void test_error_keeps_its_text(void **state) {
    struct rpc_kit *f = *state;
    struct rpc_status status;
    assert_null(rpc_kit_ask(f->client, "/t.T/Fail", "größe 100%, \"x\"\n", DEADLINE_NONE, &status));
    assert_int_equal(status.code, RPC_NOT_FOUND);
    assert_string_equal(status.message, "größe 100%, \"x\"\n");
}

static void test_unknown_method(void **state) {
    struct rpc_kit *f = *state;
    assert_int_equal(rpc_kit_ask_code(f->client, "/t.T/Nothing", "a"), RPC_UNIMPLEMENTED);
    char longest[300] = "/";
    memset(longest + 1, 'm', sizeof longest - 2);
    assert_int_equal(rpc_kit_ask_code(f->client, longest, "a"), RPC_UNIMPLEMENTED);
    assert_int_equal(rpc_kit_ask_code(f->client, "/t.T/Echo", "a"), RPC_OK);
}

static void test_malformed_bytes(void **state) {
    struct rpc_kit *f = *state;
    struct rpc_status status;
    assert_int_equal(SEND(f, "\xff\xff\xff\xff", &status), RPC_INVALID_ARGUMENT);
    assert_int_equal(SEND(f,
                          "\x0a\x05"
                          "ab",
                          &status),
                     RPC_INVALID_ARGUMENT);
    assert_int_equal(SEND(f,
                          "\x0a\xff\xff\xff\xff\x0f"
                          "ab",
                          &status),
                     RPC_INVALID_ARGUMENT);
    assert_int_equal(SEND(f, "\x00\x01", &status), RPC_INVALID_ARGUMENT);
    assert_int_equal(SEND(f,
                          "\x12\x03\x0a\x05"
                          "a",
                          &status),
                     RPC_INVALID_ARGUMENT); // inside a map entry
    assert_int_equal(SEND(f,
                          "\x0a\x02"
                          "ab",
                          &status),
                     RPC_OK);
}

static void test_text_must_be_utf8(void **state) {
    struct rpc_kit *f = *state;
    struct rpc_status status;
    assert_int_equal(SEND(f, "\x0a\x02\xc3\x28", &status), RPC_INVALID_ARGUMENT);
    assert_non_null(strstr(status.message, "volume_id"));
    assert_int_equal(SEND(f,
                          "\x0a\x03"
                          "a\0b",
                          &status),
                     RPC_INVALID_ARGUMENT);
    assert_int_equal(SEND(f,
                          "\x0a\x01"
                          "a\x12\x06\x0a\x01"
                          "k\x12\x01\xff",
                          &status),
                     RPC_INVALID_ARGUMENT);
}

static void test_calls_are_counted(void **state) {
    struct rpc_kit *f = *state;
    struct str text cleanup(str_done) = {0};
    assert_int_equal(rpc_kit_ask_code(f->client, "/t.T/Fail", "a"), RPC_NOT_FOUND);
    assert_int_equal(rpc_kit_ask_code(f->client, "/t.T/Anything", "a"), RPC_UNIMPLEMENTED);
    assert_int_equal(metrics_render(&text), 0);
    assert_non_null(strstr(text.data, "stowage_rpc_seconds_count{method=\"Fail\",code=\"NOT_FOUND\"}"));
    assert_non_null(strstr(text.data, "stowage_rpc_seconds_count{method=\"unknown\",code=\"UNIMPLEMENTED\"}"));
    assert_null(strstr(text.data, "Anything")); // names of the client's choice make no series
}

static void test_missing_field(void **state) {
    struct rpc_kit *f = *state;
    struct rpc_status status;
    assert_int_equal(SEND(f, "", &status), RPC_INVALID_ARGUMENT);
    assert_non_null(strstr(status.message, "'volume_id'"));
}

static void test_unknown_fields_are_skipped(void **state) {
    struct rpc_kit *f = *state;
    struct rpc_status status;
    // 100: varint, 101: bytes, 102: 32 bits, 103: 64 bits
    assert_int_equal(SEND(f,
                          "\xa0\x06\x01\xaa\x06\x02zz\x0a\x01"
                          "a\xb5\x06"
                          "1234\xb9\x06"
                          "12345678",
                          &status),
                     RPC_OK);
}

static void test_large_requests(void **state) {
    struct rpc_kit *f = *state;
    size_t over = RPC_REQUEST_MAX + 1, fits = RPC_REQUEST_MAX - 64;
    char *text = mem_zalloc(over + 1);
    memset(text, 'a', over);
    assert_int_equal(rpc_kit_ask_code(f->client, "/t.T/Echo", text), RPC_RESOURCE_EXHAUSTED);
    text[fits] = '\0';
    assert_int_equal(rpc_kit_ask_code(f->client, "/t.T/Echo", text), RPC_OK);
    free(text);
}

static void test_small_bytes_do_not_become_a_large_tree(void **state) {
    struct rpc_kit *f = *state;
    struct rpc_status status;
    size_t len = RPC_REQUEST_MAX - 16;
    char *bytes = mem_alloc(len);
    for (size_t i = 0; i + 1 < len; i += 2) { // field 2, an empty map entry
        bytes[i] = 0x12;
        bytes[i + 1] = 0;
    }
    assert_int_equal(rpc_kit_send(f, bytes, len / 2 * 2, &status), RPC_RESOURCE_EXHAUSTED);
    free(bytes);
    assert_int_equal(rpc_kit_ask_code(f->client, "/t.T/Echo", "a"), RPC_OK);
}

static void test_large_replies(void **state) {
    struct rpc_kit *f = *state;
    struct rpc_status status;
    char *reply = rpc_kit_ask(f->client, "/t.T/Large", "20000000", DEADLINE_NONE, &status);
    assert_int_equal(strlen(reply), 20000000);
    free(reply);
    assert_int_equal(rpc_kit_ask_code(f->client, "/t.T/Large", "70000000"), RPC_RESOURCE_EXHAUSTED);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rpc_kit_setup, rpc_kit_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_round_trip),        T(test_error_keeps_its_text),
        T(test_unknown_method),    T(test_malformed_bytes),
        T(test_text_must_be_utf8), T(test_calls_are_counted),
        T(test_missing_field),     T(test_unknown_fields_are_skipped),
        T(test_large_requests),    T(test_small_bytes_do_not_become_a_large_tree),
        T(test_large_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
