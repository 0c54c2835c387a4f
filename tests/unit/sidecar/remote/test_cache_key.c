// SPDX-License-Identifier: Apache-2.0
// Which value a target names, from requests as they come: what is not understood must never be taken for another key.
#include <stdio.h>
#include <string.h>

#include "lib/http/server.h"
#include "sidecar/remote/value_cache.h"
#include "tests/support/cm.h"
#include "tests/support/http_kit.h"

static struct http_server *server;
static char told[256];

static void handle(void *arg, struct http_request *request) {
    struct cache_key key = {0};
    (void)arg;
    bool below = cache_key_parse(request, &key);
    (void)snprintf(told, sizeof told, "%s|%s|%s|%s", below ? "kv" : "-", key.prefix ? key.prefix : "-",
                   key.ns ? key.ns : "-", key.key ? key.key : "-");
    cache_key_done(&key);
    http_reply_empty(request, 204);
}

static int set_up(void **state) {
    static const char *const addresses[] = {"127.0.0.1:0"};
    static const char *const prefixes[] = {"/api/v1", "/api/v2/workspaces/{ws}"};
    static const struct http_route routes[] = {
        {.method = HTTP_GET, .pattern = "/{path...}", .raw_query = true, .handle = handle, .name = "get"}};
    static const struct http_table table = {prefixes, 2, routes, 1, NULL};
    struct http_options options = {
        .addresses = addresses, .address_count = 1, .tables = &table, .table_count = 1, .threads = 1};
    (void)state;
    return http_server_start(&options, &server, NULL);
}
static int tear_down(void **state) {
    (void)state;
    server = http_server_free(server);
    return 0;
}

static void a_target_names_a_value(void **state) {
    static const struct {
        const char *target, *told;
    } cases[] = {
        {"/api/v1/kv/namespaces/n-1/values/a", "kv|/api/v1|n-1|a"},
        {"/api/v2/workspaces/team/kv/namespaces/n/values/a", "kv|/api/v2/workspaces/team|n|a"},
        {"/api/v1/kv/namespaces/n/values/a%2Fb//c?d=%41", "kv|/api/v1|n|a/b//c?d=A"},
        {"/api/v1/kv/namespaces/n/values/a%2541", "kv|/api/v1|n|a%41"},
        {"/api/v1/kv/namespaces/n/values/", "kv|/api/v1|n|-"},
        {"/api/v1/kv/namespaces/n/values/a%00b", "kv|/api/v1|n|-"},
        {"/api/v1/kv/namespaces/n/batch", "kv|/api/v1|n|-"},
        {"/api/v1/kv/namespaces/n", "kv|/api/v1|n|-"},
        {"/api/v1/kv/namespaces", "kv|-|-|-"},
        {"/api/v1//kv/namespaces/n/values/a", "kv|-|-|-"},
        {"/api/v1/kv/namespaces/%6e/values/a", "kv|-|-|-"},
        {"/api/v1/kv/namespaces/n?x/values/a", "kv|-|-|-"},
        {"/api/v2/workspaces/t%65am/kv/namespaces/n/values/a", "kv|-|-|-"},
        {"/api/v1/queue/q/messages", "-|-|-|-"},
        {"/api/v1/objects/private/kv/namespaces/n/values/a", "-|-|-|-"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_kit_reply reply;
        char text[256];
        (void)snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", cases[i].target);
        http_kit_ask(http_server_port(server), text, &reply);
        assert_int_equal(reply.status, 204);
        http_kit_reply_done(&reply);
        assert_string_equal(told, cases[i].told);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(a_target_names_a_value, set_up, tear_down)};
    return cmocka_run_group_tests_name("keys of the sidecar's cache", tests, NULL, NULL);
}
