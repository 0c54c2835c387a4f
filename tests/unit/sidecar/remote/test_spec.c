// SPDX-License-Identifier: Apache-2.0
// What --project and --project-notify may say, as flags and in the environment.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "sidecar/remote/config.h"
#include "tests/support/cm.h"

static int parse(const char *text, struct project_specs *ret) {
    char *items[] = {(char *)(uintptr_t)text};
    const struct field_list list = {items, 1};
    return project_specs_parse(&list, ret, NULL);
}

static void a_project_has_a_namespace_and_a_directory(void **state) {
    struct project_specs specs cleanup(project_specs_done) = {0};
    (void)state;
    assert_int_equal(parse("settings=/etc/settings,more-1=/srv/more:optional,a=/b", &specs), 0);
    assert_int_equal(specs.count, 3);
    assert_string_equal(specs.items[0].ns, "settings");
    assert_string_equal(specs.items[0].dir, "/etc/settings");
    assert_false(specs.items[0].optional);
    assert_string_equal(specs.items[1].ns, "more-1");
    assert_string_equal(specs.items[1].dir, "/srv/more");
    assert_true(specs.items[1].optional);
    assert_string_equal(specs.items[2].dir, "/b");
}

static void what_is_none_is_refused(void **state) {
    static const char *const bad[] = {"settings",    "=/a",         "settings=",      "settings=a",      "settings=/",
                                      "S=/a",        "a=/b:option", "a=/b,b=/b",      "a=/b:optional:x", "a b=/c",
                                      "a=:optional", "../x=/a",     "a=/b:optional,c"};
    char long_name[80] = "";
    struct project_specs specs = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(parse(bad[i], &specs), -EINVAL);
    memset(long_name, 'n', 64);
    memcpy(long_name + 64, "=/a", 4);
    assert_int_equal(parse(long_name, &specs), -EINVAL);
    assert_int_equal(specs.count, 0);
}

static void only_the_pod_is_told(void **state) {
    static const struct {
        const char *url, *address, *path;
    } good[] = {{"http://127.0.0.1:8080/-/reload", "127.0.0.1:8080", "/-/reload"},
                {"http://localhost:1", "127.0.0.1:1", "/"},
                {"http://[::1]:65535/a?b=c", "[::1]:65535", "/a?b=c"}};
    static const char *const bad[] = {"http://127.0.0.1/x",
                                      "http://127.0.0.1:0/",
                                      "http://127.0.0.1:65536/",
                                      "https://127.0.0.1:1",
                                      "http://10.0.0.1:80/",
                                      "http://127.0.0.1:80x/",
                                      "http://127.0.0.1:80/a b",
                                      "http://127.0.0.1:80/\r\nX: y",
                                      "",
                                      "127.0.0.1:80",
                                      "http://127.0.0.1.evil:80/"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        struct notify_spec spec cleanup(notify_spec_done) = {0};
        assert_int_equal(notify_spec_parse(good[i].url, &spec, NULL), 0);
        assert_string_equal(spec.address, good[i].address);
        assert_string_equal(spec.path, good[i].path);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct notify_spec spec cleanup(notify_spec_done) = {0};
        assert_int_equal(notify_spec_parse(bad[i], &spec, NULL), -EINVAL);
    }
}

static void they_come_from_the_environment_too(void **state) {
    char *argv[] = {"x", "--store-url", "http://store", "--project", "c=/c", NULL};
    struct remote_config config cleanup(remote_config_done) = {0}, refused cleanup(remote_config_done) = {0};
    struct err err = ERR_NONE;
    (void)state;
    assert_int_equal(setenv("STOWAGE_PROJECT", "a=/a,b=/b:optional", 1), 0);
    assert_int_equal(setenv("STOWAGE_PROJECT_MAX_BYTES", "2Mi", 1), 0);
    assert_int_equal(remote_config_read(5, argv, &config, &err), 0);
    assert_int_equal(config.projects.count, 3);
    assert_int_equal(config.project_max_bytes, 2 << 20);
    assert_int_equal(config.project_mode, 0644);
    assert_int_equal(unsetenv("STOWAGE_PROJECT"), 0);
    assert_int_equal(unsetenv("STOWAGE_PROJECT_MAX_BYTES"), 0);
    char *lonely[] = {"x", "--store-url", "http://store", "--project-notify", "http://127.0.0.1:1/", NULL};
    assert_int_equal(remote_config_read(5, lonely, &refused, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "--project NAMESPACE=DIR"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_project_has_a_namespace_and_a_directory),
        cmocka_unit_test(what_is_none_is_refused),
        cmocka_unit_test(only_the_pod_is_told),
        cmocka_unit_test(they_come_from_the_environment_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
