// SPDX-License-Identifier: Apache-2.0
// Time and number: slow clients, too many of them, clients that leave, and the orderly end.
#include "tests/support/cm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/http/server.h"
#include "tests/support/http_kit.h"

static _Atomic(struct http_request *) held; // of /hold, until the test answers it
static atomic_int closed;

static void hold(void *arg, struct http_request *request) {
    (void)arg;
    atomic_store(&held, request);
}
static void echo(void *arg, struct http_request *request) {
    (void)arg;
    size_t len;
    const void *body = http_request_body(request, &len);
    http_reply(request, 200, NULL, body, len);
}
static int64_t read_zeroes(void *arg, void *buf, size_t len) {
    (void)arg;
    memset(buf, 0, len);
    return (int64_t)len;
}
static int64_t read_nothing(void *arg, void *buf, size_t len) { // events that never come
    (void)arg, (void)buf, (void)len;
    return -EAGAIN;
}
static void note_close(void *arg) {
    (void)arg;
    atomic_fetch_add(&closed, 1);
}
static const struct http_source endless = {read_zeroes, note_close};
static const struct http_source silent = {read_nothing, note_close};
static void send_endless(void *arg, struct http_request *request) {
    (void)arg;
    http_reply_source(request, 200, NULL, &endless, NULL);
}
static void send_silent(void *arg, struct http_request *request) {
    (void)arg;
    http_reply_source(request, 200, "text/event-stream", &silent, NULL);
}

static const struct http_route routes[] = {
    {.method = HTTP_GET, .pattern = "/hold", .handle = hold, .name = "hold"},
    {.method = HTTP_POST,
     .pattern = "/echo",
     .body = HTTP_BODY_WHOLE,
     .body_max = 100000,
     .handle = echo,
     .name = "echo"},
    {.method = HTTP_GET, .pattern = "/endless", .handle = send_endless, .name = "endless"},
    {.method = HTTP_GET, .pattern = "/silent", .handle = send_silent, .name = "silent"},
};
static const char *const prefixes[] = {""};
static const struct http_table table = {prefixes, 1, routes, ARRAY_SIZE(routes), NULL};

static int start(void **state) {
    static const char *const addresses[] = {"127.0.0.1:0"};
    struct http_options options = {.addresses = addresses,
                                   .address_count = 1,
                                   .tables = &table,
                                   .table_count = 1,
                                   .connections_max = 8,
                                   .header_s = 1,
                                   .body_s = 1,
                                   .idle_s = 1};
    struct http_server *server = NULL;
    int r = http_server_start(&options, &server, NULL);
    *state = server;
    atomic_store(&held, NULL);
    return r;
}
static int stop(void **state) {
    (void)http_server_free(*state);
    return 0;
}

static struct http_request *wait_held(void) {
    for (int ms = 0; !atomic_load(&held) && ms < 10000; ms++)
        (void)usleep(1000);
    assert_non_null(atomic_load(&held));
    return atomic_exchange(&held, NULL);
}

static void expect_status(int fd, int status) {
    struct http_kit_reply reply;
    http_kit_read(fd, false, &reply);
    if (reply.status != status)
        fail_msg("wanted %d, got %s", status, reply.head);
    http_kit_reply_done(&reply);
}

// Bytes that trickle in do not prolong the time for a head; a body must come at a rate.
static void cuts_slow_clients(void **state) {
    static const struct {
        const char *begin;
        int status; // 0: closed without an answer
    } slow[] = {{"", 0},
                {"GET /x HT", 408},
                {"GET /x HTTP/1.1\r\nHost: a\r\n", 408},
                {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", 408},
                {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n", 408}};
    for (size_t i = 0; i < ARRAY_SIZE(slow); i++) {
        int fd cleanup_close = http_kit_connect(http_server_port(*state));
        http_kit_send(fd, slow[i].begin);
        struct timeval step = {.tv_usec = 100000}; // a byte each tenth of a second, for ever as far as the client goes
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &step, sizeof step), 0);
        char buf[1];
        bool answered = false;
        for (int sent = 0; sent < 100 && !answered; sent++) {
            answered = recv(fd, buf, 1, MSG_PEEK) >= 0;
            if (!answered && *slow[i].begin)
                answered = !http_kit_try_send(fd, "a", 1);
        }
        if (!answered)
            fail_msg("'%s' was not cut", slow[i].begin);
        if (slow[i].status)
            expect_status(fd, slow[i].status);
        else
            assert_true(http_kit_closed(fd));
    }
    int fd cleanup_close = http_kit_connect(http_server_port(*state)); // and one that is idle after a request
    http_kit_send(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    expect_status(fd, 200);
    assert_true(http_kit_closed(fd));
}

// Who does not read what was asked for is cut, and its source closed.
static void cuts_clients_that_do_not_read(void **state) {
    int before = atomic_load(&closed);
    int fd cleanup_close = http_kit_connect(http_server_port(*state));
    http_kit_send(fd, "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n");
    for (int ms = 0; atomic_load(&closed) == before && ms < 10000; ms++)
        (void)usleep(1000);
    assert_int_equal(atomic_load(&closed) - before, 1);
}

// Waiting for events is not slowness, but leaving is noticed at once.
static void keeps_silent_sources(void **state) {
    int before = atomic_load(&closed);
    int fd = http_kit_connect(http_server_port(*state));
    http_kit_send(fd, "GET /silent HTTP/1.1\r\nHost: a\r\n\r\n");
    char head[512];
    assert_true(recv(fd, head, sizeof head, 0) > 0);
    struct timeval limit = {.tv_sec = 3};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    assert_true(recv(fd, head, 1, 0) < 0 && errno == EAGAIN); // neither data nor an end in three times the limit
    assert_int_equal(atomic_load(&closed), before);
    (void)close(fd);
    for (int ms = 0; atomic_load(&closed) == before && ms < 10000; ms++)
        (void)usleep(1000);
    assert_int_equal(atomic_load(&closed) - before, 1);
}

// Above the limit there is an answer that says so; when one leaves, there is room again.
static void limits_connections(void **state) {
    int fds[8];
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = http_kit_connect(http_server_port(*state));
        http_kit_send(fds[i], "GET /silent HTTP/1.1\r\nHost: a\r\n\r\n");
        char byte;
        assert_int_equal(recv(fds[i], &byte, 1, 0), 1); // it is in
    }
    int over cleanup_close = http_kit_connect(http_server_port(*state));
    expect_status(over, 503);
    assert_true(http_kit_closed(over));
    int before = atomic_load(&closed);
    (void)close(fds[0]);
    for (int ms = 0; atomic_load(&closed) == before && ms < 10000; ms++)
        (void)usleep(1000);
    int fd cleanup_close = http_kit_connect(http_server_port(*state));
    http_kit_send(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    expect_status(fd, 200);
    for (size_t i = 1; i < ARRAY_SIZE(fds); i++)
        (void)close(fds[i]);
}

// The request learns that the client has left, and its answer goes nowhere without harm.
static void tells_that_the_client_is_gone(void **state) {
    int fd = http_kit_connect(http_server_port(*state));
    http_kit_send(fd, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    struct http_request *request = wait_held();
    assert_false(http_request_gone(request));
    (void)close(fd);
    for (int ms = 0; !http_request_gone(request) && ms < 10000; ms++)
        (void)usleep(1000);
    assert_true(http_request_gone(request));
    http_reply_empty(request, 200);
}

static void *stop_server(void *arg) {
    http_server_stop(arg, 5000);
    return NULL;
}

// What runs is finished, what comes is refused, and then all is closed.
static void drains(void **state) {
    int busy cleanup_close = http_kit_connect(http_server_port(*state));
    int idle cleanup_close = http_kit_connect(http_server_port(*state));
    int half cleanup_close = http_kit_connect(http_server_port(*state));
    http_kit_send(half, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
    http_kit_send(busy, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    struct http_request *request = wait_held();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_server, *state), 0);
    assert_true(http_kit_closed(idle));
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(http_server_port(*state))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bool refused = false; // as soon as the accepting loop has looked
    for (int tries = 0; !refused && tries < 5000; tries++) {
        int late cleanup_close = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        refused = connect(late, (struct sockaddr *)&to, sizeof to) < 0 && errno == ECONNREFUSED;
        (void)usleep(1000);
    }
    assert_true(refused);
    http_kit_send(half, "bc");
    expect_status(half, 200);
    assert_true(http_kit_closed(half));
    http_kit_send(busy, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    http_reply(request, 200, NULL, "done", 4);
    expect_status(busy, 200);
    assert_true(http_kit_closed(busy));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_null(atomic_load(&held));
}

// A handler that answers after the server was freed harms nobody, whatever it does with its request.
static void outlives_the_server(void **state) {
    int fd cleanup_close = http_kit_connect(http_server_port(*state));
    http_kit_send(fd, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    struct http_request *request = wait_held();
    (void)http_server_free(*state);
    *state = NULL;
    assert_true(http_kit_closed(fd));
    assert_true(http_request_gone(request));
    http_reply(request, 200, NULL, "late", 4);
}

static void refuses_bad_tables(void **state) {
    (void)state;
    static const char *const bad[] = {
        "x", "/{", "/{}", "/a/{b...}/c", "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", "/1/2/3/4/5/6/7/8/9/10/11/12/13"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct http_route route = {.method = HTTP_GET, .pattern = bad[i], .handle = hold, .name = "x"};
        struct http_table one = {prefixes, 1, &route, 1, NULL};
        struct http_options options = {.tables = &one, .table_count = 1};
        struct http_server *server = NULL;
        struct err err = ERR_NONE;
        assert_int_equal(http_server_start(&options, &server, &err), -EINVAL);
        assert_non_null(strstr(err.msg, bad[i]));
    }
}

static void refuses_bad_sockets(void **state) {
    (void)state;
    char dir[] = "/tmp/stowage-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char address[64], file[64];
    (void)snprintf(file, sizeof file, "%s/file", dir);
    (void)snprintf(address, sizeof address, "unix:%s/socket", dir);
    (void)fclose(fopen(file, "we"));
    const char *one[] = {address};
    struct http_options options = {.addresses = one, .address_count = 1, .tables = &table, .table_count = 1};
    struct http_server *server = NULL, *second = NULL;
    struct err err = ERR_NONE;
    // The socket of a process that died is replaced; one of a living process is not, nor a file.
    int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    (void)snprintf(name.sun_path, sizeof name.sun_path, "%s", address + 5);
    assert_int_equal(bind(dead, (struct sockaddr *)&name, sizeof name), 0);
    (void)close(dead);
    assert_int_equal(http_server_start(&options, &server, &err), 0);
    assert_int_equal(http_server_start(&options, &second, &err), -EADDRINUSE);
    assert_int_equal(access(address + 5, F_OK), 0);
    server = http_server_free(server);
    assert_int_equal(access(address + 5, F_OK), -1);
    (void)snprintf(address, sizeof address, "unix:%s", file);
    assert_int_equal(http_server_start(&options, &server, &err), -EADDRINUSE);
    assert_int_equal(access(file, F_OK), 0);
    (void)unlink(file);
    (void)rmdir(dir);
}

int main(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cuts_slow_clients, start, stop),
        cmocka_unit_test_setup_teardown(cuts_clients_that_do_not_read, start, stop),
        cmocka_unit_test_setup_teardown(keeps_silent_sources, start, stop),
        cmocka_unit_test_setup_teardown(limits_connections, start, stop),
        cmocka_unit_test_setup_teardown(tells_that_the_client_is_gone, start, stop),
        cmocka_unit_test_setup_teardown(drains, start, stop),
        cmocka_unit_test_setup_teardown(outlives_the_server, start, stop),
        cmocka_unit_test(refuses_bad_tables),
        cmocka_unit_test(refuses_bad_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
