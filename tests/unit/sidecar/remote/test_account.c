// SPDX-License-Identifier: Apache-2.0
// The pod's token, in the kind of file that kubelet makes; the settings; the SDK's files.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/jwt.h"
#include "lib/base/mem.h"
#include "sidecar/remote/account.h"
#include "sidecar/remote/config.h"
#include "sidecar/remote/sdk_files.h"
#include "tests/support/cm.h"

static char dir[48];

static int set_up(void **state) {
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/stowage-account.XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}
static int tear_down(void **state) {
    char command[80];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}
static const char *in_dir(const char *name) {
    static char paths[4][96];
    static int turn;
    char *path = paths[turn++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}
static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
}
// token -> ..data/token, ..data -> a folder of this time
static void project(const char *folder, const char *text) {
    char file[96];
    assert_int_equal(mkdir(in_dir(folder), 0755), 0);
    (void)snprintf(file, sizeof file, "%s/token", in_dir(folder));
    write_text(file, text);
    assert_int_equal(symlink(folder, in_dir("..data_tmp")), 0);
    assert_int_equal(rename(in_dir("..data_tmp"), in_dir("..data")), 0);
    if (symlink("..data/token", in_dir("token")) < 0)
        assert_int_equal(errno, EEXIST);
}
static void expect_sent(struct account *account, const char *token) {
    struct str field cleanup_str = {0};
    char wanted[128];
    assert_int_equal(account_append_field(account, &field), 0);
    (void)snprintf(wanted, sizeof wanted, "Authorization: Bearer %s\r\n", token);
    assert_string_equal(field.data, wanted);
}

static void a_projected_token_is_followed(void **state) {
    struct account *account cleanup(account_freep) = NULL;
    bool changed = true;
    struct err err = ERR_NONE;
    (void)state;
    project("..1", "first\n");
    assert_int_equal(account_open(in_dir("token"), &account, NULL), 0);
    expect_sent(account, "first");
    assert_int_equal(account_reload(account, &changed, NULL), 0);
    assert_false(changed);
    project("..2", "second");
    assert_int_equal(account_reload(account, &changed, NULL), 0);
    assert_true(changed);
    expect_sent(account, "second");
    assert_int_equal(unlink(in_dir("token")), 0);
    assert_int_equal(account_reload(account, &changed, &err), -ENOENT);
    expect_sent(account, "second");
}

static void what_is_no_token_is_refused(void **state) {
    static const char *const wrong[] = {"", "\n",
                                        "a\x01"
                                        "b",
                                        "gr\xc3\xbcn"};
    struct account *account = NULL;
    struct err err = ERR_NONE;
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        write_text(in_dir("token"), wrong[i]);
        assert_int_equal(account_open(in_dir("token"), &account, &err), -EINVAL);
    }
    assert_int_equal(account_open(in_dir("none"), &account, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "--token-file"));
}

static void a_token_of_a_cluster_says_its_namespace(void **state) {
    struct account *account cleanup(account_freep) = NULL;
    (void)state; // {"kubernetes.io":{"namespace":"tëam"}}: its base64url has - and no padding
    write_text(in_dir("token"), "e30.eyJrdWJlcm5ldGVzLmlvIjp7Im5hbWVzcGFjZSI6InTDq2FtIn19.c2ln");
    assert_int_equal(account_open(in_dir("token"), &account, NULL), 0);
    char *ns cleanup_free = account_namespace(account);
    assert_string_equal(ns, "t\xc3\xab"
                            "am");
    static const char *const others[] = {"plain", "a.b", "a.%%.c", "a..c", "a.W10.c", "a.e30.c.d"};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        struct json *payload cleanup(json_freep) = jwt_payload(others[i]);
        assert_true(!payload || !json_is_an_object(payload));
    }
}

static int read_config(struct remote_config *config, struct err *err, const char *url, const char *listen) {
    char *argv[] = {"x", "--store-url", (char *)(uintptr_t)url, "--listen", (char *)(uintptr_t)listen, NULL};
    return remote_config_read(5, argv, config, err);
}

static void the_url_is_taken_apart(void **state) {
    static const struct {
        const char *url, *host, *port;
        bool tls;
    } good[] = {{"http://store", "store", "80", false},
                {"https://store/", "store", "443", true},
                {"http://store.ns.svc:3500", "store.ns.svc", "3500", false},
                {"http://[fd00::1]:3500", "fd00::1", "3500", false},
                {"http://[fd00::1]", "fd00::1", "80", false}};
    static const char *const bad[] = {"",           "store",      "ftp://store", "http://",    "http://:80",
                                      "http://a:0", "http://a:x", "http://a/b",  "http://a?b", "http://u@a"};
    struct err err = ERR_NONE;
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        struct remote_config config cleanup(remote_config_done) = {0};
        assert_int_equal(read_config(&config, &err, good[i].url, "127.0.0.1:1"), 0);
        assert_string_equal(config.host, good[i].host);
        assert_string_equal(config.port, good[i].port);
        assert_int_equal(config.tls, good[i].tls);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct remote_config config cleanup(remote_config_done) = {0};
        assert_int_equal(read_config(&config, &err, bad[i], "127.0.0.1:1"), -EINVAL);
    }
    struct remote_config config cleanup(remote_config_done) = {0};
    assert_int_equal(read_config(&config, &err, "http://a", "0.0.0.0:1"), -EINVAL);
    assert_non_null(strstr(err.msg, "--allow-remote"));
}

static void the_sdk_finds_its_files(void **state) {
    char text[512] = "";
    struct stat st;
    (void)state;
    for (int i = 0; i < 2; i++) // again, over what is there
        assert_int_equal(sdk_files_write(in_dir("sdk"), "123", "http://127.0.0.1:3500/api/v1", NULL), 0);
    FILE *file = fopen(in_dir("sdk/workspace_info.yaml"), "r");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof text - 1, file) > 0);
    (void)fclose(file);
    assert_string_equal(text, "workspaces:\n  '123':\n    id: '123'\n    url: 'http://127.0.0.1:3500/api/v1'\n"
                              "    display_name: '123'\n    auth_token: 'stowage-local'\ncurrent_workspace: '123'\n");
    assert_int_equal(stat(in_dir("sdk/latest_version_check"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_int_not_equal(sdk_files_write(in_dir("no/where"), "w", "u", NULL), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {T(a_projected_token_is_followed), T(what_is_no_token_is_refused),
                                       T(a_token_of_a_cluster_says_its_namespace), T(the_url_is_taken_apart),
                                       T(the_sdk_finds_its_files)};
    return cmocka_run_group_tests_name("a sidecar's settings", tests, NULL, NULL);
}
