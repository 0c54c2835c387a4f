// SPDX-License-Identifier: Apache-2.0
// The small parts of lib/rpc: status texts, arena, socket addresses.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/str.h"
#include "lib/rpc/address.h"
#include "lib/rpc/arena.h"
#include "lib/rpc/status.h"

static void test_status_is_cut_on_a_character(void **state) {
    (void)state;
    char text[RPC_MESSAGE_MAX + 64];
    struct rpc_status status;
    for (size_t lead = 0; lead < 4; lead++) {
        memset(text, 'a', lead);
        for (size_t i = lead; i + 4 < sizeof text; i += 4)
            memcpy(text + i, "\xf0\x9f\x98\x80", 5);
        rpc_status_set(&status, RPC_ABORTED, "%s", text);
        size_t len = strlen(status.message);
        assert_true(len < RPC_MESSAGE_MAX && len > RPC_MESSAGE_MAX - 6);
        assert_int_equal((len - lead) % 4, 0);
        assert_true(str_is_utf8(status.message, len));
        assert_null(strchr(status.message, '?'));
    }
}

static void test_status_is_utf8(void **state) {
    (void)state;
    struct rpc_status status;
    rpc_status_set(&status, RPC_NOT_FOUND, "a\xff\xc3\xa9\xc3(\xe2\x82");
    assert_string_equal(status.message, "a?\xc3\xa9?(??");
    assert_string_equal(rpc_code_name(RPC_NOT_FOUND), "NOT_FOUND");
    assert_string_equal(rpc_code_name((enum rpc_code)99), "UNKNOWN");
}

static void test_arena_limit(void **state) {
    (void)state;
    struct arena arena cleanup(arena_done) = {0};
    arena_init(&arena, 1000);
    char *text = arena_strdup(&arena, "hello");
    assert_string_equal(text, "hello");
    size_t count = 0;
    for (char *piece; (piece = arena_alloc(&arena, 100)); count++) {
        for (size_t i = 0; i < 100; i++)
            assert_int_equal(piece[i], 0);
        memset(piece, 0xEE, 100);
        assert_int_equal((uintptr_t)piece % _Alignof(max_align_t), 0);
    }
    assert_in_range(count, 7, 9);
    assert_true(arena.exhausted && !arena.failed);
    assert_string_equal(text, "hello");
    assert_null(arena_array(&arena, SIZE_MAX / 2, 3));
}

static void test_address_path(void **state) {
    (void)state;
    static const char *const same[] = {"/run/x.sock", "unix:/run/x.sock", "unix:///run/x.sock"};
    const char *path = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        assert_int_equal(address_path(same[i], &path, NULL), 0);
        assert_string_equal(path, "/run/x.sock");
    }
    assert_int_equal(address_path(NULL, &path, NULL), -EINVAL);
    char longest[110] = "/";
    memset(longest + 1, 'a', 106);
    assert_int_equal(address_path(longest, &path, NULL), 0); // 107 bytes and NUL: unix(7)
    longest[107] = 'a';
    assert_int_equal(address_path(longest, &path, NULL), -ENAMETOOLONG);
    cleanup_free char *uri = address_uri("/a b/%1?.sock");
    assert_string_equal(uri, "unix:/a%20b/%251%3F.sock");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_is_cut_on_a_character),
        cmocka_unit_test(test_status_is_utf8),
        cmocka_unit_test(test_arena_limit),
        cmocka_unit_test(test_address_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
