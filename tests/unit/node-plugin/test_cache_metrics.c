// SPDX-License-Identifier: Apache-2.0
// What /metrics says of a cache, and of one that is not there.
#include "tests/support/cm.h"

#include <string.h>
#include <unistd.h>

#include "lib/base/metrics.h"
#include "node-plugin/cache_metrics.h"
#include "tests/support/cache_kit.h"

static char *scrape(void) {
    struct str out = {0};
    assert_int_equal(metrics_render(&out), 0);
    return str_take(&out);
}

static void figures_of_each_volume(void **state) {
    (void)state;
    struct cache_kit kit;
    struct cached *object = NULL;
    cache_kit_start(&kit, false);
    cache_metrics_register(kit.dir);
    {
        char *text cleanup_free = scrape(); // no volume was mounted yet, which is no fault
        assert_non_null(strstr(text, "\nstowage_cache_up 1\n"));
        assert_null(strstr(text, "\nstowage_cache_disk_free_bytes "));
    }
    struct cache *cache = cache_kit_open(&kit, "vol-\"1\"", 1 << 30);
    assert_int_equal(cache_kit_get(cache, "file", CACHE_BLOCK, 1, true, &object), 0);
    assert_int_equal(cache_kit_store(object, "file", 1, 0, CACHE_BLOCK), 0);
    cache_count_open(cache, object, true);
    cache_count_bytes(cache, 3, 5);
    cache_metrics_register(kit.dir);
    char *text cleanup_free = scrape();
    static const char *const lines[] = {
        "# TYPE stowage_cache_bytes gauge\nstowage_cache_bytes{volume=\"vol-\\\"1\\\"\"} 131072\n",
        "\nstowage_cache_objects{volume=\"vol-\\\"1\\\"\"} 1\n",
        "\nstowage_cache_limit_bytes{volume=\"vol-\\\"1\\\"\"} 1073741824\n",
        "# TYPE stowage_cache_opens_total counter\nstowage_cache_opens_total{volume=\"vol-\\\"1\\\"\"} 1\n",
        "\nstowage_cache_open_hits_total{volume=\"vol-\\\"1\\\"\"} 1\n",
        "\nstowage_cache_read_bytes_total{volume=\"vol-\\\"1\\\"\",from=\"cache\"} 3\n",
        "\nstowage_cache_read_bytes_total{volume=\"vol-\\\"1\\\"\",from=\"origin\"} 5\n",
        "\nstowage_cache_sick 0\n",
        "\nstowage_cache_up 1\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        if (!strstr(text, lines[i]))
            fail_msg("'%s' is not in\n%s", lines[i], text);
    assert_non_null(strstr(text, "\nstowage_cache_disk_free_bytes "));
    (void)cached_put(object);
    (void)cache_free(cache);
    cache_kit_stop(&kit);
}

static void a_cache_that_is_not_there(void **state) {
    (void)state;
    cache_metrics_register("/nonexistent/cache");
    char *text cleanup_free = scrape();
    assert_non_null(strstr(text, "\nstowage_cache_up 0\n"));
    assert_null(strstr(text, "\nstowage_cache_disk_free_bytes "));
    assert_null(strstr(text, "\nstowage_cache_bytes{"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cache_that_is_not_there),
        cmocka_unit_test(figures_of_each_volume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
