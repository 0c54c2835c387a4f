// SPDX-License-Identifier: Apache-2.0
// A file that is cut beneath its mapping faults as one on a disk that fails.
#include "tests/support/cm.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/cache/guard.h"

#define SIZE (3 * 4096)

static void a_lost_page_becomes_memory(void **state) {
    (void)state;
    char name[] = "/tmp/guard.XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(ftruncate(fd, SIZE), 0);
    char *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(at, MAP_FAILED);
    struct guard guard = {0};
    assert_int_equal(guard_add(&guard, at, SIZE), 0);
    memset(at, 'x', SIZE);
    assert_false(guard_failed(&guard));
    assert_int_equal(ftruncate(fd, 4096), 0);

    volatile char *second = at + 4096;
    assert_int_equal(second[5], 0); // SIGBUS would end the test
    assert_true(guard_failed(&guard));
    second[5] = 'y';
    assert_int_equal(second[5], 'y');
    assert_int_equal(at[0], 'x'); // still the file's

    guard_remove(&guard);
    guard_remove(&guard);
    assert_int_equal(munmap(at, SIZE), 0);
    (void)close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_lost_page_becomes_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
