// SPDX-License-Identifier: Apache-2.0
// Replays the corpora of the store's inputs, and of each file every cut and a few changes of every byte.
#undef NDEBUG
#include "tests/fuzz/store_input.h"

#include <dirent.h>
#include <stdio.h>

#include "tests/support/cm.h"

#define FILE_MAX 4096

static void mutate(void (*one)(const uint8_t *, size_t), const uint8_t *data, size_t size) {
    static const uint8_t changes[] = {0x01, 0x80, 0xFF, 0x07};
    uint8_t copy[FILE_MAX];
    one(data, size);
    for (size_t i = 0; i < size; i++) {
        one(data, i);
        for (size_t c = 0; c < ARRAY_SIZE(changes); c++) {
            memcpy(copy, data, size);
            copy[i] ^= changes[c];
            one(copy, size);
        }
    }
}

static void replay(const char *folder, void (*one)(const uint8_t *, size_t)) {
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    size_t count = 0;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        char path[512];
        uint8_t data[FILE_MAX];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        size_t size = fread(data, 1, sizeof data, file);
        assert_int_equal(fclose(file), 0);
        mutate(one, data, size);
        count++;
    }
    assert_int_equal(closedir(dir), 0);
    assert_true(count > 0);
}

static void test_sigv4(void **state) {
    (void)state;
    replay("tests/fuzz/corpus/store_sigv4", fuzz_sigv4);
}
static void test_queue_body(void **state) {
    (void)state;
    replay("tests/fuzz/corpus/store_queue_body", fuzz_queue_body);
}
static void test_values(void **state) {
    (void)state;
    replay("tests/fuzz/corpus/store_values", fuzz_values);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sigv4),
        cmocka_unit_test(test_queue_body),
        cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
