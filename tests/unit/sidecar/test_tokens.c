// SPDX-License-Identifier: Apache-2.0
#include "sidecar/tokens.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/cm.h"

static int64_t now_s = 1700000000;
static int64_t wall(void *ctx) {
    (void)ctx;
    return now_s * NS_PER_S;
}
static void random_bytes(void *ctx, void *buf, size_t n) {
    (void)ctx;
    memset(buf, 7, n);
}
static const struct clock_ops clock_ops = {.wall_ns = wall, .random_bytes = random_bytes};
static const struct clock fake = {.ops = &clock_ops};

static char folder[] = "/tmp/stowage-tokens-XXXXXX";
static char path[64];

static void write_file(const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int open_text(const char *text, struct tokens **ret, struct err *err) {
    write_file(text);
    return tokens_open(path, &fake, ret, err);
}

static int find(struct tokens *tokens, const char *token, struct principal *ret) {
    struct err err = ERR_NONE;
    int r = tokens_find(tokens, token, strlen(token), ret, &err);
    assert_true(r == 0 || !*token || !strstr(err.msg, token)); // a message never tells a token
    return r;
}

static void test_rights(void **state) {
    (void)state;
    struct tokens *tokens cleanup(tokens_freep) = NULL;
    struct principal who;
    assert_int_equal(open_text("# comment\n\nwriter-token ws1 write\nreader-token\tws2  read # why\n", &tokens, NULL),
                     0);
    assert_int_equal(find(tokens, "writer-token", &who), 0);
    assert_string_equal(who.workspace, "ws1");
    assert_true(who.write && who.by_token);
    assert_int_equal(find(tokens, "reader-token", &who), 0);
    assert_string_equal(who.workspace, "ws2");
    assert_false(who.write);
    static const char *const unknown[] = {"", "writer-toke", "writer-token2", "WRITER-TOKEN", "# comment", "ws1"};
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
        assert_int_equal(find(tokens, unknown[i], &who), -EPERM);
    assert_true(tokens_has_workspace(tokens, "ws2"));
    assert_false(tokens_has_workspace(tokens, "ws3"));
    char only[ENGINE_NAME_MAX + 1];
    assert_false(tokens_only_workspace(tokens, only));
}

static void test_expiry(void **state) {
    (void)state;
    struct tokens *tokens cleanup(tokens_freep) = NULL;
    struct principal who;
    assert_int_equal(open_text("token-in-seconds ws1 write 1700000010\ntoken-in-words ws1 read 2023-11-14T22:13:30Z\n",
                               &tokens, NULL),
                     0);
    now_s = 1700000009;
    assert_int_equal(find(tokens, "token-in-seconds", &who), 0);
    assert_int_equal(find(tokens, "token-in-words", &who), 0);
    now_s = 1700000010;
    assert_int_equal(find(tokens, "token-in-seconds", &who), -EPERM);
    assert_int_equal(find(tokens, "token-in-words", &who), -EPERM);
    now_s = 1700000000;
}

static void test_bad_files(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "holds no token"},
        {"# nothing\n", "holds no token"},
        {"good-token ws1 write\nsecret-token ws1\n", "line 2"},
        {"secret-token ws1 admin\n", "give read or write"},
        {"secret-token WS_1 write\n", "workspace"},
        {"short ws1 write\n", "5 bytes"},
        {"secret-token ws1 write tomorrow\n", "no time"},
        {"secret-token ws1 write 1 2\n", "not of the form"},
        {"secret-token ws1 write\nsecret-token ws2 read\n", "twice"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct tokens *tokens = NULL;
        struct err err = ERR_NONE;
        assert_int_equal(open_text(bad[i].text, &tokens, &err), -EINVAL);
        assert_non_null(strstr(err.msg, bad[i].says));
        assert_null(strstr(err.msg, "secret-token"));
        assert_non_null(strstr(err.msg, path));
    }
}

static void test_reload(void **state) {
    (void)state;
    struct tokens *tokens cleanup(tokens_freep) = NULL;
    struct principal who;
    bool changed = true;
    assert_int_equal(open_text("first-token ws1 write\n", &tokens, NULL), 0);
    assert_int_equal(tokens_reload(tokens, false, &changed, NULL), 0);
    assert_false(changed);
    write_file("second-token-longer ws1 write\n");
    assert_int_equal(tokens_reload(tokens, false, &changed, NULL), 0);
    assert_true(changed);
    assert_int_equal(find(tokens, "first-token", &who), -EPERM);
    assert_int_equal(find(tokens, "second-token-longer", &who), 0);
    write_file("broken\n");
    assert_int_equal(tokens_reload(tokens, false, &changed, NULL), -EINVAL);
    assert_int_equal(find(tokens, "second-token-longer", &who), 0); // what was, stays
    assert_int_equal(unlink(path), 0);
    assert_int_equal(tokens_reload(tokens, true, &changed, NULL), -ENOENT);
    assert_int_equal(find(tokens, "second-token-longer", &who), 0);
}

static void test_masks(void **state) {
    (void)state;
    struct tokens *tokens cleanup(tokens_freep) = NULL;
    assert_int_equal(
        open_text("0123456789abcdef ws1 write\nsecret78 ws1 read 1800000000\nother-one ws2 read\n", &tokens, NULL), 0);
    struct json *list cleanup(json_freep) = tokens_masked(tokens, "ws1");
    assert_int_equal(json_length(list), 2);
    assert_string_equal(json_get_text(json_at(list, 0), "masked_value"), "0123...cdef");
    assert_string_equal(json_get_text(json_at(list, 1), "masked_value"), "s...8");
    assert_int_equal(json_get_int(json_at(list, 1), "expires_at", 0), INT64_C(1800000000000));
}

static void test_generated(void **state) {
    (void)state;
    struct tokens *tokens cleanup(tokens_freep) = NULL;
    struct stat before, after;
    char only[ENGINE_NAME_MAX + 1];
    (void)unlink(path);
    assert_int_equal(tokens_generate(path, "default", &fake, NULL), 0);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(before.st_mode & 07777, 0600);
    assert_int_equal(tokens_generate(path, "default", &fake, NULL), 0); // the one that is there stays
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(tokens_open(path, &fake, &tokens, NULL), 0);
    assert_true(tokens_only_workspace(tokens, only));
    assert_string_equal(only, "default");
}

static int set_up(void **state) {
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof path, "%s/tokens", folder);
    return 0;
}
static int tear_down(void **state) {
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rights), cmocka_unit_test(test_expiry), cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_reload), cmocka_unit_test(test_masks),  cmocka_unit_test(test_generated),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
