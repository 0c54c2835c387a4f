// SPDX-License-Identifier: Apache-2.0
// The store's API over a real connection: what clients that leave, tokens that end and a server that stops do to long answers.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "sidecar/access.h"
#include "sidecar/api.h"
#include "sidecar/tokens.h"
#include "tests/support/cm.h"
#include "tests/support/engine_kit.h"
#include "tests/support/http_kit.h"

#define TOKEN "0123456789abcdef"
#define OTHER "other-token ws read\n"
static struct kit kit;
static struct tokens *tokens;
static struct service service;
static struct api api;
static struct http_server *server;
static char received[65536];

static void write_tokens(const char *text) {
    char path[96];
    (void)snprintf(path, sizeof path, "%s/tokens", kit.folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state) {
    static const char *const addresses[] = {"127.0.0.1:0"};
    char path[96];
    (void)state;
    kit_start(&kit);
    (void)snprintf(path, sizeof path, "%s/tokens", kit.folder);
    write_tokens(OTHER TOKEN " ws write 1700000020\n"); // 20 s from the clock's start
    assert_int_equal(tokens_open(path, &kit.clock, &tokens, NULL), 0);
    service = (struct service){.engine = &kit.engine, .tokens = tokens, .admins = tokens, .clock = &kit.clock};
    assert_int_equal(api_build(&service, &api, NULL), 0);
    // One thread, so that it sees what happens on its connections in the order in which it happened.
    struct http_options options = {.addresses = addresses,
                                   .address_count = 1,
                                   .tables = api.tables,
                                   .table_count = API_TABLES,
                                   .authorize = access_authorize,
                                   .authorize_arg = &service,
                                   .threads = 1};
    assert_int_equal(http_server_start(&options, &server, NULL), 0);
    assert_int_equal(kit_ns(&kit, "n"), 0);
    return kit_queue(&kit, "q", KIT_DEFAULTS);
}

static int teardown(void **state) {
    (void)state;
    kit.engine.drain(kit.engine.self);
    http_server_stop(server, 1000);
    kit_close(&kit); // before the server: what ends here still answers to it
    server = http_server_free(server);
    kit_open(&kit);
    kit_stop(&kit);
    api_done(&api);
    tokens = tokens_free(tokens);
    return 0;
}

static int ask(const char *line, const char *fields) {
    char text[512];
    int fd = http_kit_connect(http_server_port(server));
    (void)snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TOKEN "\r\n%s\r\n", line,
                   fields);
    http_kit_send(fd, text);
    return fd;
}

// After this the server has seen all that was sent and closed before.
static void round_trip(void) {
    for (int i = 0; i < 2; i++) {
        struct http_kit_reply reply;
        int fd = ask("GET /api/v1/queue/q/length", "");
        http_kit_read(fd, false, &reply);
        assert_int_equal(reply.status, 200);
        http_kit_reply_done(&reply);
        (void)close(fd);
    }
}

// ---- receivers that left ----

static void expect_kept(const char *line, const char *fields, const char *message) {
    int fd = ask(line, fields);
    round_trip();
    (void)close(fd);
    round_trip();
    assert_int_equal(kit_send(&kit, "q", message, NULL), 0);
    char *got cleanup_free = kit_receive(&kit, "q", QUEUE_TAKE, NULL);
    assert_non_null(got);
    assert_string_equal(got, message);
}

static void test_messages_wait_for_a_client_that_is_there(void **state) {
    (void)state;
    expect_kept("GET /api/v1/queue/q/messages?wait=60", "", "taken");
    expect_kept("POST /api/v1/queue/q/receive", "Content-Length: 11\r\n\r\n{\"wait\":60}", "leased");
}

// ---- streams of changes ----

// Reads on until `end` stands there.
static void read_to(int fd, const char *end) {
    size_t len = 0;
    for (received[0] = '\0'; !strstr(received, end);) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&wait, 1, 10000), 1);
        ssize_t n = read(fd, received + len, sizeof received - 1 - len);
        assert_true(n > 0);
        len += (size_t)n;
        received[len] = '\0';
    }
}

// A stream that has told of one change.
static int open_stream(void) {
    char line[96];
    int64_t version;
    assert_int_equal(kit_put_if(&kit, "n", "first", "1", -1, 0, &version), 0);
    (void)snprintf(line, sizeof line, "GET /api/v1/kv/namespaces/n/watch?since=%lld", (long long)version - 1);
    int fd = ask(line, "Accept: text/event-stream\r\nConnection: close\r\n");
    read_to(fd, "event: change");
    return fd;
}

static void expect_end(int fd, const char *last_words) {
    size_t len = http_kit_read_to_end(fd, received, sizeof received);
    assert_true(len < 4096); // one answer, not many
    assert_non_null(strstr(received, last_words));
    assert_non_null(strstr(received, "\r\n0\r\n\r\n")); // in good order
    (void)close(fd);
}

static void test_a_stream_ends_when_the_store_drains(void **state) {
    (void)state;
    int fd = open_stream();
    kit.engine.drain(kit.engine.self);
    expect_end(fd, ": the server is stopping");
}

static void test_a_stream_ends_with_its_token(void **state) {
    (void)state;
    int fd = open_stream();
    bool changed = false;
    write_tokens(OTHER);
    assert_int_equal(tokens_reload(tokens, true, &changed, NULL), 0);
    assert_true(changed);
    assert_int_equal(kit_put(&kit, "n", "second", "secret"), 0);
    expect_end(fd, "event: error");
    assert_null(strstr(received, "secret"));
}

static void test_a_stream_ends_when_its_token_does(void **state) {
    (void)state;
    int fd = open_stream();
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    for (int i = 0; i < 1000 && wait.revents == 0; i++) { // the stream may not yet wait for the next change
        kit_pass(&kit, 20000);
        assert_true(poll(&wait, 1, 10) >= 0);
    }
    expect_end(fd, "event: error");
}

#define STREAM "Accept: text/event-stream\r\nConnection: close\r\n"
static void test_a_stream_begins_with_all_there_is(void **state) {
    char key[16], line[128];
    (void)state;
    for (int i = 0; i < 250; i++) { // pages
        (void)snprintf(key, sizeof key, "k%03d", i);
        assert_int_equal(kit_put(&kit, "n", key, "v"), 0);
    }
    assert_int_equal(kit_remove(&kit, "n", "k007"), 0);
    int fd = ask("GET /api/v1/kv/namespaces/n/watch?since=all", STREAM);
    read_to(fd, "\nid: 251-");
    assert_null(strstr(received, "k007"));
    int count = 0;
    for (const char *at = received; (at = strstr(at, "event: change\n")); at++)
        count++;
    assert_int_equal(count, 249);
    assert_ptr_equal(strstr(received, "id: "),
                     strstr(received, "id: 251-")); // no key of a list is a place to go on from
    (void)snprintf(line, sizeof line, "Last-Event-ID: %.*s\r\n" STREAM,
                   (int)strcspn(strstr(received, "id: ") + 4, "\n"), strstr(received, "id: ") + 4);
    assert_int_equal(kit_put(&kit, "n", "k007", "again"), 0);
    read_to(fd, "\nid: 252-");
    assert_non_null(strstr(received, "again"));
    (void)close(fd);
    fd = ask("GET /api/v1/kv/namespaces/n/watch", line);
    read_to(fd, "\nid: 252-");
    assert_null(strstr(received, "k008"));
    assert_non_null(strstr(received, "again"));
    (void)close(fd);
}

static void test_a_stream_does_not_go_on_in_another_namespace(void **state) {
    (void)state;
    assert_int_equal(kit_put(&kit, "n", "a", "1"), 0);
    int fd = ask("GET /api/v1/kv/namespaces/n/watch", "Last-Event-ID: 1-99999\r\n" STREAM);
    expect_end(fd, "list it again");
    fd = ask("GET /api/v1/kv/namespaces/n/watch?since=all", "Connection: close\r\n");
    read_to(fd, "is for streams");
    assert_non_null(strstr(received, "HTTP/1.1 400"));
    (void)close(fd);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_messages_wait_for_a_client_that_is_there),
        T(test_a_stream_begins_with_all_there_is),
        T(test_a_stream_does_not_go_on_in_another_namespace),
        T(test_a_stream_ends_when_the_store_drains),
        T(test_a_stream_ends_with_its_token),
        T(test_a_stream_ends_when_its_token_does),
    };
    return cmocka_run_group_tests_name("the store's API over a connection", tests, NULL, NULL);
}
