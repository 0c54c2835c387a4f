// SPDX-License-Identifier: Apache-2.0
// err, hash, strmap, keylock, json: the small values of lib/base.
#include "tests/support/cm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"
#include "lib/base/json.h"
#include "lib/base/keylock.h"
#include "lib/base/mem.h"

static void error_keeps_cause_and_context(void **state) {
    (void)state;
    struct err err = ERR_NONE;
    assert_int_equal(err_set(&err, -ENOENT, "no volume '%s'", "v1"), -ENOENT);
    assert_int_equal(err_wrap(&err, -ENOENT, "deleting"), -ENOENT);
    assert_string_equal(err.msg, "deleting: no volume 'v1'");
    struct err bare = ERR_NONE;
    assert_int_equal(err_wrap(&bare, -EIO, "reading"), -EIO);
    assert_string_equal(bare.msg, "reading: Input/output error");
    assert_int_equal(err_set(NULL, -EIO, "nobody reads this"), -EIO);
}

static void long_error_is_cut_between_characters(void **state) {
    (void)state;
    char text[400];
    for (size_t i = 0; i + 1 < sizeof text; i += 2)
        memcpy(text + i, "é", 2);
    text[398] = '\0';
    struct err err = ERR_NONE;
    (void)err_set(&err, -EIO, "x%s", text);
    assert_true(str_is_utf8(err.msg, strlen(err.msg)));
    assert_int_equal(strlen(err.msg), 255);
    (void)err_set(&err, -EIO, "%s", text);
    assert_true(str_is_utf8(err.msg, strlen(err.msg)));
    assert_int_equal(strlen(err.msg), 254);
}

static void hash_is_sha256_in_base32(void **state) {
    (void)state;
    char id[HASH_ID_LEN + 1];
    hash_id("abc", 3, id); // FIPS 180-2 appendix B.1: ba7816bf 8f01cfea 414140de 5dae2223 …
    assert_string_equal(id, "xj4bnp4pahh6uqkbidpf3lrcem");
    assert_true(hash_is_id(id));
    assert_false(hash_is_id("XJ4BNP4PAHH6UQKBIDPF3LRCEM"));
    assert_false(hash_is_id("xj4bnp4pahh6uqkbidpf3lrce"));
    assert_false(hash_is_id(NULL));
}

static void map_survives_growth_and_removal(void **state) {
    (void)state;
    struct strmap map = {0};
    char key[16];
    static int values[2000];
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(strmap_put(&map, key, &values[i]), 0);
    }
    for (int i = 0; i < 2000; i += 2) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_ptr_equal(strmap_remove(&map, key), &values[i]);
        assert_null(strmap_remove(&map, key));
    }
    assert_int_equal(map.len, 1000);
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_ptr_equal(strmap_get(&map, key), i % 2 ? &values[i] : NULL);
    }
    size_t cursor = 0, seen = 0;
    while (strmap_next(&map, &cursor))
        seen++;
    assert_int_equal(seen, 1000);
    strmap_done(&map);
}

static void map_without_memory_changes_nothing(void **state) {
    (void)state;
    struct strmap map = {0};
    int value;
    for (long n = 1; n <= 2; n++) {
        (void)mem_fail_nth(n);
        assert_int_equal(strmap_put(&map, "k", &value), -ENOMEM);
        (void)mem_fail_nth(0);
        assert_null(strmap_get(&map, "k"));
    }
    assert_int_equal(strmap_put(&map, "k", &value), 0);
    strmap_done(&map);
}

static void keylock_refuses_the_second(void **state) {
    (void)state;
    struct keylock locks = KEYLOCK_INIT;
    assert_int_equal(keylock_try(&locks, "v1"), 0);
    assert_int_equal(keylock_try(&locks, "v1"), -EAGAIN);
    assert_int_equal(keylock_try(&locks, "v2"), 0);
    keylock_release(&locks, "v1");
    assert_int_equal(keylock_try(&locks, "v1"), 0);
    keylock_done(&locks);
}

static void json_goes_round(void **state) {
    (void)state;
    struct json *out cleanup(json_freep) = json_object_new();
    assert_int_equal(json_set_text(out, "name", "a\"b\nü"), 0);
    assert_int_equal(json_set_int(out, "bytes", INT64_MAX), 0);
    assert_int_equal(json_set_text(out, "bad", "\xFF"), -EINVAL);
    char *text cleanup_free = json_dump(out, false);
    assert_string_equal(text, "{\"name\":\"a\\\"b\\nü\",\"bytes\":9223372036854775807}");
    struct json *in cleanup(json_freep) = NULL;
    struct err err = ERR_NONE;
    assert_int_equal(json_parse(text, strlen(text), 4096, &in, &err), 0);
    assert_string_equal(json_get_text(in, "name"), "a\"b\nü");
    assert_true(json_get_int(in, "bytes", 0) == INT64_MAX);
    assert_int_equal(json_get_int(in, "name", 5), 5);
    assert_null(json_get_text(in, "none"));
}

static void json_refuses_what_is_none(void **state) {
    (void)state;
    static const char *const bad[] = {"", "{", "{\"a\":1,\"a\":2}", "[1,]", "{\"a\":\"\xFF\"}", "1 2"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct json *json = NULL;
        struct err err = ERR_NONE;
        assert_int_equal(json_parse(bad[i], strlen(bad[i]), 4096, &json, &err), -EBADMSG);
        assert_non_null(strstr(err.msg, "line"));
        assert_null(json);
    }
    struct json *json = NULL;
    assert_int_equal(json_parse("[1,2,3]", 7, 6, &json, NULL), -EMSGSIZE);
}

static void quoted_text_is_always_json(void **state) {
    (void)state;
    struct str s cleanup_str = {0};
    assert_int_equal(json_append_quoted(&s, "q\"\\\x01\x7Fü\xFFz"), 0);
    assert_string_equal(str_text(&s), "\"q\\\"\\\\\\u0001\\u007fü\\ufffdz\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_keeps_cause_and_context),
        cmocka_unit_test(long_error_is_cut_between_characters),
        cmocka_unit_test(hash_is_sha256_in_base32),
        cmocka_unit_test(map_survives_growth_and_removal),
        cmocka_unit_test(map_without_memory_changes_nothing),
        cmocka_unit_test(keylock_refuses_the_second),
        cmocka_unit_test(json_goes_round),
        cmocka_unit_test(json_refuses_what_is_none),
        cmocka_unit_test(quoted_text_is_always_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
