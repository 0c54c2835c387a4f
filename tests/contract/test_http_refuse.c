// SPDX-License-Identifier: Apache-2.0
// What two readers of HTTP could read differently is refused with the right status, and the connection is closed, so that
// nothing that follows can pass as a request.
#include "tests/support/cm.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/http/server.h"
#include "tests/support/http_kit.h"

static atomic_int handled;

static void answer(void *arg, struct http_request *request) {
    (void)arg;
    atomic_fetch_add(&handled, 1);
    size_t len;
    const void *body = http_request_body(request, &len);
    http_reply(request, 200, "text/plain", body, len);
}

static const struct http_route routes[] = {
    {.method = HTTP_GET, .pattern = "/x", .handle = answer, .name = "get"},
    {.method = HTTP_POST, .pattern = "/x", .body = HTTP_BODY_WHOLE, .body_max = 1024, .handle = answer, .name = "post"},
    {.method = HTTP_GET, .pattern = "/values/{key...}", .raw_query = true, .handle = answer, .name = "value"},
};
static const char *const prefixes[] = {""};
static const struct http_table table = {prefixes, 1, routes, ARRAY_SIZE(routes), NULL};

static int start(void **state) {
    static const char *const addresses[] = {"127.0.0.1:0"};
    struct http_options options = {.addresses = addresses, .address_count = 1, .tables = &table, .table_count = 1};
    struct http_server *server = NULL;
    int r = http_server_start(&options, &server, NULL);
    *state = server;
    return r;
}
static int stop(void **state) {
    (void)http_server_free(*state);
    return 0;
}

#define LINE "POST /x HTTP/1.1\r\nHost: a\r\n"

#define WITH_NUL(text) (text), sizeof(text) - 1

struct refusal {
    const char *what;
    int status;
    const char *request;
    size_t len; // 0: strlen
};

static const struct refusal refusals[] = {
    {"bare LF everywhere", 400, "GET /x HTTP/1.1\nHost: a\n\n", 0},
    {"bare LF after the request line", 400, "GET /x HTTP/1.1\nHost: a\r\n\r\n", 0},
    {"bare LF after a field", 400, "GET /x HTTP/1.1\r\nHost: a\nA: b\r\n\r\n", 0},
    {"bare LF as the empty line", 400, "GET /x HTTP/1.1\r\nHost: a\r\n\n", 0},
    {"CR inside a field", 400, "GET /x HTTP/1.1\r\nHost: a\r\nA: b\rc\r\n\r\n", 0},
    {"folded field", 400, "GET /x HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", 0},
    {"field folded by a tab", 400, "GET /x HTTP/1.1\r\nHost: a\r\nA: b\r\n\tc\r\n\r\n", 0},
    {"space before the first field", 400, "GET /x HTTP/1.1\r\n Host: a\r\n\r\n", 0},
    {"space before the colon", 400, LINE "Content-Length : 3\r\n\r\nabc", 0},
    {"field without a colon", 400, "GET /x HTTP/1.1\r\nHost: a\r\nnothing\r\n\r\n", 0},
    {"field without a name", 400, "GET /x HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 0},
    {"NUL in a value", 400, WITH_NUL("GET /x HTTP/1.1\r\nHost: a\r\nA: b\0c\r\n\r\n")},
    {"NUL in a name", 400, WITH_NUL("GET /x HTTP/1.1\r\nHost: a\r\nA\0b: c\r\n\r\n")},
    {"NUL in the target", 400, WITH_NUL("GET /x\0y HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"control character in a value", 400, "GET /x HTTP/1.1\r\nHost: a\r\nA: \x01\r\n\r\n", 0},
    {"length and chunks", 400, LINE "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 0},
    {"chunks and length", 400, LINE "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 0},
    {"two different lengths", 400, LINE "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 0},
    {"the same length twice", 400, LINE "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 0},
    {"a list of lengths", 400, LINE "Content-Length: 3, 3\r\n\r\nabc", 0},
    {"negative length", 400, LINE "Content-Length: -3\r\n\r\nabc", 0},
    {"negative zero", 400, LINE "Content-Length: -0\r\n\r\n", 0},
    {"signed length", 400, LINE "Content-Length: +3\r\n\r\nabc", 0},
    {"length in hex", 400, LINE "Content-Length: 0x3\r\n\r\nabc", 0},
    {"empty length", 400, LINE "Content-Length:\r\n\r\nabc", 0},
    {"length beyond 63 bits", 400, LINE "Content-Length: 9223372036854775808\r\n\r\nabc", 0},
    {"another coding", 501, LINE "Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 0},
    {"identity coding", 501, LINE "Transfer-Encoding: identity\r\n\r\nabc", 0},
    {"two codings", 400, LINE "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0},
    {"coding with a vertical tab", 400,
     LINE "Transfer-Encoding: \x0b"
          "chunked\r\n\r\n0\r\n\r\n",
     0},
    {"chunks in HTTP/1.0", 400, "POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0},
    {"chunk size that is none", 400, LINE "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", 0},
    {"empty chunk size", 400, LINE "Transfer-Encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n", 0},
    {"signed chunk size", 400, LINE "Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n", 0},
    {"chunk size 0x3", 400, LINE "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", 0},
    {"chunk size with a space", 400, LINE "Transfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n", 0},
    {"chunk size beyond 60 bits", 400, LINE "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n",
     0},
    {"chunk size ended by LF", 400, LINE "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", 0},
    {"chunk ended by LF", 400, LINE "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n", 0},
    {"chunk longer than its size", 400, LINE "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 0},
    {"LF in a chunk extension", 400, LINE "Transfer-Encoding: chunked\r\n\r\n3;a\n\r\nabc\r\n0\r\n\r\n", 0},
    {"trailer ended by LF", 400, LINE "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\n\r\n", 0},
    {"HTTP/0.9", 400, "GET /x\r\n", 0},
    {"HTTP/0.9 with fields", 400, "GET /x\r\nHost: a\r\n\r\n", 0},
    {"HTTP/2", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0},
    {"HTTP/1.2", 505, "GET /x HTTP/1.2\r\nHost: a\r\n\r\n", 0},
    {"lower-case protocol", 400, "GET /x http/1.1\r\nHost: a\r\n\r\n", 0},
    {"absolute target", 400, "GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"authority target", 400, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"asterisk with GET", 400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"no target", 400, "GET HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"empty target", 400, "GET  HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"space in the target", 400, "GET /x y HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"tab in the target", 400, "GET /x\ty HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"fragment in the target", 400, "GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"no Host", 400, "GET /x HTTP/1.1\r\n\r\n", 0},
    {"two Hosts", 400, "GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 0},
    {"two Authorizations", 400, "GET /x HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\nauthorization: b\r\n\r\n", 0},
    {"control character in the method", 400, "G\x01T /x HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"empty line first", 400, "\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"unknown expectation", 417, LINE "Expect: wonders\r\nContent-Length: 3\r\n\r\nabc", 0},
    {"TLS to a plain port", 400, "\x16\x03\x01\x02\n", 0},
};

static void refuses(void **state) {
    uint16_t port = http_server_port(*state);
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        const struct refusal *t = &refusals[i];
        int before = atomic_load(&handled);
        int fd cleanup_close = http_kit_connect(port);
        http_kit_send_bytes(fd, t->request, t->len ? t->len : strlen(t->request));
        // What follows on the connection must never be taken as a request.
        (void)http_kit_try_send(fd, "GET /x HTTP/1.1\r\nHost: smuggled\r\n\r\n", 35);
        struct http_kit_reply reply;
        http_kit_read(fd, false, &reply);
        char type[64], close[64];
        if (reply.status != t->status || !strstr(reply.body, "\"message\":\"") || !reply.complete ||
            !http_kit_field(&reply, "Content-Type", type, sizeof type) || strcmp(type, "application/json") != 0 ||
            !http_kit_field(&reply, "Connection", close, sizeof close) || strcmp(close, "close") != 0)
            fail_msg("%s: wanted %d, got %s%s", t->what, t->status, reply.head, reply.body);
        if (!http_kit_closed(fd))
            fail_msg("%s: the connection lives on", t->what);
        if (atomic_load(&handled) != before)
            fail_msg("%s: a handler ran", t->what);
        http_kit_reply_done(&reply);
    }
}

// The same bytes, one at a time: where a read ends must not matter.
static void refuses_byte_by_byte(void **state) {
    uint16_t port = http_server_port(*state);
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        const struct refusal *t = &refusals[i];
        size_t len = t->len ? t->len : strlen(t->request);
        int fd cleanup_close = http_kit_connect(port);
        for (size_t at = 0; at < len && http_kit_try_send(fd, t->request + at, 1); at++)
            continue;
        struct http_kit_reply reply;
        http_kit_read(fd, false, &reply);
        if (reply.status != t->status)
            fail_msg("%s: wanted %d, got %s", t->what, t->status, reply.head);
        http_kit_reply_done(&reply);
    }
}

static void accepts_what_is_right(void **state) {
    static const struct {
        const char *request;
        const char *body;
    } right[] = {
        {"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", ""},
        {"GET /x HTTP/1.1\r\nHost:a\r\nA:\r\nB: \t c \t\r\n\r\n", ""},
        {"GET /x HTTP/1.0\r\n\r\n", ""},
        {LINE "Content-Length: 3\r\n\r\nabc", "abc"},
        {LINE "Content-Length: 0\r\n\r\n", ""},
        {LINE "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc"},
        {LINE "Transfer-Encoding: Chunked\r\n\r\n03;a=\"b\"\r\nabc\r\n1;x\r\nd\r\n0\r\nA: b\r\nC: d\r\n\r\n", "abcd"},
        {LINE "Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
    };
    uint16_t port = http_server_port(*state);
    for (size_t i = 0; i < ARRAY_SIZE(right); i++)
        for (int slowly = 0; slowly < 2; slowly++) {
            int fd cleanup_close = http_kit_connect(port);
            size_t len = strlen(right[i].request);
            size_t step = slowly ? 1 : len;
            for (size_t at = 0; at < len; at += step)
                http_kit_send_bytes(fd, right[i].request + at, step);
            struct http_kit_reply reply;
            http_kit_read(fd, false, &reply);
            if (reply.status != 200 || strcmp(reply.body, right[i].body) != 0)
                fail_msg("%s: %s%s", right[i].request, reply.head, reply.body);
            http_kit_reply_done(&reply);
        }
}

static void filled(char *at, size_t len, const char *unit) {
    size_t n = strlen(unit);
    for (size_t i = 0; i < len; i++)
        at[i] = unit[i % n];
    at[len] = '\0';
}

// A key of 32 KiB, each byte as %XX, passes; beyond 128 KiB it is 414, and 32 KiB of fields are 431.
static void limits_the_head(void **state) {
    static char text[400 * 1024], request[400 * 1024 + 128];
    static const struct {
        size_t target, fields;
        int status;
    } sizes[] = {{98304, 10, 200},     {128 * 1024 - 64, 10, 200}, {128 * 1024 + 1, 10, 414}, {300 * 1024, 10, 414},
                 {10, 30 * 1024, 200}, {10, 33 * 1024, 431},       {98304, 30 * 1024, 200},   {98304, 64 * 1024, 431}};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        filled(text, sizes[i].target, "%41");
        text[sizes[i].target - sizes[i].target % 3] = '\0';
        int n =
            snprintf(request, sizeof request, "GET /values/%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\nA: ", text);
        filled(request + n, sizes[i].fields, "b");
        memcpy(request + n + sizes[i].fields, "\r\n\r\n", 5);
        int fd cleanup_close = http_kit_connect(http_server_port(*state));
        (void)http_kit_try_send(fd, request, strlen(request));
        struct http_kit_reply reply;
        http_kit_read(fd, false, &reply);
        if (reply.status != sizes[i].status)
            fail_msg("target %zu, fields %zu: %s", sizes[i].target, sizes[i].fields, reply.head);
        http_kit_reply_done(&reply);
    }
    // Too many fields, each of them small.
    int n = snprintf(request, sizeof request, "GET /x HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 100; i++)
        n += snprintf(request + n, sizeof request - (size_t)n, "A: b\r\n");
    (void)snprintf(request + n, sizeof request - (size_t)n, "\r\n");
    struct http_kit_reply reply;
    http_kit_ask(http_server_port(*state), request, &reply);
    assert_int_equal(reply.status, 431);
    http_kit_reply_done(&reply);
}

int main(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refuses, start, stop),
        cmocka_unit_test_setup_teardown(refuses_byte_by_byte, start, stop),
        cmocka_unit_test_setup_teardown(accepts_what_is_right, start, stop),
        cmocka_unit_test_setup_teardown(limits_the_head, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
