// SPDX-License-Identifier: Apache-2.0
// What every engine keeps of objects.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cm.h"
#include "tests/support/engine_kit.h"

#define LARGE 300000
static struct kit kit;
static char *large;
static const struct object_condition any;

static int setup(void **state) {
    (void)state;
    kit_start(&kit);
    large = malloc(LARGE);
    for (size_t i = 0; i < LARGE; i++)
        large[i] = (char)(i * 7 + i / 1000);
    return 0;
}
static int teardown(void **state) {
    (void)state;
    free(large);
    kit_stop(&kit);
    return 0;
}

static void expect(const char *key, const void *data, size_t len) {
    size_t got_len;
    int code;
    char *got cleanup_free = kit_object_get(&kit, "private", key, &got_len, &code);
    assert_int_equal(code, data ? 0 : -ENOENT);
    if (!data)
        return;
    assert_int_equal(got_len, len);
    assert_memory_equal(got, data, len);
}

static void put(const char *key, const void *data, size_t len) {
    assert_int_equal(kit_object(&kit, "private", key, data, len, any), 0);
}

static struct object_get stat_of(const char *key, int code) {
    struct kit_wait wait = KIT_WAIT;
    struct object_get call = {.call = kit_call(&wait), .bucket = "private", .key = text_blob(key)};
    kit.engine.object->stat(kit.engine.self, &call);
    assert_int_equal(kit_end(&wait, &call.call), code);
    assert_int_equal(call.ret_fd, -1);
    return call;
}

static void test_put_get_remove(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 4096, 32768, 32769, LARGE};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        put("key/../with odd//parts", large, sizes[i]);
        expect("key/../with odd//parts", large, sizes[i]);
    }
    assert_int_equal(kit_object_remove(&kit, "private", "key/../with odd//parts"), 0);
    expect("key/../with odd//parts", NULL, 0);
    assert_int_equal(kit_object_remove(&kit, "private", "key/../with odd//parts"), 0);
    assert_int_equal(kit_object_remove(&kit, "nowhere", "k"), 0);
}

static void test_what_is_told(void **state) {
    (void)state;
    put("k", "hello", 5);
    struct object_get info = stat_of("k", 0);
    assert_int_equal(info.ret.size, 5);
    assert_string_equal(info.ret.etag, "5d41402abc4b2a76b9719d911017c592"); // md5sum of hello
    assert_string_equal(info.ret.type, "text/x");
    assert_string_equal(info.ret.key, "k");
    assert_int_equal(info.ret.modified_ms, INT64_C(1700000000000));
    engine_call_release(&info.call);
    (void)stat_of("other", -ENOENT);
}

static void test_conditions(void **state) {
    (void)state;
    const struct object_condition fresh = {.if_none_match = "*"}, exists = {.if_match = "*"};
    const struct object_condition hello = {.if_match = "5d41402abc4b2a76b9719d911017c592"};
    const struct object_condition not_hello = {.if_none_match = "5d41402abc4b2a76b9719d911017c592"};
    assert_int_equal(kit_object(&kit, "private", "k", "1", 1, exists), -ESTALE);
    assert_int_equal(kit_object(&kit, "private", "k", "hello", 5, fresh), 0);
    assert_int_equal(kit_object(&kit, "private", "k", "1", 1, fresh), -EEXIST);
    assert_int_equal(kit_object(&kit, "private", "k", large, LARGE, not_hello), -EEXIST);
    expect("k", "hello", 5);
    assert_int_equal(kit_object(&kit, "private", "k", large, LARGE, hello), 0);
    assert_int_equal(kit_object(&kit, "private", "k", "1", 1, hello), -ESTALE);
    expect("k", large, LARGE);
}

static void test_readers_keep_what_they_opened(void **state) {
    (void)state;
    put("k", large, LARGE);
    struct kit_wait wait = KIT_WAIT;
    struct object_get get = {.call = kit_call(&wait), .bucket = "private", .key = text_blob("k")};
    kit.engine.object->get(kit.engine.self, &get);
    assert_int_equal(kit_end(&wait, &get.call), 0);
    assert_true(get.ret_fd >= 0);
    put("k", "new", 3);
    expect("k", "new", 3);
    char *old cleanup_free = malloc(LARGE);
    assert_int_equal(pread(get.ret_fd, old, LARGE, 0), LARGE);
    assert_memory_equal(old, large, LARGE);
    (void)close(get.ret_fd);
    engine_call_release(&get.call);
}

static void test_uploads_are_whole_or_nothing(void **state) {
    (void)state;
    const struct object_ops *object = kit.engine.object;
    struct object_upload *upload;
    assert_int_equal(object->upload(kit.engine.self, "ws", "private", text_blob("k"), NULL, LARGE, &upload, NULL), 0);
    assert_int_equal(object->upload_write(kit.engine.self, upload, large, 100000, NULL), 0);
    expect("k", NULL, 0);
    struct kit_wait wait = KIT_WAIT;
    struct object_put call = {.call = kit_call(&wait), .upload = upload};
    object->commit(kit.engine.self, &call);
    assert_int_equal(kit_end(&wait, &call.call), -EINVAL); // less than was announced
    expect("k", NULL, 0);
    assert_int_equal(object->upload(kit.engine.self, "ws", "private", text_blob("k"), NULL, 10, &upload, NULL), 0);
    assert_int_equal(object->upload_write(kit.engine.self, upload, large, 11, NULL), -EINVAL);
    object->upload_cancel(kit.engine.self, upload);
    assert_int_equal(
        object->upload(kit.engine.self, "ws", "private", text_blob("k"), NULL, OBJECT_SIZE_MAX + 1, &upload, NULL),
        -E2BIG);
    assert_int_equal(object->upload(kit.engine.self, "ws", "private", text_blob(""), NULL, 1, &upload, NULL), -EINVAL);
}

static void test_list(void **state) {
    (void)state;
    put("a/1", "1", 1);
    put("a/2", large, LARGE);
    put("a/3", "333", 3);
    put("b", "", 0);
    struct kit_wait wait = KIT_WAIT, wait2 = KIT_WAIT;
    struct object_list page = {.call = kit_call(&wait), .bucket = "private", .prefix = text_blob("a/"), .limit = 2};
    kit.engine.object->list(kit.engine.self, &page);
    assert_int_equal(kit_end(&wait, &page.call), 0);
    assert_int_equal(page.ret_count, 2);
    assert_true(page.ret_more);
    assert_string_equal(page.ret[1].key, "a/2");
    assert_int_equal(page.ret[1].size, LARGE);
    engine_call_release(&page.call);
    struct object_list rest = {
        .call = kit_call(&wait2), .bucket = "private", .prefix = text_blob("a/"), .after = text_blob("a/2")};
    kit.engine.object->list(kit.engine.self, &rest);
    assert_int_equal(kit_end(&wait2, &rest.call), 0);
    assert_int_equal(rest.ret_count, 1);
    assert_false(rest.ret_more);
    assert_string_equal(rest.ret[0].key, "a/3");
    engine_call_release(&rest.call);
}

static void test_counts_and_quota(void **state) {
    (void)state;
    put("k", large, LARGE);
    put("k", "12345", 5);
    put("l", "1", 1);
    struct workspace_usage usage;
    assert_int_equal(kit.engine.usage(kit.engine.self, "ws", &usage, NULL), 0);
    assert_int_equal(usage.objects, 2);
    assert_int_equal(usage.object_bytes, 6);
    struct quota quota = {.bytes = 10};
    assert_int_equal(kit.engine.set_quota(kit.engine.self, "ws", &quota, NULL), 0);
    assert_int_equal(kit_object(&kit, "private", "m", large, LARGE, any), -EDQUOT);
    assert_int_equal(kit_object(&kit, "private", "k", "123456789", 9, any), 0);
    expect("m", NULL, 0);
}

static void test_buckets_and_workspaces_are_apart(void **state) {
    (void)state;
    put("k", "private", 7);
    assert_int_equal(kit_object(&kit, "public", "k", "public", 6, any), 0);
    expect("k", "private", 7);
    struct kit_wait wait = KIT_WAIT;
    struct object_get other = {.call = kit_call(&wait), .bucket = "private", .key = text_blob("k")};
    other.call.workspace = "other";
    kit.engine.object->get(kit.engine.self, &other);
    assert_int_equal(kit_end(&wait, &other.call), -ENOENT);
}

static void test_reopened(void **state) {
    (void)state;
    put("small", "1", 1);
    put("large", large, LARGE);
    kit_close(&kit);
    kit_open(&kit);
    expect("small", "1", 1);
    expect("large", large, LARGE);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_put_get_remove),
        T(test_what_is_told),
        T(test_conditions),
        T(test_readers_keep_what_they_opened),
        T(test_uploads_are_whole_or_nothing),
        T(test_list),
        T(test_counts_and_quota),
        T(test_buckets_and_workspaces_are_apart),
        T(test_reopened),
    };
    return cmocka_run_group_tests_name("an engine's objects", tests, NULL, NULL);
}
