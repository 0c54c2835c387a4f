// SPDX-License-Identifier: Apache-2.0
// Every allocation of a create fails once: the call says so, leaves nothing half-way, and the next one succeeds.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "tests/fakes/controller_fixture.h"

static int create(struct fixture *f, const char *name, struct err *err) {
    struct volume_info info = {0};
    int r = fixture_create(f, name, "subDir", "team/data", &info, err);
    if (r == 0)
        assert_int_equal(info.context_count, 4);
    volume_info_done(&info);
    return r;
}

static void every_allocation_of_create_may_fail(void **arg) {
    (void)arg;
    long n = 0, failed = 0;
    for (bool over = false; !over;) {
        struct fake_nfs_store *store = fake_nfs_store_new();
        struct fixture f;
        struct err err = ERR_NONE;
        fixture_start(&f, store, NULL);
        share_free(fixture_share(&f)); // the fake's own allocations at opening are not the controller's
        (void)mem_fail_nth(++n);
        int r = create(&f, "v", &err);
        over = mem_fail_nth(0) < n;
        failed += r != 0;
        if (r != 0 && err.code != r)
            fail_msg("allocation %ld: code %d, message of %d", n, r, err.code);
        if (r != 0)
            assert_true(strlen(err_text(&err)) > 0);
        if (over)
            assert_int_equal(r, 0);
        assert_int_equal(create(&f, "v", &err), 0);
        assert_int_equal(fixture_entries(&f, ".stowage/volumes"), 1);
        assert_true(fixture_exists(&f, "team/data"));
        fixture_stop(&f);
        store = fake_nfs_store_free(store);
        assert_in_range(n, 1, 1000);
    }
    print_message("%ld allocations, %ld of them made create fail\n", n - 1, failed);
    assert_in_range(failed, 10, 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_of_create_may_fail)};
    log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_AUTO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
