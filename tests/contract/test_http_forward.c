// SPDX-License-Identifier: Apache-2.0
// Requests that are passed on, between a client and an upstream that both write raw bytes: what goes through, what is kept, and what a
// connection that dies turns into.
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/http/server.h"
#include "lib/http/upstream.h"
#include "tests/support/cm.h"
#include "tests/support/http_kit.h"

static struct {
    int listener;
    uint16_t port; // of the upstream
    struct http_upstream *upstream;
    struct http_server *server;
    int ended; // how often the watcher was told of an end
    unsigned status;
    char body[64];
} kit;

static void answered(void *arg, unsigned status, const struct http_head *head, const char *body, size_t len) {
    (void)arg;
    (void)head;
    kit.status = status;
    (void)snprintf(kit.body, sizeof kit.body, "%.*s", body ? (int)len : 6, body ? body : "(none)");
}

static void ended(void *arg) {
    (void)arg;
    __atomic_add_fetch(&kit.ended, 1, __ATOMIC_SEQ_CST);
}

static void handle(void *arg, struct http_request *request) {
    static const struct http_forward_watcher watcher = {answered, ended};
    static const char *const without[] = {"Authorization", NULL};
    (void)arg;
    struct http_forward forward = {.upstream = kit.upstream,
                                   .fields = "Authorization: Bearer ours\r\n",
                                   .without = without,
                                   .may_repeat = http_request_method(request) == HTTP_GET,
                                   .watcher = &watcher};
    http_forward(request, &forward);
}

static void listen_upstream(void) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(kit.port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    int on = 1;
    kit.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(kit.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    assert_int_equal(bind(kit.listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(kit.listener, 16), 0);
    assert_int_equal(getsockname(kit.listener, (struct sockaddr *)&address, &len), 0);
    kit.port = ntohs(address.sin_port);
}

static int set_up(void **state) {
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
    memset(&kit, 0, sizeof kit);
    listen_upstream();
    (void)snprintf(port, sizeof port, "%u", kit.port);
    assert_int_equal(http_upstream_new(&to, &kit.upstream, NULL), 0);
    assert_int_equal(http_upstream_resolve(kit.upstream, "127.0.0.1", port, NULL), 0);
    return http_server_start(&options, &kit.server, NULL);
}

static int tear_down(void **state) {
    (void)state;
    kit.server = http_server_free(kit.server);
    kit.upstream = http_upstream_free(kit.upstream);
    if (kit.listener >= 0)
        (void)close(kit.listener);
    return 0;
}

// ---- both ends ---------------------------------------------------------------------------------------------------------

static int open_client(void) {
    return http_kit_connect(http_server_port(kit.server));
}

static int accept_link(void) {
    struct pollfd wait = {.fd = kit.listener, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 10000), 1);
    int fd = accept(kit.listener, NULL, NULL);
    assert_true(fd >= 0);
    return fd;
}

static void expect_no_link(void) {
    struct pollfd wait = {.fd = kit.listener, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 100), 0);
}

static char seen[65536];
// Reads until `end` stands there.
static const char *read_until(int fd, const char *end) {
    size_t len = 0;
    for (seen[0] = '\0'; !strstr(seen, end);) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&wait, 1, 10000), 1);
        ssize_t n = read(fd, seen + len, sizeof seen - 1 - len);
        assert_true(n > 0);
        len += (size_t)n;
        seen[len] = '\0';
    }
    return seen;
}
static const char *read_head(int fd) {
    return read_until(fd, "\r\n\r\n");
}

static void expect_closed(int fd) {
    char byte;
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 10000), 1);
    assert_true(read(fd, &byte, 1) <= 0);
}

#define GET "GET /api/x HTTP/1.1\r\nHost: us\r\n\r\n"
#define POST "POST /api/x HTTP/1.1\r\nHost: us\r\nContent-Length: 2\r\n\r\nhi"
#define OK2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static void expect(int client, int status, const char *body) {
    struct http_kit_reply reply;
    http_kit_read(client, false, &reply);
    assert_int_equal(reply.status, status);
    assert_true(reply.complete);
    if (body)
        assert_non_null(strstr(reply.body, body));
    http_kit_reply_done(&reply);
}

// A connection that is kept after one exchange.
static int kept_link(int client) {
    http_kit_send(client, GET);
    int link = accept_link();
    (void)read_head(link);
    http_kit_send(link, OK2);
    expect(client, 200, "ok");
    return link;
}

static void wait_for_ends(int count) {
    for (int i = 0; i < 1000 && __atomic_load_n(&kit.ended, __ATOMIC_SEQ_CST) < count; i++)
        (void)poll(NULL, 0, 10);
    assert_int_equal(__atomic_load_n(&kit.ended, __ATOMIC_SEQ_CST), count);
}

// ---- what goes through -----------------------------------------------------------------------------------------------------

static void a_request_goes_as_it_came(void **state) {
    char value[64];
    struct http_kit_reply reply;
    (void)state;
    int client = open_client();
    http_kit_send(
        client,
        "GET /api//a%2Fb/..?c=%20&d HTTP/1.1\r\nHost: us:1\r\nAuthorization: Bearer theirs\r\nIf-Match: \"1\"\r\n"
        "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n\r\n");
    int link = accept_link();
    const char *head = read_head(link);
    assert_ptr_equal(strstr(head, "GET /api//a%2Fb/..?c=%20&d HTTP/1.1\r\nHost: upstream\r\n"), head);
    assert_non_null(strstr(head, "\r\nAuthorization: Bearer ours\r\n"));
    assert_non_null(strstr(head, "\r\nIf-Match: \"1\"\r\n"));
    assert_null(strstr(head, "theirs"));
    assert_null(strstr(head, "Hop"));
    assert_null(strstr(head, "Keep-Alive"));
    assert_null(strstr(head, "TE:"));
    http_kit_send(
        link, "HTTP/1.1 206 Partial Content\r\nContent-Type: text/x\r\nETag: \"9\"\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"
              "Content-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nab");
    http_kit_read(client, false, &reply);
    assert_int_equal(reply.status, 206);
    assert_string_equal(reply.body, "ab");
    assert_string_equal(http_kit_field(&reply, "Content-Type", value, sizeof value), "text/x");
    assert_string_equal(http_kit_field(&reply, "ETag", value, sizeof value), "\"9\"");
    assert_string_equal(http_kit_field(&reply, "Content-Range", value, sizeof value), "bytes 0-1/9");
    assert_null(http_kit_field(&reply, "X-Hop", value, sizeof value));
    http_kit_reply_done(&reply);
    assert_int_equal(kit.status, 206);
    assert_string_equal(kit.body, "ab");
    wait_for_ends(1);
    (void)close(client);
    (void)close(link);
}

static void answers_without_a_body_leave_the_connection_usable(void **state) {
    struct http_kit_reply reply;
    char value[32];
    (void)state;
    int client = open_client(), link = kept_link(client);
    http_kit_send(client, "HEAD /api/x HTTP/1.1\r\nHost: us\r\n\r\n");
    (void)read_head(link);
    http_kit_send(link, "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n");
    http_kit_read(client, true, &reply);
    assert_string_equal(http_kit_field(&reply, "Content-Length", value, sizeof value), "70000");
    http_kit_reply_done(&reply);
    static const char *const heads[] = {"HTTP/1.1 204 No Content\r\n\r\n",
                                        "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
        http_kit_send(client, GET);
        (void)read_head(link);
        http_kit_send(link, heads[i]);
        expect(client, i == 0 ? 204 : i == 1 ? 304 : 200, NULL);
    }
    http_kit_send(client, "DELETE /api/x HTTP/1.1\r\nHost: us\r\n\r\n");
    assert_non_null(strstr(read_head(link), "\r\nContent-Length: 0\r\n"));
    http_kit_send(link, OK2);
    expect(client, 200, "ok");
    expect_no_link();
    wait_for_ends(6);
    (void)close(client);
    (void)close(link);
}

static void pieces_go_on_as_they_come(void **state) {
    (void)state;
    int client = open_client();
    http_kit_send(client, GET);
    int link = accept_link();
    (void)read_head(link);
    http_kit_send(
        link, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    (void)read_until(client, "first");
    assert_string_equal(kit.body, "(none)");
    http_kit_send(link, "6\r\nsecond\r\n");
    (void)read_until(client, "second");
    assert_null(strstr(seen, "\r\n0\r\n"));
    http_kit_send(link, "0\r\n\r\n");
    (void)read_until(client, "0\r\n\r\n");
    http_kit_send(client, GET); // both connections go on
    (void)read_head(link);
    http_kit_send(link, OK2);
    expect(client, 200, "ok");
    (void)close(client);
    (void)close(link);
}

static void an_interim_answer_is_passed_over(void **state) {
    (void)state;
    int client = open_client();
    http_kit_send(client, GET);
    int link = accept_link();
    (void)read_head(link);
    http_kit_send(link, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
    http_kit_send(link, OK2);
    expect(client, 200, "ok");
    (void)close(client);
    (void)close(link);
}

static void a_body_to_the_end_of_the_connection_is_whole(void **state) {
    (void)state;
    int client = open_client();
    http_kit_send(client, GET);
    int link = accept_link();
    (void)read_head(link);
    http_kit_send(link, "HTTP/1.1 200 OK\r\n\r\nall of it");
    (void)close(link);
    expect(client, 200, "all of it");
    (void)close(client);
}

static void expect_upload(int link, size_t len, bool chunked) {
    size_t got = 0, marks = 0;
    static char data[65536];
    char *body = strstr(read_head(link), "\r\n\r\n") + 4;
    assert_true((strstr(seen, "Transfer-Encoding: chunked") != NULL) == chunked);
    for (char *c = body; *c; c++)
        marks += *c == 'u';
    while (marks < len) {
        ssize_t n = read(link, data, sizeof data);
        assert_true(n > 0);
        got += (size_t)n;
        for (ssize_t i = 0; i < n; i++)
            marks += data[i] == 'u';
    }
    assert_int_equal(marks, len);
    (void)got;
}

static void uploads_go_through_in_pieces(void **state) {
    enum { LEN = 6 << 20 };
    char *data cleanup_free = mem_alloc(LEN + 1), head[128];
    (void)state;
    memset(data, 'u', LEN);
    int client = open_client();
    (void)snprintf(head, sizeof head,
                   "PUT /api/x HTTP/1.1\r\nHost: s\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", LEN);
    pid_t writer = fork();
    if (writer == 0) { // who may be kept waiting, while this process reads
        http_kit_send(client, head);
        http_kit_send_bytes(client, data, LEN);
        _exit(0);
    }
    int link = accept_link();
    expect_upload(link, LEN, false);
    http_kit_send(link, OK2);
    (void)read_until(client, "100 Continue\r\n\r\n");
    if (!strstr(seen, "\r\nok"))
        expect(client, 200, "ok");
    http_kit_send(
        client,
        "PUT /api/x HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nuuuu\r\n2\r\nuu\r\n0\r\n\r\n");
    expect_upload(link, 6, true);
    http_kit_send(link, OK2);
    expect(client, 200, "ok");
    expect_no_link();
    (void)close(client);
    (void)close(link);
}

static void an_answer_before_the_end_of_the_body_is_given(void **state) {
    (void)state;
    int client = open_client();
    http_kit_send(client, "PUT /api/x HTTP/1.1\r\nHost: us\r\nContent-Length: 1000000\r\n\r\nbegin");
    int link = accept_link();
    (void)read_until(link, "begin");
    http_kit_send(link, "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nmany");
    (void)poll(NULL, 0, 50);
    http_kit_send(client, "more");
    expect(client, 413, "many");
    expect_closed(link);
    (void)close(client);
    (void)close(link);
}

// ---- what dies -----------------------------------------------------------------------------------------------------------

static void a_part_is_never_the_whole(void **state) {
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
                                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        struct http_kit_reply reply;
        int client = open_client();
        http_kit_send(client, GET);
        int link = accept_link();
        (void)read_head(link);
        http_kit_send(link, answers[i]);
        (void)close(link);
        http_kit_read(client, false, &reply);
        assert_false(reply.complete);
        http_kit_reply_done(&reply);
        (void)close(client);
        wait_for_ends((int)i + 1);
    }
}

static void what_was_sent_is_not_sent_twice(void **state) {
    (void)state;
    int client = open_client(), link = kept_link(client);
    http_kit_send(client, POST); // on a kept connection
    (void)read_until(link, "hi");
    (void)close(link);
    expect(client, 502, "answer_lost");
    expect_no_link();
    http_kit_send(client, POST); // on a new one
    link = accept_link();
    (void)read_until(link, "hi");
    (void)close(link);
    expect(client, 502, "answer_lost");
    expect_no_link();
    (void)close(client);
}

static void a_question_is_repeated_once_where_a_kept_connection_was_dead(void **state) {
    struct http_kit_reply reply;
    char value[16];
    (void)state;
    int client = open_client(), link = kept_link(client);
    http_kit_send(client, GET);
    (void)read_head(link);
    (void)close(link); // as if it had been closed before
    link = accept_link();
    (void)read_head(link);
    (void)close(link); // this one was new: the upstream fails
    http_kit_read(client, false, &reply);
    assert_int_equal(reply.status, 503);
    assert_non_null(strstr(reply.body, "answer_lost"));
    assert_string_equal(http_kit_field(&reply, "Retry-After", value, sizeof value), "1");
    http_kit_reply_done(&reply);
    expect_no_link();
    (void)close(client);
}

static void a_kept_connection_that_was_closed_is_not_used(void **state) {
    (void)state;
    int client = open_client(), link = kept_link(client);
    (void)close(link);
    (void)poll(NULL, 0, 50);
    http_kit_send(client, POST);
    link = accept_link();
    (void)read_until(link, "hi");
    http_kit_send(link, OK2);
    expect(client, 200, "ok");
    (void)close(client);
    (void)close(link);
}

static void an_upstream_that_is_away_is_told_and_comes_back(void **state) {
    struct http_kit_reply reply;
    char value[16];
    (void)state;
    (void)close(kit.listener);
    int client = open_client();
    static const char *const asked[] = {GET, POST};
    for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
        http_kit_send(client, asked[i]);
        http_kit_read(client, false, &reply);
        assert_int_equal(reply.status, 503);
        assert_string_equal(http_kit_field(&reply, "Retry-After", value, sizeof value), "1");
        assert_non_null(strstr(reply.body, "\"code\":\"store_unreachable\""));
        assert_non_null(strstr(reply.body, "the store X"));
        assert_non_null(strstr(reply.body, "Look at it."));
        http_kit_reply_done(&reply);
    }
    assert_true(http_upstream_missed(kit.upstream));
    listen_upstream();
    http_kit_send(client, POST);
    int link = accept_link();
    (void)read_until(link, "hi");
    http_kit_send(link, OK2);
    expect(client, 200, "ok");
    wait_for_ends(3);
    (void)close(client);
    (void)close(link);
}

static void what_is_no_answer_is_told(void **state) {
    static const char *const answers[] = {"SSH-2.0-x\r\n\r\n",
                                          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                                          "HTTP/1.1 200 OK\nX: y\n\n", "HTTP/1.1 2x0 OK\r\n\r\n",
                                          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        int client = open_client();
        http_kit_send(client, GET);
        int link = accept_link();
        (void)read_head(link);
        http_kit_send(link, answers[i]);
        expect(client, 502, "bad_answer");
        (void)close(client);
        (void)close(link);
    }
}

static void bytes_behind_an_answer_end_the_connection(void **state) {
    (void)state;
    int client = open_client();
    http_kit_send(client, GET);
    int link = accept_link();
    (void)read_head(link);
    http_kit_send(link, OK2 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong");
    expect(client, 200, "ok");
    expect_closed(link);
    http_kit_send(client, GET);
    int other = accept_link();
    (void)read_head(other);
    http_kit_send(other, OK2);
    expect(client, 200, "ok");
    (void)close(client);
    (void)close(link);
    (void)close(other);
}

// ---- who leaves -----------------------------------------------------------------------------------------------------------

static void a_client_that_leaves_is_missed_by_the_upstream(void **state) {
    (void)state;
    int client = open_client();
    http_kit_send(client, GET); // a long poll
    int link = accept_link();
    (void)read_head(link);
    (void)close(client);
    expect_closed(link);
    (void)close(link);
    client = open_client();
    http_kit_send(client, GET); // a stream
    link = accept_link();
    (void)read_head(link);
    http_kit_send(link, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    (void)read_until(client, "first");
    (void)close(client);
    expect_closed(link);
    (void)close(link);
    client = open_client();
    http_kit_send(client, "PUT /api/x HTTP/1.1\r\nHost: us\r\nContent-Length: 1000\r\n\r\nbegin"); // an upload
    link = accept_link();
    (void)read_until(link, "begin");
    (void)close(client);
    expect_closed(link);
    (void)close(link);
    wait_for_ends(3);
}

static void a_client_that_only_closed_its_side_is_answered(void **state) {
    char text[1024];
    (void)state;
    int client = open_client();
    http_kit_send(client, POST);
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    int link = accept_link();
    (void)read_until(link, "hi");
    expect_closed(link); // the upstream knows that nobody waits for long
    http_kit_send(link, OK2);
    (void)http_kit_read_to_end(client, text, sizeof text);
    assert_non_null(strstr(text, "\r\n\r\nok"));
    (void)close(client);
    (void)close(link);
}

static void a_server_that_stops_takes_its_waits_along(void **state) {
    (void)state;
    int client = open_client(), other = open_client();
    http_kit_send(client, GET);
    int link = accept_link();
    (void)read_head(link);
    http_kit_send(other, GET);
    int stream = accept_link();
    (void)read_head(stream);
    http_kit_send(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    (void)read_until(other, "first");
    http_server_stop(kit.server, 50);
    expect_closed(link);
    expect_closed(stream);
    wait_for_ends(2);
    (void)close(client);
    (void)close(other);
    (void)close(link);
    (void)close(stream);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(a_request_goes_as_it_came),
        T(answers_without_a_body_leave_the_connection_usable),
        T(pieces_go_on_as_they_come),
        T(an_interim_answer_is_passed_over),
        T(a_body_to_the_end_of_the_connection_is_whole),
        T(uploads_go_through_in_pieces),
        T(an_answer_before_the_end_of_the_body_is_given),
        T(a_part_is_never_the_whole),
        T(what_was_sent_is_not_sent_twice),
        T(a_question_is_repeated_once_where_a_kept_connection_was_dead),
        T(a_kept_connection_that_was_closed_is_not_used),
        T(an_upstream_that_is_away_is_told_and_comes_back),
        T(what_is_no_answer_is_told),
        T(bytes_behind_an_answer_end_the_connection),
        T(a_client_that_leaves_is_missed_by_the_upstream),
        T(a_client_that_only_closed_its_side_is_answered),
        T(a_server_that_stops_takes_its_waits_along),
    };
    return cmocka_run_group_tests_name("requests that are passed on", tests, NULL, NULL);
}
