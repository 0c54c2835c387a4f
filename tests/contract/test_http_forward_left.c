// SPDX-License-Identifier: Apache-2.0
// Requests that are passed on: who leaves, client or server, takes along what was being waited for.
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/cm.h"
#include "tests/support/forward_kit.h"

static void a_client_that_leaves_is_missed_by_the_upstream(void **state) {
    (void)state;
    int client = forward_kit_client();
    http_kit_send(client, GET); // a long poll
    int link = forward_kit_link();
    (void)forward_kit_read_head(link);
    (void)close(client);
    forward_kit_expect_closed(link);
    (void)close(link);
    client = forward_kit_client();
    http_kit_send(client, GET); // a stream
    link = forward_kit_link();
    (void)forward_kit_read_head(link);
    http_kit_send(link, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    (void)forward_kit_read_until(client, "first");
    (void)close(client);
    forward_kit_expect_closed(link);
    (void)close(link);
    client = forward_kit_client();
    http_kit_send(client, "PUT /api/x HTTP/1.1\r\nHost: us\r\nContent-Length: 1000\r\n\r\nbegin"); // an upload
    link = forward_kit_link();
    (void)forward_kit_read_until(link, "begin");
    (void)close(client);
    forward_kit_expect_closed(link);
    (void)close(link);
    forward_kit_wait_for_ends(3);
}

static void a_client_that_only_closed_its_side_is_answered(void **state) {
    char text[1024];
    (void)state;
    int client = forward_kit_client();
    http_kit_send(client, POST);
    assert_int_equal(shutdown(client, SHUT_WR), 0);
    int link = forward_kit_link();
    (void)forward_kit_read_until(link, "hi");
    forward_kit_expect_closed(link); // the upstream knows that nobody waits for long
    http_kit_send(link, OK2);
    (void)http_kit_read_to_end(client, text, sizeof text);
    assert_non_null(strstr(text, "\r\n\r\nok"));
    (void)close(client);
    (void)close(link);
}

static void a_server_that_stops_takes_its_waits_along(void **state) {
    (void)state;
    int client = forward_kit_client(), other = forward_kit_client();
    http_kit_send(client, GET);
    int link = forward_kit_link();
    (void)forward_kit_read_head(link);
    http_kit_send(other, GET);
    int stream = forward_kit_link();
    (void)forward_kit_read_head(stream);
    http_kit_send(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    (void)forward_kit_read_until(other, "first");
    http_server_stop(forward_kit.server, 50);
    forward_kit_expect_closed(link);
    forward_kit_expect_closed(stream);
    forward_kit_wait_for_ends(2);
    (void)close(client);
    (void)close(other);
    (void)close(link);
    (void)close(stream);
}

#define T(f) cmocka_unit_test_setup_teardown(f, forward_kit_set_up, forward_kit_tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        T(a_client_that_leaves_is_missed_by_the_upstream),
        T(a_client_that_only_closed_its_side_is_answered),
        T(a_server_that_stops_takes_its_waits_along),
    };
    return cmocka_run_group_tests_name("requests whose client leaves", tests, NULL, NULL);
}
