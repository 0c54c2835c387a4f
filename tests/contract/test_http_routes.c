// SPDX-License-Identifier: Apache-2.0
// Targets, prefixes, arguments, methods, rights, errors, and the numbers and lines that come of it.
#include "tests/support/cm.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/metrics.h"
#include "lib/http/server.h"
#include "tests/support/http_kit.h"

// Answers "name|workspace|prefix|ns=…|key=…|query q" with lengths, so that NULs and slashes can be seen.
static void show(void *arg, struct http_request *request) {
    struct str body cleanup_str = {0};
    const char *workspace;
    const char *prefix = http_request_prefix(request, &workspace);
    size_t key_len, query_len = 0;
    const char *key = http_request_arg(request, "key", &key_len);
    const char *query = http_request_query(request, "q", &query_len);
    (void)str_printf(&body, "%s %s|%s|%s|ns=%s|key=%zu:", (const char *)arg, http_request_route(request)->name, prefix,
                     workspace ? workspace : "-", http_request_arg(request, "ns", NULL), key_len);
    (void)str_append_bytes(&body, key, key_len);
    (void)str_printf(&body, "|q=%zu:%s", query_len, query ? query : "-");
    http_reply(request, 200, "text/plain", body.data, body.len);
}

static void fail_with(void *arg, struct http_request *request) {
    (void)arg;
    struct err err = {.code = -atoi(http_request_arg(request, "code", NULL))};
    (void)snprintf(err.msg, sizeof err.msg, "told \"so\"");
    http_reply_error(request, &err);
}

static atomic_int freed;
static void free_user(void *user) {
    (void)user;
    atomic_fetch_add(&freed, 1);
}
static int authorize(void *arg, struct http_request *request, struct err *err) {
    (void)arg;
    const char *token = http_request_header(request, "authorization");
    http_request_set_user(request, "somebody", free_user);
    if (!http_request_route(request)->access)
        return 0;
    if (!token)
        return err_set(err, -EPERM, "no token");
    return strcmp(token, "Bearer good") == 0 ? 0 : err_set(err, -EACCES, "not yours");
}

static const struct http_route routes[] = {
    {.method = HTTP_GET, .pattern = "/", .handle = show, .name = "root"},
    {.method = HTTP_GET, .pattern = "/kv/{ns}", .handle = show, .name = "ns"},
    {.method = HTTP_GET, .pattern = "/kv/{ns}/values/{key...}", .raw_query = true, .handle = show, .name = "get"},
    {.method = HTTP_PUT,
     .pattern = "/kv/{ns}/values/{key...}",
     .raw_query = true,
     .body = HTTP_BODY_WHOLE,
     .body_max = 100,
     .handle = show,
     .name = "put"},
    {.method = HTTP_GET, .pattern = "/kv/{ns}/keys", .handle = show, .name = "keys"},
    {.method = HTTP_GET, .pattern = "/kv/{ns}/{key}", .handle = show, .name = "any"},
    {.method = HTTP_GET, .pattern = "/kv/special/{key}", .handle = show, .name = "special"},
    {.method = HTTP_HEAD, .pattern = "/kv/{ns}/{key}", .handle = show, .name = "any_head"},
    {.method = HTTP_GET, .pattern = "/fail/{code}", .handle = fail_with, .name = "fail"},
    {.method = HTTP_GET, .pattern = "/closed", .handle = show, .name = "closed", .access = 1},
    {.method = HTTP_POST,
     .pattern = "/closed",
     .body = HTTP_BODY_WHOLE,
     .body_max = 1 << 20,
     .handle = show,
     .name = "closed_post",
     .access = 1},
};
static const struct http_route plain[] = {
    {.method = HTTP_GET, .pattern = "/healthz", .handle = show, .name = "healthz"}};
static const char *const api[] = {"/api/v1", "/api/v2/workspaces/{ws}"};
static const char *const all[] = {""};
static char first[] = "api", second[] = "plain";
static const struct http_table tables[] = {{api, 2, routes, ARRAY_SIZE(routes), first},
                                           {all, 1, plain, ARRAY_SIZE(plain), second}};

static int start(void **state) {
    static const char *const addresses[] = {"127.0.0.1:0"};
    struct http_options options = {
        .addresses = addresses, .address_count = 1, .tables = tables, .table_count = 2, .authorize = authorize};
    struct http_server *server = NULL;
    int r = http_server_start(&options, &server, NULL);
    *state = server;
    return r;
}
static int stop(void **state) {
    (void)http_server_free(*state);
    return 0;
}

static void ask(void **state, const char *method, const char *target, const char *more, struct http_kit_reply *ret) {
    char request[4096];
    (void)snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: a\r\n%s\r\n", method, target, more);
    http_kit_ask(http_server_port(*state), request, ret);
}

static void finds_routes(void **state) {
    static const struct {
        const char *target, *body; // NULL: 404
    } cases[] = {
        {"/api/v1", "api root|/api/v1|-|ns=|key=0:|q=0:-"},
        {"/api/v1/", "api root|/api/v1|-|ns=|key=0:|q=0:-"},
        {"/api/v1//", "api root|/api/v1|-|ns=|key=0:|q=0:-"},
        {"/api/v1/kv/a", "api ns|/api/v1|-|ns=a|key=0:|q=0:-"},
        {"/api/v1//kv/a", "api ns|/api/v1|-|ns=a|key=0:|q=0:-"},
        {"/api/v2/workspaces/w%31//kv/a", "api ns|/api/v2/workspaces/{ws}|w1|ns=a|key=0:|q=0:-"},
        {"/api/v1/kv/a%2Fb", "api ns|/api/v1|-|ns=a/b|key=0:|q=0:-"},
        {"/api/v1/kv/a/values/k", "api get|/api/v1|-|ns=a|key=1:k|q=0:-"},
        {"/api/v1/kv/a/values/", "api get|/api/v1|-|ns=a|key=0:|q=0:-"},
        {"/api/v1/kv/a/values//lead//x/", "api get|/api/v1|-|ns=a|key=9:/lead//x/|q=0:-"},
        {"/api/v1/kv/a/values/a%20b/c?d", "api get|/api/v1|-|ns=a|key=7:a b/c?d|q=0:-"},
        {"/api/v1/kv/a/values/k?q=1&r", "api get|/api/v1|-|ns=a|key=7:k?q=1&r|q=0:-"},
        {"/api/v1/kv/a/values/k?", "api get|/api/v1|-|ns=a|key=2:k?|q=0:-"},
        {"/api/v1/kv/a/values/..%2F../x", "api get|/api/v1|-|ns=a|key=7:../../x|q=0:-"},
        {"/api/v1/kv/a/values/../x", "api get|/api/v1|-|ns=a|key=4:../x|q=0:-"},
        {"/api/v1/kv/a/values/%2525+%2B", "api get|/api/v1|-|ns=a|key=5:%25++|q=0:-"},
        {"/api/v1/kv/a/values/\xd0\xba", "api get|/api/v1|-|ns=a|key=2:\xd0\xba|q=0:-"},
        {"/api/v1/kv/a/keys?q=a+b%2B%26&q=2", "api keys|/api/v1|-|ns=a|key=0:|q=5:a b+&"},
        {"/api/v1/kv/a/keys?&&x&q=&", "api keys|/api/v1|-|ns=a|key=0:|q=0:"},
        {"/api/v1/kv/a/keys?%71=1", "api keys|/api/v1|-|ns=a|key=0:|q=1:1"},
        {"/api/v1/kv/a/other", "api any|/api/v1|-|ns=a|key=5:other|q=0:-"},
        {"/api/v1/kv/special/keys", "api special|/api/v1|-|ns=|key=4:keys|q=0:-"},
        {"/api/v1/kv/special/x", "api special|/api/v1|-|ns=|key=1:x|q=0:-"},
        {"/healthz", "plain healthz||-|ns=|key=0:|q=0:-"},
        {"//healthz", NULL},
        {"/api/v1/kv", NULL},
        {"/api/v1/kv/", NULL},
        {"/api/v1/kv/a/", NULL},
        {"/api/v1/kv//keys", NULL},
        {"/api/v1/kv/a/values", "api any|/api/v1|-|ns=a|key=6:values|q=0:-"},
        {"/api/v11/kv/a", NULL},
        {"/api/v2/workspaces//kv/a", NULL},
        {"/api/v2/workspaces/w", "api root|/api/v2/workspaces/{ws}|w|ns=|key=0:|q=0:-"},
        {"/api/v1///kv/a", NULL},
        {"/api/v1/%6Bv/a", NULL},
        {"/API/v1/kv/a", NULL},
        {"/", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_kit_reply reply;
        ask(state, "GET", cases[i].target, "", &reply);
        if (reply.status != (cases[i].body ? 200 : 404) || (cases[i].body && strcmp(cases[i].body, reply.body) != 0))
            fail_msg("%s: wanted %s, got %d %s", cases[i].target, cases[i].body, reply.status, reply.body);
        if (!cases[i].body)
            assert_non_null(strstr(reply.body, "{\"code\":\"not_found\",\"message\":\""));
        http_kit_reply_done(&reply);
    }
}

static void keeps_bytes_of_arguments(void **state) {
    struct http_kit_reply reply;
    ask(state, "GET", "/api/v1/kv/a/values/x%00y%FF", "", &reply);
    static const char wanted[] = "api get|/api/v1|-|ns=a|key=4:x\0y\xFF|q=0:-";
    assert_int_equal(reply.len, sizeof wanted - 1);
    assert_memory_equal(reply.body, wanted, reply.len);
    http_kit_reply_done(&reply);
    static const char *const bad[] = {"/api/v1/kv/a/values/%",    "/api/v1/kv/a/values/%4", "/api/v1/kv/a/values/%4g",
                                      "/api/v1/kv/%zz/keys",      "/api/v1/kv/a/keys?q=%",  "/api/v1/kv/a/keys?%=1",
                                      "/api/v2/workspaces/%/kv/a"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        ask(state, "GET", bad[i], "", &reply);
        if (reply.status != 400 || !strstr(reply.body, "%25"))
            fail_msg("%s: %s%s", bad[i], reply.head, reply.body);
        http_kit_reply_done(&reply);
    }
}

static void checks_methods(void **state) {
    static const struct {
        const char *method, *target;
        int status;
        const char *allow;
    } cases[] = {
        {"DELETE", "/api/v1/kv/a/values/k", 405, "GET, HEAD, PUT, OPTIONS"},
        {"PATCH", "/api/v1/kv/a/values/k", 405, "GET, HEAD, PUT, OPTIONS"},
        {"get", "/api/v1/kv/a", 405, "GET, HEAD, OPTIONS"},
        {"OPTIONS", "/api/v1/kv/a/values/k", 204, "GET, HEAD, PUT, OPTIONS"},
        {"OPTIONS", "/nothing", 404, NULL},
        {"OPTIONS", "*", 204, "GET, HEAD, PUT, POST, DELETE, OPTIONS"},
        {"HEAD", "/api/v1/kv/a", 200, NULL},
        {"PUT", "/nothing", 404, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_kit_reply reply;
        char allow[64] = "";
        ask(state, cases[i].method, cases[i].target, "", &reply);
        (void)http_kit_field(&reply, "Allow", allow, sizeof allow);
        if (reply.status != cases[i].status || strcmp(allow, cases[i].allow ? cases[i].allow : "") != 0)
            fail_msg("%s %s: %s", cases[i].method, cases[i].target, reply.head);
        http_kit_reply_done(&reply);
    }
}

// HEAD has the fields of GET and no body: the next answer on the connection follows at once.
static void head_has_no_body(void **state) {
    int fd cleanup_close = http_kit_connect(http_server_port(*state));
    http_kit_send(fd, "HEAD /api/v1/kv/a HTTP/1.1\r\nHost: a\r\n\r\nGET /api/v1/kv/b HTTP/1.1\r\nHost: a\r\n\r\n"
                      "HEAD /api/v1/kv/a/x HTTP/1.1\r\nHost: a\r\n\r\nHEAD /api/v1/fail/2 HTTP/1.1\r\nHost: a\r\n\r\n"
                      "GET /api/v1/kv/c HTTP/1.1\r\nHost: a\r\n\r\n");
    static const struct {
        bool head;
        int status;
        const char *length;
    } wanted[] = {{true, 200, "34"}, {false, 200, "34"}, {true, 200, "41"}, {true, 404, NULL}, {false, 200, "34"}};
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        struct http_kit_reply reply;
        char length[16];
        http_kit_read(fd, wanted[i].head, &reply);
        assert_int_equal(reply.status, wanted[i].status);
        assert_non_null(http_kit_field(&reply, "Content-Length", length, sizeof length));
        if (wanted[i].length)
            assert_string_equal(length, wanted[i].length);
        http_kit_reply_done(&reply);
    }
}

static void turns_errors_into_answers(void **state) {
    static const struct {
        int code, status;
        const char *word, *field, *value;
    } cases[] = {
        {EINVAL, 400, "invalid_argument", NULL, NULL},
        {EPERM, 401, "unauthenticated", "WWW-Authenticate", "Bearer"},
        {EACCES, 403, "forbidden", NULL, NULL},
        {ENOENT, 404, "not_found", NULL, NULL},
        {EEXIST, 409, "already_exists", NULL, NULL},
        {ESTALE, 412, "precondition_failed", NULL, NULL},
        {E2BIG, 413, "too_large", NULL, NULL},
        {EAGAIN, 429, "too_many_requests", "Retry-After", "1"},
        {EOPNOTSUPP, 501, "not_implemented", NULL, NULL},
        {ESHUTDOWN, 503, "shutting_down", "Retry-After", "1"},
        {ETIMEDOUT, 504, "timed_out", NULL, NULL},
        {EDQUOT, 507, "quota_exceeded", NULL, NULL},
        {ENOSPC, 507, "no_space", NULL, NULL},
        {EIO, 500, "internal", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char target[64], body[128], value[64] = "";
        struct http_kit_reply reply;
        (void)snprintf(target, sizeof target, "/api/v1/fail/%d", cases[i].code);
        (void)snprintf(body, sizeof body, "{\"code\":\"%s\",\"message\":\"told \\\"so\\\"\"}\n", cases[i].word);
        ask(state, "GET", target, "", &reply);
        assert_int_equal(reply.status, cases[i].status);
        assert_string_equal(reply.body, body);
        if (cases[i].field) {
            assert_non_null(http_kit_field(&reply, cases[i].field, value, sizeof value));
            assert_string_equal(value, cases[i].value);
        }
        http_kit_reply_done(&reply);
    }
}

static void asks_for_rights_before_the_body(void **state) {
    struct http_kit_reply reply;
    int before = atomic_load(&freed);
    ask(state, "GET", "/api/v1/closed", "", &reply);
    assert_int_equal(reply.status, 401);
    http_kit_reply_done(&reply);
    ask(state, "GET", "/api/v1/closed", "Authorization: Bearer bad\r\n", &reply);
    assert_int_equal(reply.status, 403);
    http_kit_reply_done(&reply);
    ask(state, "GET", "/api/v1/closed", "Authorization: Bearer good\r\n", &reply);
    assert_int_equal(reply.status, 200);
    http_kit_reply_done(&reply);
    // A megabyte is announced and never sent; the refusal must not wait for it.
    ask(state, "POST", "/api/v1/closed", "Content-Length: 1000000\r\n", &reply);
    assert_int_equal(reply.status, 401);
    http_kit_reply_done(&reply);
    ask(state, "POST", "/api/v1/closed", "Content-Length: 1000000\r\nExpect: 100-continue\r\n", &reply);
    assert_int_equal(reply.status, 401);
    http_kit_reply_done(&reply);
    (void)stop(state); // all requests have ended
    *state = NULL;
    assert_int_equal(atomic_load(&freed) - before, 5);
}

// A short body of a refused request is read, and the connection lives on.
static void keeps_the_connection_after_a_refusal(void **state) {
    int fd cleanup_close = http_kit_connect(http_server_port(*state));
    for (int i = 0; i < 3; i++) {
        struct http_kit_reply reply;
        http_kit_send(fd, "POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
        http_kit_send(fd, "GET /");
        http_kit_read(fd, false, &reply);
        assert_int_equal(reply.status, 404);
        http_kit_reply_done(&reply);
        http_kit_send(fd, "POST /api/v1/closed HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
        http_kit_read(fd, false, &reply);
        assert_int_equal(reply.status, 401);
        http_kit_reply_done(&reply);
    }
}

static void refuses_bodies(void **state) {
    struct http_kit_reply reply;
    ask(state, "GET", "/api/v1/kv/a", "Content-Length: 3\r\n", &reply);
    assert_int_equal(reply.status, 413);
    http_kit_reply_done(&reply);
    ask(state, "PUT", "/api/v1/kv/a/values/x", "Content-Length: 101\r\n", &reply);
    assert_int_equal(reply.status, 413);
    assert_non_null(strstr(reply.body, "100 bytes"));
    http_kit_reply_done(&reply);
    ask(state, "PUT", "/api/v1/kv/a/values/x", "Content-Length: 3\r\n\r\nabc", &reply);
    assert_int_equal(reply.status, 200);
    http_kit_reply_done(&reply);
}

static void counts(void **state) {
    struct http_kit_reply reply;
    for (int i = 0; i < 3; i++) {
        ask(state, "GET", "/api/v1/fail/2", "", &reply);
        http_kit_reply_done(&reply);
    }
    ask(state, "GET", "/api/v1/kv/n", "", &reply);
    http_kit_reply_done(&reply);
    // A request is counted after its last byte is out: the server's loops end it before they end themselves.
    http_server_stop(*state, 1000);
    struct str text cleanup_str = {0};
    assert_int_equal(metrics_render(&text), 0);
    static const char *const wanted[] = {
        "\nstowage_http_request_seconds_count{route=\"fail\",method=\"GET\",code=\"404\"} 3\n",
        "\nstowage_http_request_seconds_bucket{route=\"ns\",method=\"GET\",code=\"200\",le=\"+Inf\"} 1\n",
        "# TYPE stowage_http_request_seconds histogram\n", "\nstowage_http_requests_in_flight 0\n"};
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
        if (!strstr(text.data, wanted[i]))
            fail_msg("'%s' is missing in\n%s", wanted[i], text.data);
}

static void prints_openapi(void **state) {
    (void)state;
    struct json *document cleanup(json_freep) = http_openapi("Stowage", tables, 2);
    assert_non_null(document);
    assert_string_equal(json_get_text(document, "openapi"), "3.1.0");
    const struct json *paths = json_get(document, "paths");
    const struct json *get = json_get(json_get(paths, "/api/v2/workspaces/{ws}/kv/{ns}/values/{key}"), "get");
    assert_int_equal(json_length(json_get(get, "parameters")), 3);
    assert_null(json_get_text(get, "operationId"));
    const struct json *put = json_get(json_get(paths, "/api/v1/kv/{ns}/values/{key}"), "put");
    assert_string_equal(json_get_text(put, "operationId"), "put");
    assert_int_equal(json_get_int(json_get(put, "requestBody"), "x-max-bytes", 0), 100);
    assert_non_null(json_get(json_get(paths, "/healthz"), "get"));
}

int main(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_routes, start, stop),
        cmocka_unit_test_setup_teardown(keeps_bytes_of_arguments, start, stop),
        cmocka_unit_test_setup_teardown(checks_methods, start, stop),
        cmocka_unit_test_setup_teardown(head_has_no_body, start, stop),
        cmocka_unit_test_setup_teardown(turns_errors_into_answers, start, stop),
        cmocka_unit_test_setup_teardown(asks_for_rights_before_the_body, start, stop),
        cmocka_unit_test_setup_teardown(keeps_the_connection_after_a_refusal, start, stop),
        cmocka_unit_test_setup_teardown(refuses_bodies, start, stop),
        cmocka_unit_test_setup_teardown(counts, start, stop),
        cmocka_unit_test(prints_openapi),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
