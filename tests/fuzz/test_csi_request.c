// SPDX-License-Identifier: Apache-2.0
// Replays the corpus of CSI requests, and of each file every cut and a few changes of every byte.
#undef NDEBUG
#include "tests/fuzz/csi_request.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CORPUS "tests/fuzz/corpus/csi_request"
#define FILE_MAX 4096

static void mutate(const uint8_t *data, size_t size) {
    static const uint8_t changes[] = {0x01, 0x80, 0xFF, 0x07};
    uint8_t copy[FILE_MAX];
    for (size_t i = 0; i < size; i++) {
        fuzz_one(data, i);
        for (size_t c = 0; c < ARRAY_SIZE(changes); c++) {
            memcpy(copy, data, size);
            copy[i] ^= changes[c];
            fuzz_one(copy, size);
        }
    }
}

static void test_corpus(void **state) {
    (void)state;
    DIR *dir = opendir(CORPUS);
    assert_non_null(dir);
    size_t count = 0;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        char path[512];
        uint8_t data[FILE_MAX];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, CORPUS "/%s", entry->d_name);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        size_t size = fread(data, 1, sizeof data, file);
        (void)fclose(file);
        fuzz_one(data, size);
        mutate(data, size);
        count++;
    }
    (void)closedir(dir);
    assert_true(count >= 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_corpus)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
