// SPDX-License-Identifier: Apache-2.0
// What every engine keeps of keys and values.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cm.h"
#include "tests/support/engine_kit.h"

static struct kit kit;

static int setup(void **state) {
    (void)state;
    kit_start(&kit);
    return kit_ns(&kit, "n");
}

static int teardown(void **state) {
    (void)state;
    kit_stop(&kit);
    return 0;
}

static void expect(const char *key, const char *value) {
    char *got cleanup_free = kit_get(&kit, "n", key);
    if (!value)
        assert_null(got);
    else
        assert_non_null(got);
    if (value)
        assert_string_equal(got, value);
}

static struct kv_namespace describe(void) {
    struct kit_wait wait = KIT_WAIT;
    struct kv_namespaces call = {.call = kit_call(&wait), .name = "n"};
    kit.engine.kv->describe(kit.engine.self, &call);
    assert_int_equal(kit_end(&wait, &call.call), 0);
    struct kv_namespace ns = call.ret[0];
    engine_call_release(&call.call);
    return ns;
}

static void test_put_get_remove(void **state) {
    (void)state;
    assert_int_equal(kit_put(&kit, "n", "a", "1"), 0);
    expect("a", "1");
    assert_int_equal(kit_put(&kit, "n", "a", ""), 0);
    expect("a", "");
    assert_int_equal(kit_remove(&kit, "n", "a"), 0);
    expect("a", NULL);
    assert_int_equal(kit_remove(&kit, "n", "a"), 0); // what is not there
    assert_int_equal(kit_put(&kit, "missing", "a", "1"), -ENOENT);
    assert_int_equal(kit_put(&kit, "n", "", "1"), -EINVAL);
}

static void test_limits(void **state) {
    (void)state;
    char *key cleanup_free = malloc(KV_KEY_MAX + 2), *value cleanup_free = malloc(KV_VALUE_MAX + 2);
    memset(key, 'k', KV_KEY_MAX + 1);
    memset(value, 'v', KV_VALUE_MAX + 1);
    key[KV_KEY_MAX + 1] = value[KV_VALUE_MAX + 1] = '\0';
    assert_int_equal(kit_put(&kit, "n", key, "1"), -E2BIG);
    assert_int_equal(kit_put(&kit, "n", "k", value), -E2BIG);
    key[KV_KEY_MAX] = value[KV_VALUE_MAX] = '\0';
    assert_int_equal(kit_put(&kit, "n", key, value), 0);
    expect(key, value);
    assert_int_equal(describe().bytes, KV_KEY_MAX + KV_VALUE_MAX);
}

static void test_counts_and_versions(void **state) {
    (void)state;
    int64_t v1, v2;
    assert_int_equal(kit_put_if(&kit, "n", "key", "12345", -1, 0, &v1), 0);
    assert_int_equal(kit_put_if(&kit, "n", "key", "1", -1, 0, &v2), 0);
    assert_true(v2 > v1 && v1 > 0);
    struct kv_namespace ns = describe();
    assert_int_equal(ns.keys, 1);
    assert_int_equal(ns.bytes, 4);
    assert_int_equal(ns.version, v2);
    assert_int_equal(kit_remove(&kit, "n", "key"), 0);
    ns = describe();
    assert_int_equal(ns.keys, 0);
    assert_int_equal(ns.bytes, 0);
    assert_true(ns.version > v2);
}

static void test_conditions(void **state) {
    (void)state;
    int64_t v;
    assert_int_equal(kit_put_if(&kit, "n", "a", "1", 7, 0, NULL), -ESTALE);
    assert_int_equal(kit_put_if(&kit, "n", "a", "1", 0, 0, &v), 0);
    assert_int_equal(kit_put_if(&kit, "n", "a", "2", 0, 0, NULL), -ESTALE);
    assert_int_equal(kit_put_if(&kit, "n", "a", "2", v + 1, 0, NULL), -ESTALE);
    expect("a", "1");
    assert_int_equal(kit_put_if(&kit, "n", "a", "2", v, 0, NULL), 0);
    expect("a", "2");
    assert_int_equal(kit_put_if(&kit, "n", "a", NULL, v, 0, NULL), -ESTALE); // remove
    expect("a", "2");
}

static void test_many_at_once(void **state) {
    (void)state;
    assert_int_equal(kit_put(&kit, "n", "old", "1"), 0);
    struct kv_change changes[] = {
        {.action = KV_PUT, .key = text_blob("x"), .value = text_blob("1"), .if_version = -1},
        {.action = KV_REMOVE, .key = text_blob("old"), .if_version = -1},
        {.action = KV_CHECK, .key = text_blob("guard"), .if_version = 9},
    };
    struct kit_wait wait = KIT_WAIT;
    struct kv_write call = {.call = kit_call(&wait), .ns = "n", .changes = changes, .count = 3};
    kit.engine.kv->write(kit.engine.self, &call);
    assert_int_equal(kit_end(&wait, &call.call), -ESTALE);
    expect("x", NULL);
    expect("old", "1");
    changes[2].if_version = 0;
    wait.count = 0;
    call.call = kit_call(&wait);
    kit.engine.kv->write(kit.engine.self, &call);
    assert_int_equal(kit_end(&wait, &call.call), 0);
    expect("x", "1");
    expect("old", NULL);
    assert_int_equal(describe().keys, 1);
}

static size_t list(const char *prefix, const char *after, size_t limit, char *ret_last, bool *ret_more) {
    struct kit_wait wait = KIT_WAIT;
    struct kv_list call = {
        .call = kit_call(&wait), .ns = "n", .prefix = text_blob(prefix), .after = text_blob(after), .limit = limit};
    kit.engine.kv->list(kit.engine.self, &call);
    assert_int_equal(kit_end(&wait, &call.call), 0);
    for (size_t i = 1; i < call.ret_count; i++)
        assert_true(strcmp(call.ret[i - 1].key, call.ret[i].key) < 0);
    if (call.ret_count > 0)
        (void)snprintf(ret_last, 64, "%s", call.ret[call.ret_count - 1].key);
    *ret_more = call.ret_more;
    size_t count = call.ret_count;
    engine_call_release(&call.call);
    return count;
}

static void test_pages(void **state) {
    (void)state;
    for (int i = 0; i < 10; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(kit_put(&kit, "n", key, "v"), 0);
    }
    assert_int_equal(kit_put(&kit, "n", "a", "v"), 0);
    assert_int_equal(kit_put(&kit, "n", "l", "v"), 0);
    char last[64];
    bool more;
    assert_int_equal(list("", "", 0, last, &more), 12);
    assert_false(more);
    assert_int_equal(list("k", "", 5, last, &more), 5);
    assert_true(more);
    assert_string_equal(last, "k4");
    assert_int_equal(list("k", last, 5, last, &more), 5);
    assert_false(more);
    assert_string_equal(last, "k9");
    assert_int_equal(list("k", last, 5, last, &more), 0);
    assert_int_equal(list("zzz", "", 5, last, &more), 0);
}

static void test_keys_are_bytes(void **state) {
    (void)state;
    static const char odd[] = {'a', '\0', '\xff', '/', '.', '.'};
    struct kit_wait wait = KIT_WAIT;
    struct kv_change change = {.key = {odd, sizeof odd}, .value = {odd, sizeof odd}, .if_version = -1};
    struct kv_write call = {.call = kit_call(&wait), .ns = "n", .changes = &change, .count = 1};
    kit.engine.kv->write(kit.engine.self, &call);
    assert_int_equal(kit_end(&wait, &call.call), 0);
    struct kit_wait wait2 = KIT_WAIT;
    struct kv_get get = {.call = kit_call(&wait2), .ns = "n", .key = {odd, sizeof odd}};
    kit.engine.kv->get(kit.engine.self, &get);
    assert_int_equal(kit_end(&wait2, &get.call), 0);
    assert_int_equal(get.ret_len, sizeof odd);
    assert_memory_equal(get.ret_data, odd, sizeof odd);
    engine_call_release(&get.call);
    expect("a", NULL);
}

static void test_time_to_live(void **state) {
    (void)state;
    assert_int_equal(kit_put_if(&kit, "n", "t", "1", -1, 1000, NULL), 0);
    assert_int_equal(kit_put(&kit, "n", "stays", "1"), 0);
    kit_pass(&kit, 999);
    expect("t", "1");
    kit_pass(&kit, 1);
    expect("t", NULL);
    char last[64];
    bool more;
    assert_int_equal(list("", "", 0, last, &more), 1);
    assert_int_equal(describe().keys, 1);
    assert_int_equal(describe().bytes, 6);
    assert_int_equal(kit_put_if(&kit, "n", "t", "2", 0, 0, NULL), 0); // as new
    expect("t", "2");
    assert_int_equal(describe().keys, 2);
}

static void test_namespaces_and_workspaces(void **state) {
    (void)state;
    struct kit_wait wait = KIT_WAIT;
    struct kv_namespaces again = {.call = kit_call(&wait), .name = "n"};
    kit.engine.kv->create(kit.engine.self, &again);
    assert_int_equal(kit_end(&wait, &again.call), 0);
    assert_false(again.ret_created);
    assert_int_equal(kit_put(&kit, "n", "a", "1"), 0);
    struct kit_wait wait2 = KIT_WAIT;
    struct kv_get other = {.call = kit_call(&wait2), .ns = "n", .key = text_blob("a")};
    other.call.workspace = "other";
    kit.engine.kv->get(kit.engine.self, &other);
    assert_int_equal(kit_end(&wait2, &other.call), -ENOENT);
    struct kit_wait wait3 = KIT_WAIT;
    struct kv_namespaces removal = {.call = kit_call(&wait3), .name = "n"};
    kit.engine.kv->remove(kit.engine.self, &removal);
    assert_int_equal(kit_end(&wait3, &removal.call), 0);
    expect("a", NULL);
    assert_int_equal(kit_ns(&kit, "n"), 0);
    expect("a", NULL); // a namespace of the same name is another one
    struct workspace_usage usage;
    assert_int_equal(kit.engine.usage(kit.engine.self, "ws", &usage, NULL), 0);
    assert_int_equal(usage.namespaces, 1);
    assert_int_equal(usage.kv_bytes, 0);
}

static void test_quota(void **state) {
    (void)state;
    struct quota quota = {.namespaces = 1, .bytes = 10};
    assert_int_equal(kit.engine.set_quota(kit.engine.self, "ws", &quota, NULL), 0);
    assert_int_equal(kit_ns(&kit, "second"), -EDQUOT);
    assert_int_equal(kit_put(&kit, "n", "12345", "12345"), 0);
    assert_int_equal(kit_put(&kit, "n", "x", ""), -EDQUOT);
    assert_int_equal(kit_put(&kit, "n", "12345", "1"), 0); // less is always allowed
    assert_int_equal(kit_put(&kit, "n", "x", ""), 0);
    quota = (struct quota){0};
    assert_int_equal(kit.engine.set_quota(kit.engine.self, "ws", &quota, NULL), 0);
    assert_int_equal(kit_ns(&kit, "second"), 0);
}

static void long_key(char *key, size_t number) {
    key[0] = (char)('0' + number / 50);
    key[1] = (char)('0' + number % 50);
}

static void test_pages_end_at_their_bytes(void **state) {
    (void)state;
    const size_t fit = PAGE_BYTES_MAX / KV_KEY_MAX;
    char key[KV_KEY_MAX + 1], last[64];
    bool more;
    memset(key, 'k', KV_KEY_MAX);
    key[KV_KEY_MAX] = '\0';
    for (size_t i = 0; i < fit + 2; i++) {
        long_key(key, i);
        assert_int_equal(kit_put(&kit, "n", key, ""), 0);
    }
    assert_int_equal(list("", "", 0, last, &more), fit);
    assert_true(more);
    long_key(key, fit - 1);
    assert_int_equal(list("", key, 0, last, &more), 2);
    assert_false(more);
}

static void test_reopened(void **state) {
    (void)state;
    int64_t version;
    assert_int_equal(kit_put_if(&kit, "n", "a", "1", -1, 0, &version), 0);
    assert_int_equal(kit_put_if(&kit, "n", "t", "1", -1, 500, NULL), 0);
    kit_close(&kit);
    atomic_fetch_add(&kit.wall_ns, 600 * NS_PER_MS);
    kit_open(&kit);
    expect("a", "1");
    expect("t", NULL);
    assert_int_equal(describe().keys, 1);
    int64_t next;
    assert_int_equal(kit_put_if(&kit, "n", "a", "2", version, 0, &next), 0);
    assert_true(next > version + 1);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_put_get_remove),
        T(test_limits),
        T(test_counts_and_versions),
        T(test_conditions),
        T(test_many_at_once),
        T(test_pages),
        T(test_keys_are_bytes),
        T(test_time_to_live),
        T(test_namespaces_and_workspaces),
        T(test_quota),
        T(test_pages_end_at_their_bytes),
        T(test_reopened),
    };
    return cmocka_run_group_tests_name("an engine's keys and values", tests, NULL, NULL);
}
