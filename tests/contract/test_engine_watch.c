// SPDX-License-Identifier: Apache-2.0
// What every engine tells of changed keys.
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

static struct kv_namespace describe(void) {
    struct kit_wait wait = KIT_WAIT;
    struct kv_namespaces call = {.call = kit_call(&wait), .name = "n"};
    kit.engine.kv->describe(kit.engine.self, &call);
    assert_int_equal(kit_end(&wait, &call.call), 0);
    struct kv_namespace ns = call.ret[0];
    engine_call_release(&call.call);
    return ns;
}

// ---- watching ----

static struct kv_watch watch_of(struct kit_wait *wait, int64_t since, const char *prefix) {
    return (struct kv_watch){.call = kit_call(wait),
                             .ns = "n",
                             .prefix = text_blob(prefix),
                             .since = since,
                             .wait_until_ns = clock_monotonic(&kit.clock) + 5 * NS_PER_S};
}

static void test_watch(void **state) {
    (void)state;
    int64_t since = describe().version;
    assert_int_equal(kit_put(&kit, "n", "a", "1"), 0);
    assert_int_equal(kit_put(&kit, "n", "b", "1"), 0);
    assert_int_equal(kit_put(&kit, "n", "a", "2"), 0);
    assert_int_equal(kit_remove(&kit, "n", "b"), 0);
    struct kit_wait wait = KIT_WAIT;
    struct kv_watch watch = watch_of(&wait, since, "");
    kit.engine.kv->watch(kit.engine.self, &watch);
    assert_int_equal(kit_end(&wait, &watch.call), 0);
    assert_int_equal(watch.ret_count, 2); // the last change of each
    assert_string_equal(watch.ret[0].key, "a");
    assert_string_equal(watch.ret[0].value, "2");
    assert_string_equal(watch.ret[1].key, "b");
    assert_null(watch.ret[1].value);
    assert_int_equal(watch.ret_version, describe().version);
    engine_call_release(&watch.call);
}

static void test_watch_waits(void **state) {
    (void)state;
    struct kit_wait wait = KIT_WAIT;
    struct kv_watch watch = watch_of(&wait, describe().version, "p/");
    kit.engine.kv->watch(kit.engine.self, &watch);
    assert_int_equal(kit_put(&kit, "n", "other", "1"), 0);
    assert_false(kit_ended(&wait));
    assert_int_equal(kit_put(&kit, "n", "p/x", "1"), 0);
    assert_int_equal(kit_end(&wait, &watch.call), 0);
    assert_int_equal(watch.ret_count, 1);
    assert_string_equal(watch.ret[0].key, "p/x");
    engine_call_release(&watch.call);
    struct kit_wait wait2 = KIT_WAIT;
    watch = watch_of(&wait2, describe().version, "");
    kit.engine.kv->watch(kit.engine.self, &watch);
    kit_pass(&kit, 5000);
    assert_int_equal(kit_end(&wait2, &watch.call), 0);
    assert_int_equal(watch.ret_count, 0);
}

static void test_watch_sees_expiry(void **state) {
    (void)state;
    int64_t version;
    assert_int_equal(kit_put_if(&kit, "n", "t", "1", -1, 1000, &version), 0);
    struct kit_wait wait = KIT_WAIT;
    struct kv_watch watch = watch_of(&wait, version, "");
    kit.engine.kv->watch(kit.engine.self, &watch);
    kit_pass(&kit, 1000);
    assert_int_equal(kit_end(&wait, &watch.call), 0);
    assert_int_equal(watch.ret_count, 1);
    assert_string_equal(watch.ret[0].key, "t");
    assert_null(watch.ret[0].value);
    engine_call_release(&watch.call);
}

static void test_watch_too_old(void **state) {
    (void)state;
    for (int i = 0; i < 1100; i++)
        assert_int_equal(kit_put(&kit, "n", "a", "1"), 0);
    struct kit_wait wait = KIT_WAIT;
    struct kv_watch watch = watch_of(&wait, 1, "");
    kit.engine.kv->watch(kit.engine.self, &watch);
    assert_int_equal(kit_end(&wait, &watch.call), -ESTALE);
    kit_close(&kit);
    kit_open(&kit);
    struct kit_wait wait2 = KIT_WAIT;
    watch = watch_of(&wait2, describe().version, ""); // who is up to date goes on over a restart
    kit.engine.kv->watch(kit.engine.self, &watch);
    assert_int_equal(kit_put(&kit, "n", "b", "1"), 0);
    assert_int_equal(kit_end(&wait2, &watch.call), 0);
    assert_int_equal(watch.ret_count, 1);
    engine_call_release(&watch.call);
}

static void test_watches_end_at_their_bytes(void **state) {
    (void)state;
    const size_t count = PAGE_BYTES_MAX / KV_VALUE_MAX + 5;
    int64_t since = describe().version;
    char key[16];
    char *value cleanup_free = malloc(KV_VALUE_MAX + 1);
    assert_non_null(value);
    memset(value, 'v', KV_VALUE_MAX);
    value[KV_VALUE_MAX] = '\0';
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(key, sizeof key, "%zu", i);
        assert_int_equal(kit_put(&kit, "n", key, value), 0);
    }
    size_t seen = 0;
    for (int calls = 0; calls < 2; calls++) {
        struct kit_wait wait = KIT_WAIT;
        struct kv_watch watch = watch_of(&wait, since, "");
        kit.engine.kv->watch(kit.engine.self, &watch);
        assert_int_equal(kit_end(&wait, &watch.call), 0);
        size_t bytes = 0;
        for (size_t i = 0; i < watch.ret_count; i++) {
            (void)snprintf(key, sizeof key, "%zu", seen++);
            assert_string_equal(watch.ret[i].key, key);
            bytes += watch.ret[i].key_len + watch.ret[i].value_len;
        }
        assert_true(bytes <= PAGE_BYTES_MAX);
        since = watch.ret_version;
        engine_call_release(&watch.call);
    }
    assert_int_equal(seen, count); // none is left out
    assert_int_equal(since, describe().version);
}

static void test_removal_and_draining_end_a_watch(void **state) {
    (void)state;
    struct kit_wait wait = KIT_WAIT, wait2 = KIT_WAIT, wait3 = KIT_WAIT;
    struct kv_watch watch = watch_of(&wait, describe().version, "");
    kit.engine.kv->watch(kit.engine.self, &watch);
    struct kv_namespaces removal = {.call = kit_call(&wait2), .name = "n"};
    kit.engine.kv->remove(kit.engine.self, &removal);
    assert_int_equal(kit_end(&wait, &watch.call), -ENOENT);
    assert_int_equal(kit_end(&wait2, &removal.call), 0);
    assert_int_equal(kit_ns(&kit, "n"), 0);
    watch = watch_of(&wait3, 0, "");
    kit.engine.kv->watch(kit.engine.self, &watch);
    kit.engine.drain(kit.engine.self);
    assert_int_equal(kit_end(&wait3, &watch.call), 0);
    assert_int_equal(watch.ret_count, 0);
    assert_true(watch.ret_drained);
}

static int64_t put_both(const char *value) { // in one write
    struct kit_wait wait = KIT_WAIT;
    struct kv_change changes[2] = {
        {.action = KV_PUT, .key = text_blob("a"), .value = text_blob(value), .if_version = -1},
        {.action = KV_PUT, .key = text_blob("b"), .value = text_blob(value), .if_version = -1},
    };
    struct kv_write write = {.call = kit_call(&wait), .ns = "n", .changes = changes, .count = 2};
    kit.engine.kv->write(kit.engine.self, &write);
    assert_int_equal(kit_end(&wait, &write.call), 0);
    return changes[1].ret_version;
}

static struct kv_watch watched(int64_t since, size_t limit, int64_t until, int64_t incarnation, int code) {
    struct kit_wait wait = KIT_WAIT;
    struct kv_watch watch = watch_of(&wait, since, "");
    watch.limit = limit;
    watch.until = until;
    watch.incarnation = incarnation;
    watch.wait_until_ns = 0;
    kit.engine.kv->watch(kit.engine.self, &watch);
    assert_int_equal(kit_end(&wait, &watch.call), code);
    return watch;
}

static void test_it_is_told_when_no_write_is_half_told(void **state) {
    (void)state;
    int64_t since = describe().version;
    int64_t version = put_both("1");
    struct kv_watch watch = watched(since, 1, 0, 0, 0);
    assert_int_equal(watch.ret_count, 1);
    assert_false(watch.ret_settled); // one of both
    since = watch.ret_version;
    engine_call_release(&watch.call);
    watch = watched(since, 1, 0, 0, 0);
    assert_true(watch.ret_settled);
    assert_int_equal(watch.ret_version, version);
    engine_call_release(&watch.call);
    watch = watched(version, 1, 0, 0, 0); // nothing new is as good
    assert_int_equal(watch.ret_count, 0);
    assert_true(watch.ret_settled);
    watch = watched(version, 1, version + 1, 0, 0); // what was read elsewhere is newer
    assert_false(watch.ret_settled);
    (void)put_both("2");
    watch = watched(version, 10, version + 1, 0, 0);
    assert_true(watch.ret_settled);
    engine_call_release(&watch.call);
}

static void test_a_namespace_made_anew_is_another_one(void **state) {
    (void)state;
    int64_t version = put_both("1");
    struct kv_watch watch = watched(version, 10, 0, 0, 0);
    int64_t incarnation = watch.ret_incarnation;
    watch = watched(version, 10, 0, incarnation, 0);
    struct kit_wait wait = KIT_WAIT;
    struct kv_namespaces removal = {.call = kit_call(&wait), .name = "n"};
    kit.engine.kv->remove(kit.engine.self, &removal);
    assert_int_equal(kit_end(&wait, &removal.call), 0);
    assert_int_equal(kit_ns(&kit, "n"), 0);
    assert_int_equal(put_both("2"), version); // it looks the same
    watch = watched(version, 10, 0, incarnation, -ESTALE);
    watch = watched(version, 10, 0, 0, 0);
    assert_int_not_equal(watch.ret_incarnation, incarnation);
}

static void test_a_list_with_values_tells_where_to_go_on(void **state) {
    (void)state;
    int64_t version = put_both("value");
    struct kit_wait wait = KIT_WAIT;
    struct kv_list list = {.call = kit_call(&wait), .ns = "n", .limit = 1, .values = true};
    kit.engine.kv->list(kit.engine.self, &list);
    assert_int_equal(kit_end(&wait, &list.call), 0);
    assert_int_equal(list.ret_count, 1);
    assert_true(list.ret_more);
    assert_int_equal(list.ret[0].value_len, 5);
    assert_memory_equal(list.ret[0].value, "value", 5);
    assert_int_equal(list.ret_since, version);
    assert_int_equal(list.ret_until, version);
    assert_true(list.ret_incarnation > 0);
    engine_call_release(&list.call);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_watch),
        T(test_watch_waits),
        T(test_it_is_told_when_no_write_is_half_told),
        T(test_a_namespace_made_anew_is_another_one),
        T(test_a_list_with_values_tells_where_to_go_on),
        T(test_watch_sees_expiry),
        T(test_watch_too_old),
        T(test_watches_end_at_their_bytes),
        T(test_removal_and_draining_end_a_watch),
    };
    return cmocka_run_group_tests_name("an engine's watches", tests, NULL, NULL);
}
