// SPDX-License-Identifier: Apache-2.0
// Blocks of a memory file that a successor claims by name: what is claimed is never given to anybody else.
#include "tests/support/cm.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node-plugin/cachefs/spool.h"

static struct spool spool;
static int fd;

static int set_up(void **state) {
    (void)state;
    fd = memfd_create("test", MFD_CLOEXEC);
    return spool_open(&spool, fd);
}

static int tear_down(void **state) {
    (void)state;
    spool_done(&spool);
    return close(fd);
}

static uint64_t bytes_of_file(void) {
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

static void blocks_do_not_overlap(void **state) {
    (void)state;
    uint8_t *a = spool_take(&spool, 1), *b = spool_take(&spool, SPOOL_GRANULE * 3), *c = spool_take(&spool, 20000);
    assert_true(b >= a + SPOOL_GRANULE && c >= b + 3 * SPOOL_GRANULE);
    spool_give(&spool, b, SPOOL_GRANULE * 3);
    assert_ptr_equal(spool_take(&spool, SPOOL_GRANULE * 2), b); // the lowest that fits
    assert_int_equal(spool.used, 1 + 2 + 2);
}

static void full_spool_says_so(void **state) {
    (void)state;
    void *all = spool_take(&spool, SPOOL_BYTES);
    assert_non_null(all);
    assert_null(spool_take(&spool, 1));
    spool_give(&spool, all, SPOOL_BYTES);
    assert_null(spool_take(&spool, SPOOL_BYTES + 1));
    assert_null(spool_take(&spool, 0));
    assert_non_null(spool_take(&spool, 1));
}

static void successor_finds_the_bytes(void **state) {
    (void)state;
    struct spool next;
    size_t bytes;
    (void)spool_take(&spool, SPOOL_GRANULE);
    char *block = spool_take(&spool, 50000);
    memcpy(block, "kept", 5);
    uint64_t name = spool_name(&spool, block, 50000);
    assert_int_equal(spool_open(&next, fd), 0);
    char *found = spool_claim(&next, name, &bytes);
    assert_string_equal(found, "kept");
    assert_int_equal(bytes, 4 * SPOOL_GRANULE);
    assert_null(spool_claim(&next, name, &bytes)); // two records of one block: one of them is not true
    assert_null(spool_claim(&next, 0, &bytes));
    assert_null(spool_claim(&next, (uint64_t)SPOOL_GRANULES << 32 | 1, &bytes));
    assert_null(spool_claim(&next, (uint64_t)1 << 32 | UINT32_MAX, &bytes));
    spool_trim(&next); // memory of what nobody claimed goes, of what was claimed stays
    assert_string_equal(found, "kept");
    assert_int_equal(bytes_of_file(), 4096);
    spool_done(&next);
}

static void memory_is_given_back(void **state) {
    (void)state;
    uint8_t *a = spool_take(&spool, SPOOL_GRANULE), *b = spool_take(&spool, SPOOL_GRANULE);
    memset(a, 1, SPOOL_GRANULE);
    memset(b, 2, SPOOL_GRANULE);
    spool_give(&spool, a, SPOOL_GRANULE);
    assert_int_equal(bytes_of_file(), 2 * SPOOL_GRANULE);
    spool_trim(&spool);
    assert_int_equal(bytes_of_file(), SPOOL_GRANULE);
    assert_int_equal(b[0], 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(blocks_do_not_overlap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(full_spool_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(successor_finds_the_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_is_given_back, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
