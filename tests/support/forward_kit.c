// SPDX-License-Identifier: Apache-2.0
#include "tests/support/forward_kit.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/cm.h"

struct forward_kit forward_kit;

static void answered(void *arg, unsigned status, const struct http_head *head, const char *body, size_t len) {
    (void)arg;
    (void)head;
    forward_kit.status = status;
    (void)snprintf(forward_kit.body, sizeof forward_kit.body, "%.*s", body ? (int)len : 6, body ? body : "(none)");
}

static void ended(void *arg) {
    (void)arg;
    __atomic_add_fetch(&forward_kit.ended, 1, __ATOMIC_SEQ_CST);
}

static void handle(void *arg, struct http_request *request) {
    static const struct http_forward_watcher watcher = {answered, ended};
    static const char *const without[] = {"Authorization", NULL};
    (void)arg;
    struct http_forward forward = {.upstream = forward_kit.upstream,
                                   .fields = "Authorization: Bearer ours\r\n",
                                   .without = without,
                                   .may_repeat = http_request_method(request) == HTTP_GET,
                                   .watcher = &watcher};
    http_forward(request, &forward);
}

void forward_kit_listen(void) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(forward_kit.port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    int on = 1;
    forward_kit.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(forward_kit.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    assert_int_equal(bind(forward_kit.listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(forward_kit.listener, 16), 0);
    assert_int_equal(getsockname(forward_kit.listener, (struct sockaddr *)&address, &len), 0);
    forward_kit.port = ntohs(address.sin_port);
}

int forward_kit_set_up(void **state) {
    static const char *const addresses[] = {"127.0.0.1:0"}, *const prefixes[] = {"/api"};
#define ROW(m)                                                                                                         \
    { m, "/{path...}", true, HTTP_BODY_STREAM, 0, handle, #m, "", 0 }
    static const struct http_route routes[] = {ROW(HTTP_GET), ROW(HTTP_HEAD), ROW(HTTP_PUT), ROW(HTTP_POST),
                                               ROW(HTTP_DELETE)};
    static const struct http_table table = {prefixes, 1, routes, ARRAY_SIZE(routes), NULL};
    struct http_options options = {
        .addresses = addresses, .address_count = 1, .tables = &table, .table_count = 1, .threads = 1};
    struct http_upstream_options to = {.name = "the store X", .remedy = "Look at it.", .host = "upstream"};
    char port[8];
    (void)state;
    memset(&forward_kit, 0, sizeof forward_kit);
    forward_kit_listen();
    (void)snprintf(port, sizeof port, "%u", forward_kit.port);
    assert_int_equal(http_upstream_new(&to, &forward_kit.upstream, NULL), 0);
    assert_int_equal(http_upstream_resolve(forward_kit.upstream, "127.0.0.1", port, NULL), 0);
    return http_server_start(&options, &forward_kit.server, NULL);
}

int forward_kit_tear_down(void **state) {
    (void)state;
    forward_kit.server = http_server_free(forward_kit.server);
    forward_kit.upstream = http_upstream_free(forward_kit.upstream);
    if (forward_kit.listener >= 0)
        (void)close(forward_kit.listener);
    return 0;
}

// ---- both ends ---------------------------------------------------------------------------------------------------------

int forward_kit_client(void) {
    return http_kit_connect(http_server_port(forward_kit.server));
}

int forward_kit_link(void) {
    struct pollfd wait = {.fd = forward_kit.listener, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 10000), 1);
    int fd = accept(forward_kit.listener, NULL, NULL);
    assert_true(fd >= 0);
    return fd;
}

void forward_kit_expect_no_link(void) {
    struct pollfd wait = {.fd = forward_kit.listener, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 100), 0);
}

char forward_kit_seen[65536];
const char *forward_kit_read_until(int fd, const char *end) {
    size_t len = 0;
    for (forward_kit_seen[0] = '\0'; !strstr(forward_kit_seen, end);) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&wait, 1, 10000), 1);
        ssize_t n = read(fd, forward_kit_seen + len, sizeof forward_kit_seen - 1 - len);
        assert_true(n > 0);
        len += (size_t)n;
        forward_kit_seen[len] = '\0';
    }
    return forward_kit_seen;
}
const char *forward_kit_read_head(int fd) {
    return forward_kit_read_until(fd, "\r\n\r\n");
}

void forward_kit_expect_closed(int fd) {
    char byte;
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 10000), 1);
    assert_true(read(fd, &byte, 1) <= 0);
}

void forward_kit_expect(int client, int status, const char *body) {
    struct http_kit_reply reply;
    http_kit_read(client, false, &reply);
    assert_int_equal(reply.status, status);
    assert_true(reply.complete);
    if (body)
        assert_non_null(strstr(reply.body, body));
    http_kit_reply_done(&reply);
}

// A connection that is kept after one exchange.
int forward_kit_kept_link(int client) {
    http_kit_send(client, GET);
    int link = forward_kit_link();
    (void)forward_kit_read_head(link);
    http_kit_send(link, OK2);
    forward_kit_expect(client, 200, "ok");
    return link;
}

void forward_kit_wait_for_ends(int count) {
    for (int i = 0; i < 1000 && __atomic_load_n(&forward_kit.ended, __ATOMIC_SEQ_CST) < count; i++)
        (void)poll(NULL, 0, 10);
    assert_int_equal(__atomic_load_n(&forward_kit.ended, __ATOMIC_SEQ_CST), count);
}
