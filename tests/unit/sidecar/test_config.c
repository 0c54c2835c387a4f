// SPDX-License-Identifier: Apache-2.0
#include "sidecar/config.h"

#include <errno.h>
#include <string.h>

#include "tests/support/cm.h"

static int read_flags(struct sidecar_config *ret, struct err *err, const char *first, const char *second) {
    char *argv[] = {(char *)"stowage-sidecar", (char *)(uintptr_t)first, (char *)(uintptr_t)second, NULL};
    *err = ERR_NONE;
    return sidecar_config_read(first ? second ? 3 : 2 : 1, argv, ret, err);
}

static void test_without_any_flag(void **state) {
    (void)state;
    struct sidecar_config config cleanup(sidecar_config_done) = {0};
    struct err err;
    assert_int_equal(read_flags(&config, &err, NULL, NULL), 0);
    assert_int_equal(config.listen.count, 1);
    assert_string_equal(config.listen.items[0], "127.0.0.1:3500");
    assert_null(config.tokens);
}

static void test_remote_needs_tokens(void **state) {
    (void)state;
    static const char *const remote[] = {"0.0.0.0:1", ":1", "[::]:1", "10.0.0.1:1", "example.com:1", "127x:1"};
    static const char *const local[] = {"127.0.0.1:1", "127.1.2.3:1", "localhost:1", "[::1]:1", "unix:/run/x"};
    struct err err;
    for (size_t i = 0; i < ARRAY_SIZE(remote); i++) {
        struct sidecar_config config cleanup(sidecar_config_done) = {0};
        assert_int_equal(read_flags(&config, &err, "--listen", remote[i]), -EINVAL);
        assert_non_null(strstr(err.msg, "--tokens"));
    }
    for (size_t i = 0; i < ARRAY_SIZE(local); i++) {
        struct sidecar_config config cleanup(sidecar_config_done) = {0};
        assert_int_equal(read_flags(&config, &err, "--listen", local[i]), 0);
    }
    struct sidecar_config config cleanup(sidecar_config_done) = {0};
    char *argv[] = {(char *)"stowage-sidecar", (char *)"--listen=:1", (char *)"--tokens=/etc/tokens", NULL};
    assert_int_equal(sidecar_config_read(3, argv, &config, &err), 0);
}

static void test_bad_values(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"--public-url", "store.example.com"},
        {"--public-url", "https://"},
        {"--public-url", "https://a/b"},
        {"--public-url", "ftp://a"},
        {"--quota", "keys=1"},
        {"--quota", "namespaces"},
        {"--quota", "namespaces=-1"},
        {"--quota", "ws:bytes=much"},
        {"--tls-cert", "/etc/cert"},
        {"--workers", "0"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct sidecar_config config cleanup(sidecar_config_done) = {0};
        struct err err;
        assert_int_equal(read_flags(&config, &err, bad[i][0], bad[i][1]), -EINVAL);
        assert_true(*err.msg);
    }
}

static void test_quotas(void **state) {
    (void)state;
    struct sidecar_config config cleanup(sidecar_config_done) = {0};
    struct err err = ERR_NONE;
    struct quota quota;
    char *argv[] = {(char *)"stowage-sidecar", (char *)"--quota=one:bytes=1Gi", (char *)"--quota=namespaces=3,queues=4",
                    NULL};
    assert_int_equal(sidecar_config_read(3, argv, &config, &err), 0);
    sidecar_config_quota(&config, "one", &quota); // its own, whatever comes later for all
    assert_true(quota.bytes == INT64_C(1) << 30 && quota.namespaces == 0 && quota.queues == 0);
    sidecar_config_quota(&config, "two", &quota);
    assert_true(quota.bytes == 0 && quota.namespaces == 3 && quota.queues == 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_any_flag),
        cmocka_unit_test(test_remote_needs_tokens),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_quotas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
