// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cm.h"

#include <errno.h>

#include "lib/base/str.h"
#include "node-plugin/steps.h"

struct work {
    struct str log;
    int fail_at, at;
};

static int act(void *arg, struct err *err) {
    struct work *work = arg;
    work->at++;
    (void)str_printf(&work->log, "do%d ", work->at);
    return work->at == work->fail_at ? err_set(err, -EIO, "step %d", work->at) : 0;
}
static void undo_a(void *arg) {
    (void)str_append(&((struct work *)arg)->log, "undoA ");
}
static void undo_c(void *arg) {
    (void)str_append(&((struct work *)arg)->log, "undoC ");
}
static const struct step steps[] = {{"a", act, undo_a}, {"b", act, NULL}, {"c", act, undo_c}};

static void check(int fail_at, int expected, const char *log) {
    struct work work = {.fail_at = fail_at};
    struct err err = ERR_NONE;
    assert_int_equal(steps_run(steps, 3, &work, &err), expected);
    assert_string_equal(str_text(&work.log), log);
    str_done(&work.log);
}

static void steps_run_in_order_and_are_undone_in_reverse(void **state) {
    (void)state;
    check(0, 0, "do1 do2 do3 ");
    check(3, -EIO, "do1 do2 do3 undoC undoA ");
    check(2, -EIO, "do1 do2 undoA ");
    check(1, -EIO, "do1 undoA ");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(steps_run_in_order_and_are_undone_in_reverse)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
