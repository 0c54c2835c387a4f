// SPDX-License-Identifier: Apache-2.0
// Requests that are passed on: what goes through, and what is kept.
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "tests/support/cm.h"
#include "tests/support/forward_kit.h"

static void a_request_goes_as_it_came(void **state) {
    char value[64];
    struct http_kit_reply reply;
    (void)state;
    int client = forward_kit_client();
    http_kit_send(
        client,
        "GET /api//a%2Fb/..?c=%20&d HTTP/1.1\r\nHost: us:1\r\nAuthorization: Bearer theirs\r\nIf-Match: \"1\"\r\n"
        "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n\r\n");
    int link = forward_kit_link();
    const char *head = forward_kit_read_head(link);
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
    assert_int_equal(forward_kit.status, 206);
    assert_string_equal(forward_kit.body, "ab");
    forward_kit_wait_for_ends(1);
    (void)close(client);
    (void)close(link);
}

static void answers_without_a_body_leave_the_connection_usable(void **state) {
    struct http_kit_reply reply;
    char value[32];
    (void)state;
    int client = forward_kit_client(), link = forward_kit_kept_link(client);
    http_kit_send(client, "HEAD /api/x HTTP/1.1\r\nHost: us\r\n\r\n");
    (void)forward_kit_read_head(link);
    http_kit_send(link, "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n");
    http_kit_read(client, true, &reply);
    assert_string_equal(http_kit_field(&reply, "Content-Length", value, sizeof value), "70000");
    http_kit_reply_done(&reply);
    static const char *const heads[] = {"HTTP/1.1 204 No Content\r\n\r\n",
                                        "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"};
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
        http_kit_send(client, GET);
        (void)forward_kit_read_head(link);
        http_kit_send(link, heads[i]);
        forward_kit_expect(client, i == 0 ? 204 : i == 1 ? 304 : 200, NULL);
    }
    http_kit_send(client, "DELETE /api/x HTTP/1.1\r\nHost: us\r\n\r\n");
    assert_non_null(strstr(forward_kit_read_head(link), "\r\nContent-Length: 0\r\n"));
    http_kit_send(link, OK2);
    forward_kit_expect(client, 200, "ok");
    forward_kit_expect_no_link();
    forward_kit_wait_for_ends(6);
    (void)close(client);
    (void)close(link);
}

static void pieces_go_on_as_they_come(void **state) {
    (void)state;
    int client = forward_kit_client();
    http_kit_send(client, GET);
    int link = forward_kit_link();
    (void)forward_kit_read_head(link);
    http_kit_send(
        link, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    (void)forward_kit_read_until(client, "first");
    assert_string_equal(forward_kit.body, "(none)");
    http_kit_send(link, "6\r\nsecond\r\n");
    (void)forward_kit_read_until(client, "second");
    assert_null(strstr(forward_kit_seen, "\r\n0\r\n"));
    http_kit_send(link, "0\r\n\r\n");
    (void)forward_kit_read_until(client, "0\r\n\r\n");
    http_kit_send(client, GET); // both connections go on
    (void)forward_kit_read_head(link);
    http_kit_send(link, OK2);
    forward_kit_expect(client, 200, "ok");
    (void)close(client);
    (void)close(link);
}

static void an_interim_answer_is_passed_over(void **state) {
    (void)state;
    int client = forward_kit_client();
    http_kit_send(client, GET);
    int link = forward_kit_link();
    (void)forward_kit_read_head(link);
    http_kit_send(link, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
    http_kit_send(link, OK2);
    forward_kit_expect(client, 200, "ok");
    (void)close(client);
    (void)close(link);
}

static void a_body_to_the_end_of_the_connection_is_whole(void **state) {
    (void)state;
    int client = forward_kit_client();
    http_kit_send(client, GET);
    int link = forward_kit_link();
    (void)forward_kit_read_head(link);
    http_kit_send(link, "HTTP/1.1 200 OK\r\n\r\nall of it");
    (void)close(link);
    forward_kit_expect(client, 200, "all of it");
    (void)close(client);
}

static void expect_upload(int link, size_t len, bool chunked) {
    size_t got = 0, marks = 0;
    static char data[65536];
    char *body = strstr(forward_kit_read_head(link), "\r\n\r\n") + 4;
    assert_true((strstr(forward_kit_seen, "Transfer-Encoding: chunked") != NULL) == chunked);
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
    int client = forward_kit_client();
    (void)snprintf(head, sizeof head,
                   "PUT /api/x HTTP/1.1\r\nHost: s\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", LEN);
    pid_t writer = fork();
    if (writer == 0) { // who may be kept waiting, while this process reads
        http_kit_send(client, head);
        http_kit_send_bytes(client, data, LEN);
        _exit(0);
    }
    int link = forward_kit_link();
    expect_upload(link, LEN, false);
    http_kit_send(link, OK2);
    (void)forward_kit_read_until(client, "100 Continue\r\n\r\n");
    if (!strstr(forward_kit_seen, "\r\nok"))
        forward_kit_expect(client, 200, "ok");
    http_kit_send(
        client,
        "PUT /api/x HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nuuuu\r\n2\r\nuu\r\n0\r\n\r\n");
    expect_upload(link, 6, true);
    http_kit_send(link, OK2);
    forward_kit_expect(client, 200, "ok");
    forward_kit_expect_no_link();
    (void)close(client);
    (void)close(link);
}

static void an_answer_before_the_end_of_the_body_is_given(void **state) {
    (void)state;
    int client = forward_kit_client();
    http_kit_send(client, "PUT /api/x HTTP/1.1\r\nHost: us\r\nContent-Length: 1000000\r\n\r\nbegin");
    int link = forward_kit_link();
    (void)forward_kit_read_until(link, "begin");
    http_kit_send(link, "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nmany");
    (void)poll(NULL, 0, 50);
    http_kit_send(client, "more");
    forward_kit_expect(client, 413, "many");
    forward_kit_expect_closed(link);
    (void)close(client);
    (void)close(link);
}

#define T(f) cmocka_unit_test_setup_teardown(f, forward_kit_set_up, forward_kit_tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(a_request_goes_as_it_came),
        T(answers_without_a_body_leave_the_connection_usable),
        T(pieces_go_on_as_they_come),
        T(an_interim_answer_is_passed_over),
        T(a_body_to_the_end_of_the_connection_is_whole),
        T(uploads_go_through_in_pieces),
        T(an_answer_before_the_end_of_the_body_is_given),
    };
    return cmocka_run_group_tests_name("requests that are passed on", tests, NULL, NULL);
}
