// SPDX-License-Identifier: Apache-2.0
// One object of the API at a time, from a server that answers as the API server does, over a unix socket.
#include "tests/support/cm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/http/server.h"
#include "lib/kube/kube.h"

static struct {
    char dir[40], token[64], address[64], url[80];
    struct http_server *server;
    struct kube *kube;
    const char *answer; // body
    unsigned status;
    char seen[128], authorization[128];
} kit;

static void handle(void *arg, struct http_request *request) {
    (void)arg;
    const char *authorization = http_request_header(request, "Authorization");
    (void)snprintf(kit.seen, sizeof kit.seen, "%s", http_request_target(request));
    (void)snprintf(kit.authorization, sizeof kit.authorization, "%s", authorization ? authorization : "");
    http_reply(request, kit.status, "application/json", kit.answer, strlen(kit.answer));
}

static void write_token(const char *text) {
    FILE *file = fopen(kit.token, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static int set_up(void **state) {
    static const char *const prefixes[] = {"/api"};
    static const struct http_route routes[] = {
        {.method = HTTP_GET, .pattern = "/{path...}", .handle = handle, .name = "get"}};
    static const struct http_table table = {prefixes, 1, routes, 1, NULL};
    (void)state;
    (void)snprintf(kit.dir, sizeof kit.dir, "/tmp/stowage-kube.XXXXXX");
    if (!mkdtemp(kit.dir))
        return -1;
    (void)snprintf(kit.token, sizeof kit.token, "%s/token", kit.dir);
    (void)snprintf(kit.address, sizeof kit.address, "unix:%s/api.sock", kit.dir);
    (void)snprintf(kit.url, sizeof kit.url, "%s:/", kit.address);
    const char *address = kit.address;
    struct http_options options = {
        .addresses = &address, .address_count = 1, .tables = &table, .table_count = 1, .threads = 1};
    struct kube_options to = {.url = kit.url, .token_file = kit.token, .timeout_s = 5};
    kit.status = 200;
    write_token("first\n");
    int r = http_server_start(&options, &kit.server, NULL);
    return r < 0 ? r : kube_new(&to, &kit.kube, NULL);
}

static int tear_down(void **state) {
    (void)state;
    kit.kube = kube_free(kit.kube);
    kit.server = http_server_free(kit.server);
    char command[80];
    (void)snprintf(command, sizeof command, "rm -rf %s", kit.dir);
    return system(command);
}

static void an_object_is_read_with_its_labels(void **state) {
    struct json *node cleanup(json_freep) = NULL;
    char *path cleanup_free = kube_path("/api/v1/nodes", "gpu 1");
    (void)state;
    kit.answer = "{\"kind\":\"Node\",\"metadata\":{\"labels\":{\"stowage.dev/node-group\":\"a\"}}}";
    assert_int_equal(kube_get(kit.kube, path, &node, NULL), 0);
    assert_string_equal(kit.seen, "/api/v1/nodes/gpu%201");
    assert_string_equal(kit.authorization, "Bearer first");
    assert_string_equal(kube_label(node, "stowage.dev/node-group"), "a");
    assert_null(kube_label(node, "other"));
}

static void the_token_is_read_again(void **state) {
    struct json *node cleanup(json_freep) = NULL;
    (void)state;
    kit.answer = "{}";
    write_token("second");
    assert_int_equal(kube_get(kit.kube, "/api/v1/nodes/n", &node, NULL), 0);
    assert_string_equal(kit.authorization, "Bearer second");
    assert_null(kube_label(node, "any"));
    assert_int_equal(unlink(kit.token), 0);
    struct err err = ERR_NONE;
    assert_int_equal(kube_get(kit.kube, "/api/v1/nodes/n", &node, &err), -EIO);
    assert_non_null(strstr(err.msg, "token"));
}

static void refusals_keep_their_meaning(void **state) {
    static const struct {
        unsigned status;
        int result;
        bool may_pass;
    } answers[] = {{404, -ENOENT, false}, {403, -EACCES, false}, {401, -EPERM, false},
                   {429, -ENOSPC, true},  {500, -EIO, true},     {503, -EIO, true}};
    (void)state;
    kit.answer = "{\"kind\":\"Status\",\"message\":\"nodes \\\"n\\\" is what it is\"}";
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        struct json *node = NULL;
        struct err err = ERR_NONE;
        kit.status = answers[i].status;
        assert_int_equal(kube_get(kit.kube, "/api/v1/nodes/n", &node, &err), answers[i].result);
        assert_non_null(strstr(err.msg, "is what it is"));
        assert_int_equal(kube_may_pass(answers[i].result), answers[i].may_pass);
    }
}

static void garbage_and_silence_are_told(void **state) {
    struct json *node = NULL;
    struct err err = ERR_NONE;
    (void)state;
    kit.answer = "<html>";
    assert_int_equal(kube_get(kit.kube, "/api/v1/nodes/n", &node, &err), -EBADMSG);
    kit.answer = "[]";
    assert_int_equal(kube_get(kit.kube, "/api/v1/nodes/n", &node, &err), -EBADMSG);
    kit.server = http_server_free(kit.server);
    assert_int_equal(kube_get(kit.kube, "/api/v1/nodes/n", &node, &err), -EHOSTUNREACH);
    assert_non_null(strstr(err.msg, "Kubernetes API server"));
    assert_null(node);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_object_is_read_with_its_labels),
        TEST(the_token_is_read_again),
        TEST(refusals_keep_their_meaning),
        TEST(garbage_and_silence_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
