// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/http/health.h"

static int healthz(void *arg, struct str *body, const char **ret_type) {
    (void)ret_type;
    (void)str_append(body, arg);
    return 503;
}
static char message[] = "share unreachable\n";

static int start(void **state) {
    struct http_health *server = NULL;
    int r = http_health_start("127.0.0.1:0", healthz, message, &server, NULL);
    *state = server;
    return r;
}
static int stop(void **state) {
    (void)http_health_free(*state);
    return 0;
}

// Sends raw bytes, reads until the server closes, and returns the number of bytes.
static size_t talk(const struct http_health *server, const char *request, char *reply, size_t size) {
    int fd cleanup_close = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(http_health_port(server))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    size_t have = 0;
    for (ssize_t n; have + 1 < size && (n = read(fd, reply + have, size - 1 - have)) > 0;)
        have += (size_t)n;
    reply[have] = '\0';
    return have;
}

static void answers(const struct http_health *server, const char *request, const char *status, const char *contains) {
    char reply[16384];
    (void)talk(server, request, reply, sizeof reply);
    if (strncmp(reply, status, strlen(status)) != 0 || !strstr(reply, contains))
        fail_msg("request\n%s\ngot\n%s", request, reply);
}

static void serves_routes(void **state) {
    answers(*state, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 503",
            "\r\n\r\nshare unreachable\n");
    answers(*state, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200",
            "process_resident_memory_bytes");
}

static void refuses_the_rest(void **state) {
    answers(*state, "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 404",
            "\"code\":\"not_found\"");
    answers(*state, "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
            "HTTP/1.1 405", "Allow: GET, HEAD");
}

static void names_a_bad_address(void **state) {
    (void)state;
    static const char *const bad[] = {"", "9810", "host:", "127.0.0.1:70000", "no such host:1"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct http_health *server = NULL;
        struct err err = ERR_NONE;
        assert_int_equal(http_health_start(bad[i], healthz, message, &server, &err), -EINVAL);
        assert_non_null(strstr(err.msg, bad[i]));
        assert_null(server);
    }
}

static void names_an_address_in_use(void **state) {
    char address[32];
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", http_health_port(*state));
    struct http_health *server = NULL;
    struct err err = ERR_NONE;
    assert_int_equal(http_health_start(address, healthz, message, &server, &err), -EADDRINUSE);
    assert_non_null(strstr(err.msg, address));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(serves_routes, start, stop),
        cmocka_unit_test_setup_teardown(refuses_the_rest, start, stop),
        cmocka_unit_test(names_a_bad_address),
        cmocka_unit_test_setup_teardown(names_an_address_in_use, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
