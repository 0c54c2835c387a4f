// SPDX-License-Identifier: Apache-2.0
// Replays the corpora of the HTTP parsers, and of each file every cut and a few changes of every byte.
#undef NDEBUG
#include "tests/fuzz/http_input.h"

#include <dirent.h>
#include <stdio.h>

#include "tests/support/cm.h"

#define FILE_MAX 4096

static void mutate(void (*one)(const uint8_t *, size_t), const uint8_t *data, size_t size) {
    static const uint8_t changes[] = {0x01, 0x80, 0xFF, 0x07, 0x0D, 0x20};
    uint8_t copy[FILE_MAX];
    for (size_t i = 0; i < size; i++) {
        one(data, i);
        for (size_t c = 0; c < sizeof changes; c++) {
            memcpy(copy, data, size);
            copy[i] ^= changes[c];
            one(copy, size);
        }
    }
}

static void replay(const char *name, void (*one)(const uint8_t *, size_t), size_t at_least) {
    char path[512];
    (void)snprintf(path, sizeof path, "tests/fuzz/corpus/http_%s", name);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    size_t count = 0;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        uint8_t data[FILE_MAX];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "tests/fuzz/corpus/http_%s/%s", name, entry->d_name);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        size_t size = fread(data, 1, sizeof data, file);
        (void)fclose(file);
        one(data, size);
        if (size <= 512)
            mutate(one, data, size);
        count++;
    }
    (void)closedir(dir);
    assert_true(count >= at_least);
}

static void replays_heads(void **state) {
    (void)state;
    replay("head", fuzz_head, 5);
}
static void replays_answers(void **state) {
    (void)state;
    replay("answer", fuzz_answer, 5);
}
static void replays_targets(void **state) {
    (void)state;
    replay("target", fuzz_target, 5);
}
static void replays_forms(void **state) {
    (void)state;
    replay("multipart", fuzz_multipart, 5);
}
static void replays_values(void **state) {
    (void)state;
    replay("values", fuzz_values, 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(replays_heads), cmocka_unit_test(replays_answers),
                                       cmocka_unit_test(replays_targets), cmocka_unit_test(replays_forms),
                                       cmocka_unit_test(replays_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
