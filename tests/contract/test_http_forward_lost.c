// SPDX-License-Identifier: Apache-2.0
// Requests that are passed on: what an upstream that dies, is away, or talks nonsense turns into.
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "tests/support/cm.h"
#include "tests/support/forward_kit.h"

static void a_part_is_never_the_whole(void **state) {
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
                                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        struct http_kit_reply reply;
        int client = forward_kit_client();
        http_kit_send(client, GET);
        int link = forward_kit_link();
        (void)forward_kit_read_head(link);
        http_kit_send(link, answers[i]);
        (void)close(link);
        http_kit_read(client, false, &reply);
        assert_false(reply.complete);
        http_kit_reply_done(&reply);
        (void)close(client);
        forward_kit_wait_for_ends((int)i + 1);
    }
}

static void what_was_sent_is_not_sent_twice(void **state) {
    (void)state;
    int client = forward_kit_client(), link = forward_kit_kept_link(client);
    http_kit_send(client, POST); // on a kept connection
    (void)forward_kit_read_until(link, "hi");
    (void)close(link);
    forward_kit_expect(client, 502, "answer_lost");
    forward_kit_expect_no_link();
    http_kit_send(client, POST); // on a new one
    link = forward_kit_link();
    (void)forward_kit_read_until(link, "hi");
    (void)close(link);
    forward_kit_expect(client, 502, "answer_lost");
    forward_kit_expect_no_link();
    (void)close(client);
}

static void a_question_is_repeated_once_where_a_kept_connection_was_dead(void **state) {
    struct http_kit_reply reply;
    char value[16];
    (void)state;
    int client = forward_kit_client(), link = forward_kit_kept_link(client);
    http_kit_send(client, GET);
    (void)forward_kit_read_head(link);
    (void)close(link); // as if it had been closed before
    link = forward_kit_link();
    (void)forward_kit_read_head(link);
    (void)close(link); // this one was new: the upstream fails
    http_kit_read(client, false, &reply);
    assert_int_equal(reply.status, 503);
    assert_non_null(strstr(reply.body, "answer_lost"));
    assert_string_equal(http_kit_field(&reply, "Retry-After", value, sizeof value), "1");
    http_kit_reply_done(&reply);
    forward_kit_expect_no_link();
    (void)close(client);
}

static void a_kept_connection_that_was_closed_is_not_used(void **state) {
    (void)state;
    int client = forward_kit_client(), link = forward_kit_kept_link(client);
    (void)close(link);
    (void)poll(NULL, 0, 50);
    http_kit_send(client, POST);
    link = forward_kit_link();
    (void)forward_kit_read_until(link, "hi");
    http_kit_send(link, OK2);
    forward_kit_expect(client, 200, "ok");
    (void)close(client);
    (void)close(link);
}

static void an_upstream_that_is_away_is_told_and_comes_back(void **state) {
    struct http_kit_reply reply;
    char value[16];
    (void)state;
    (void)close(forward_kit.listener);
    int client = forward_kit_client();
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
    assert_true(http_upstream_missed(forward_kit.upstream));
    forward_kit_listen();
    http_kit_send(client, POST);
    int link = forward_kit_link();
    (void)forward_kit_read_until(link, "hi");
    http_kit_send(link, OK2);
    forward_kit_expect(client, 200, "ok");
    forward_kit_wait_for_ends(3);
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
        int client = forward_kit_client();
        http_kit_send(client, GET);
        int link = forward_kit_link();
        (void)forward_kit_read_head(link);
        http_kit_send(link, answers[i]);
        forward_kit_expect(client, 502, "bad_answer");
        (void)close(client);
        (void)close(link);
    }
}

static void bytes_behind_an_answer_end_the_connection(void **state) {
    (void)state;
    int client = forward_kit_client();
    http_kit_send(client, GET);
    int link = forward_kit_link();
    (void)forward_kit_read_head(link);
    http_kit_send(link, OK2 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong");
    forward_kit_expect(client, 200, "ok");
    forward_kit_expect_closed(link);
    http_kit_send(client, GET);
    int other = forward_kit_link();
    (void)forward_kit_read_head(other);
    http_kit_send(other, OK2);
    forward_kit_expect(client, 200, "ok");
    (void)close(client);
    (void)close(link);
    (void)close(other);
}

#define T(f) cmocka_unit_test_setup_teardown(f, forward_kit_set_up, forward_kit_tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(a_part_is_never_the_whole),
        T(what_was_sent_is_not_sent_twice),
        T(a_question_is_repeated_once_where_a_kept_connection_was_dead),
        T(a_kept_connection_that_was_closed_is_not_used),
        T(an_upstream_that_is_away_is_told_and_comes_back),
        T(what_is_no_answer_is_told),
        T(bytes_behind_an_answer_end_the_connection),
    };
    return cmocka_run_group_tests_name("requests whose upstream is lost", tests, NULL, NULL);
}
