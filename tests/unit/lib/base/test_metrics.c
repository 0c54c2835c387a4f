// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cm.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/metrics.h"

static void shows(const char *line) {
    struct str out cleanup_str = {0};
    assert_int_equal(metrics_render(&out), 0);
    if (!strstr(str_text(&out), line))
        fail_msg("no '%s' in:\n%s", line, str_text(&out));
}

static void counts_by_label(void **state) {
    (void)state;
    static struct metric m = {METRIC_COUNTER, "t_total", "Things.", {"kind", "code"}};
    metric_register(&m);
    metric_register(&m);
    metric_add(&m, "a\"\\\n", "OK", 2);
    metric_add(&m, "a\"\\\n", "OK", 3);
    shows("# HELP t_total Things.\n# TYPE t_total counter\nt_total{kind=\"a\\\"\\\\\\n\",code=\"OK\"} 5\n");
}

static void histogram_is_cumulative(void **state) {
    (void)state;
    static struct metric m = {METRIC_HISTOGRAM, "t_seconds", "Time.", {"method"}};
    metric_register(&m);
    metric_observe_seconds(&m, "x", NULL, 0.002);
    metric_observe_seconds(&m, "x", NULL, 100);
    shows("t_seconds_bucket{method=\"x\",le=\"0.001\"} 0\n");
    shows("t_seconds_bucket{method=\"x\",le=\"0.0025\"} 1\n");
    shows("t_seconds_bucket{method=\"x\",le=\"60\"} 1\n");
    shows("t_seconds_bucket{method=\"x\",le=\"+Inf\"} 2\n");
    shows("t_seconds_sum{method=\"x\"} 100.002\nt_seconds_count{method=\"x\"} 2\n");
}

static void too_many_labels_become_other(void **state) {
    (void)state;
    static struct metric m = {METRIC_COUNTER, "t_many", "Many.", {"id"}};
    metric_register(&m);
    for (int i = 0; i < 1000; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "%d", i);
        metric_add(&m, id, NULL, 1);
    }
    shows("t_many{id=\"255\"} 1\nt_many{id=\"other\"} 744\n");
}

static double seven(void *arg) {
    (void)arg;
    return 7;
}

static void gauge_may_be_computed(void **state) {
    (void)state;
    static struct metric m = {METRIC_GAUGE, "t_gauge", "Seven.", {NULL}, seven};
    metric_register(&m);
    shows("\nt_gauge 7\n");
    shows("\nprocess_resident_memory_bytes ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_by_label),
        cmocka_unit_test(histogram_is_cumulative),
        cmocka_unit_test(too_many_labels_become_other),
        cmocka_unit_test(gauge_may_be_computed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
