// SPDX-License-Identifier: Apache-2.0
// Requests of our own to an upstream: what is told of their answers, and that each ends exactly once.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/cm.h"
#include "tests/support/forward_kit.h"

static char told[256];
static int stop_at; // bytes; 0: never

static void sub_answered(void *arg, unsigned status) {
    (void)arg;
    forward_kit.status = status;
}
static int sub_bytes(void *arg, const char *data, size_t len) {
    (void)arg;
    (void)snprintf(told + strlen(told), sizeof told - strlen(told), "%.*s", (int)len, data);
    return stop_at && strlen(told) >= (size_t)stop_at ? -1 : 0;
}
static void sub_ended(void *arg) {
    (void)arg;
    __atomic_add_fetch(&forward_kit.ended, 1, __ATOMIC_SEQ_CST);
}
static const struct http_subscriber subscriber = {sub_answered, sub_bytes, sub_ended, 1};

static int subscribed(void) {
    told[0] = '\0';
    forward_kit.status = 0;
    assert_int_equal(
        http_server_subscribe(forward_kit.server, forward_kit.upstream, "/watch", "X-Own: 1\r\n", &subscriber, NULL),
        0);
    int link = forward_kit_link();
    assert_non_null(strstr(forward_kit_read_head(link), "GET /watch HTTP/1.1\r\nHost: upstream\r\nX-Own: 1\r\n"));
    return link;
}

static void a_subscription_is_told_everything(void **state) {
    (void)state;
    stop_at = 0;
    int link = subscribed();
    http_kit_send(link, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    http_kit_send(link, "3\r\ntwo\r\n0\r\n\r\n");
    forward_kit_wait_for_ends(1);
    assert_int_equal(forward_kit.status, 200);
    assert_string_equal(told, "onetwo");
    (void)close(link);
    link = subscribed();
    http_kit_send(link, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
    forward_kit_wait_for_ends(2);
    assert_int_equal(forward_kit.status, 404);
    assert_string_equal(told, "");
    (void)close(link);
    stop_at = 3;
    link = subscribed();
    http_kit_send(link, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    forward_kit_wait_for_ends(3);
    forward_kit_expect_closed(link);
    (void)close(link);
}

static void a_subscription_ends_whatever_happens(void **state) {
    (void)state;
    stop_at = 0;
    int silent = subscribed(); // says nothing: cut after a second
    forward_kit_wait_for_ends(1);
    assert_int_equal(forward_kit.status, 0);
    forward_kit_expect_closed(silent);
    (void)close(silent);
    int last = subscribed();
    http_server_stop(forward_kit.server, 0);
    forward_kit_wait_for_ends(2);
    (void)close(last);
    assert_true(http_server_subscribe(forward_kit.server, forward_kit.upstream, "/watch", "", &subscriber, NULL) < 0);
    forward_kit_wait_for_ends(2);
}

#define T(f) cmocka_unit_test_setup_teardown(f, forward_kit_set_up, forward_kit_tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {T(a_subscription_is_told_everything), T(a_subscription_ends_whatever_happens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
