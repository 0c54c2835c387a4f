// SPDX-License-Identifier: Apache-2.0
// The cluster hears of a cache's disk once when it fails, once when it works again, and later when it could not be told.
#include "tests/fakes/fake_kube.h"
#include "tests/support/cm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node-plugin/cache_watch.h"

#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NODE TEXTS("{\"metadata\":{\"name\":\"n1\",\"uid\":\"u-1\"}}")

static struct {
    char top[32], dir[64];
    struct fake_kube *fake;
    struct cache_watch *watch;
} kit;

static void start(const struct fake_answer *answers, size_t count) {
    (void)snprintf(kit.top, sizeof kit.top, "/tmp/cache-watch.XXXXXX");
    assert_non_null(mkdtemp(kit.top));
    (void)snprintf(kit.dir, sizeof kit.dir, "%s/cache", kit.top);
    const struct cache_watch_options options = {
        .dir = kit.dir, .node_id = "n1", .kube = fake_kube_new(answers, count, &kit.fake), .clock = &fake_kube_clock};
    assert_int_equal(cache_watch_new(&options, &kit.watch, NULL), 0);
}
static void disk(bool there) {
    assert_int_equal(there ? mkdir(kit.dir, 0700) : rmdir(kit.dir), 0);
}
static int tear_down(void **state) {
    (void)state;
    kit.watch = cache_watch_free(kit.watch);
    (void)rmdir(kit.dir);
    return rmdir(kit.top);
}

static void failure_and_recovery_are_told_once_each(void **state) {
    (void)state;
    const struct fake_answer answers[] = {
        {"GET /api/v1/nodes/n1", .chunks = NODE},
        {"POST /api/v1/namespaces/default/events ", "\"reason\":\"CacheDiskFailed\"", .chunks = TEXTS("{}")},
        {"GET /api/v1/nodes/n1", .chunks = NODE},
        {"POST /api/v1/namespaces/default/events ", "\"reason\":\"CacheDiskRecovered\"", .chunks = TEXTS("{}")},
    };
    start(answers, ARRAY_SIZE(answers));
    disk(true);
    assert_false(cache_watch_look(kit.watch)); // nothing has been cached yet
    assert_int_equal(fake_kube_asked(kit.fake), 0);
    disk(false);
    assert_true(cache_watch_look(kit.watch));
    assert_non_null(strstr(fake_kube_last(kit.fake), kit.dir));
    assert_non_null(strstr(fake_kube_last(kit.fake), "\"kind\":\"Node\""));
    assert_non_null(strstr(fake_kube_last(kit.fake), "\"type\":\"Warning\""));
    assert_false(cache_watch_look(kit.watch));
    disk(true);
    assert_true(cache_watch_look(kit.watch));
    assert_non_null(strstr(fake_kube_last(kit.fake), "\"type\":\"Normal\""));
    assert_false(cache_watch_look(kit.watch));
    assert_int_equal(fake_kube_asked(kit.fake), ARRAY_SIZE(answers));
}

static void who_could_not_be_told_is_told_later(void **state) {
    (void)state;
    const struct fake_answer answers[] = {
        {"GET /api/v1/nodes/n1", .result = -EHOSTUNREACH},
        {"GET /api/v1/nodes/n1", .chunks = NODE},
        {"POST /api/v1/namespaces/default/events ", "CacheDiskFailed", .chunks = TEXTS("{}")},
    };
    start(answers, ARRAY_SIZE(answers));
    assert_false(cache_watch_look(kit.watch));
    assert_true(cache_watch_look(kit.watch));
    assert_int_equal(fake_kube_asked(kit.fake), ARRAY_SIZE(answers));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(failure_and_recovery_are_told_once_each, tear_down),
        cmocka_unit_test_teardown(who_could_not_be_told_is_told_later, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
