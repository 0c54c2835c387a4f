// SPDX-License-Identifier: Apache-2.0
// Every route of the table without a token, with a wrong one, an expired one, another workspace's and a reader's: a new route
// is covered by being a row.
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "sidecar/access.h"
#include "sidecar/api.h"
#include "sidecar/sigv4.h"
#include "sidecar/tokens.h"
#include "tests/support/cm.h"

static const char token_text[] = "writer-token-of-one one write\nreader-token-of-one one read\n"
                                 "writer-token-of-two two write\nexpired-token-of-one one write 1000000000\n";

static struct api api;
static struct http_server *server;
static struct tokens *tokens, *admins;
static const struct signer signer = {.key = "0123456789abcdef0123456789abcde"};
static char folder[] = "/tmp/stowage-access-XXXXXX";
static char file[64];

// An engine that has nothing, for what everybody may read.
static void get_nothing(void *self, struct object_get *call) {
    (void)self;
    (void)err_set(&call->call.err, -ENOENT, "no such object in '%s'", call->call.workspace);
    call->call.done(&call->call);
}
static const struct object_ops object_ops = {.get = get_nothing};
static const struct engine engine = {.object = &object_ops};
static struct service service = {.engine = &engine, .signer = &signer, .clock = &clock_system};

struct answer {
    unsigned status;
    char text[8192];
};

static struct answer ask(const char *method, const char *path, const char *token) {
    struct answer answer = {0};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = 10};
    char text[2048];
    int fd cleanup_close = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_port = htons(http_server_port(server));
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    int len = snprintf(text, sizeof text,
                       "%s %s HTTP/1.1\r\nHost: store\r\nConnection: close\r\nContent-Length: 0\r\n%s%s%s\r\n", method,
                       path, token ? "Authorization: Bearer " : "", token ? token : "", token ? "\r\n" : "");
    assert_int_equal(send(fd, text, (size_t)len, MSG_NOSIGNAL), len);
    size_t got = 0;
    for (ssize_t n = 1; n > 0 && got<sizeof answer.text - 1; got += n> 0 ? (size_t)n : 0)
        n = recv(fd, answer.text + got, sizeof answer.text - 1 - got, 0);
    assert_int_equal(sscanf(answer.text, "HTTP/1.1 %u ", &answer.status), 1);
    return answer;
}

static const char *method_name(enum http_method method) {
    static const char *const names[] = {"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"};
    return names[method];
}

// The pattern with "x" for every argument.
static void make_path(const char *prefix, const char *pattern, char ret[static 256]) {
    size_t at = (size_t)snprintf(ret, 256, "%s", prefix);
    for (const char *p = pattern; *p && at < 250; p++) {
        if (*p != '{') {
            ret[at++] = *p;
            continue;
        }
        ret[at++] = 'x';
        p = strchr(p, '}');
        assert_non_null(p);
    }
    ret[at] = '\0';
}

static void expect(const struct http_route *route, const char *path, const char *token, unsigned status) {
    struct answer answer = ask(method_name(route->method), path, token);
    if (answer.status != status)
        fail_msg("%s %s with %s: %u, not %u", method_name(route->method), path, token ? token : "no token",
                 answer.status, status);
    if (route->method == HTTP_HEAD)
        return;
    assert_non_null(strstr(answer.text, "application/json"));
    assert_non_null(strstr(answer.text, "{\"code\":\""));
    assert_non_null(strstr(answer.text, "\"message\":\""));
    if (status == 401)
        assert_non_null(strstr(answer.text, "WWW-Authenticate: Bearer"));
}

static void test_every_route(void **state) {
    (void)state;
    size_t closed = 0, writing = 0;
    for (size_t i = 0; i < api.count; i++) {
        const struct http_route *route = &api.rows[i];
        char v1[256], v2[256];
        make_path("/api/v1", route->pattern, v1);
        make_path("/api/v2/workspaces/one", route->pattern, v2);
        assert_true(route->access & (ACCESS_READ | ACCESS_WRITE)); // nothing of the API is for everybody
        bool changes = route->method == HTTP_PUT || route->method == HTTP_POST || route->method == HTTP_DELETE;
        if (changes)
            assert_true(route->access & ACCESS_WRITE);
        if (route->access & ACCESS_PUBLIC)
            continue; // below
        closed++;
        for (size_t n = 0; n < 2; n++) {
            const char *path = n ? v2 : v1;
            expect(route, path, NULL, 401);
            expect(route, path, "", 401);
            expect(route, path, "writer-token-of-onE", 401);
            expect(route, path, "expired-token-of-one", 401);
            if (route->access & ACCESS_WRITE)
                expect(route, path, "reader-token-of-one", 403);
        }
        writing += (route->access & ACCESS_WRITE) != 0;
        expect(route, v2, "writer-token-of-two", 403);
    }
    assert_true(closed > 30 && writing > 15);
}

// Public objects: for everybody by name, never by list, and never in another workspace.
static void test_public_routes(void **state) {
    (void)state;
    size_t seen = 0;
    for (size_t i = 0; i < api.count; i++) {
        const struct http_route *route = &api.rows[i];
        char path[256], nameless[256];
        if (!(route->access & ACCESS_PUBLIC))
            continue;
        seen++;
        assert_int_equal(route->method, HTTP_GET);
        assert_non_null(strstr(route->pattern, "/public"));
        make_path("/api/v2/workspaces/one", route->pattern, path);
        unsigned status = ask("GET", path, NULL).status;
        assert_true(status == 404 || status == 307);
        struct answer answer = ask("GET", path, "writer-token-of-two");
        assert_true(answer.status == status && !strstr(answer.text, "two"));
        (void)snprintf(nameless, sizeof nameless, "%.*s", (int)strlen(path) - 1, path);
        expect(route, nameless, NULL, 401);
        make_path("/api/v1", route->pattern, path); // which workspace?
        expect(route, path, NULL, 401);
    }
    assert_true(seen >= 2);
}

static void test_admin(void **state) {
    (void)state;
    static const char *const all[] = {NULL, "wrong-token-wrong", "writer-token-of-one", "writer-token-of-two"};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        assert_int_equal(ask("POST", "/admin/backup/b", all[i]).status, 401);
    assert_int_equal(ask("GET", "/api/v2/workspaces/admin/kv/namespaces", "admin-token-secret").status, 401);
}

static void test_health_needs_none(void **state) {
    (void)state;
    assert_int_equal(ask("GET", "/healthz", NULL).status, 200);
    assert_int_equal(ask("GET", "/metrics", NULL).status, 200);
    assert_int_equal(ask("GET", "/openapi.json", NULL).status, 200);
}

static int write_text(const char *text) {
    FILE *out = fopen(file, "w");
    return out && fputs(text, out) >= 0 && fclose(out) == 0 ? 0 : -1;
}

static int set_up(void **state) {
    (void)state;
    static const char *const addresses[] = {"127.0.0.1:0"};
    struct err err = ERR_NONE;
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(file, sizeof file, "%s/tokens", folder);
    if (write_text("admin-token-secret admin write\n") < 0 || tokens_open(file, &clock_system, &admins, &err) < 0)
        return -1;
    if (write_text(token_text) < 0 || tokens_open(file, &clock_system, &tokens, &err) < 0)
        return -1;
    service.tokens = tokens;
    service.admins = admins;
    if (api_build(&service, &api, &err) < 0)
        return -1;
    struct http_options options = {
        .addresses = addresses,
        .address_count = 1,
        .tables = api.tables,
        .table_count = API_TABLES,
        .authorize = access_authorize,
        .authorize_arg = &service,
        .threads = 1,
    };
    return http_server_start(&options, &server, &err);
}

static int tear_down(void **state) {
    (void)state;
    server = http_server_free(server);
    api_done(&api);
    tokens = tokens_free(tokens);
    admins = tokens_free(admins);
    (void)unlink(file);
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_route),
        cmocka_unit_test(test_public_routes),
        cmocka_unit_test(test_admin),
        cmocka_unit_test(test_health_needs_none),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
