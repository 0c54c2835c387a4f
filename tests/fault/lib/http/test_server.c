// SPDX-License-Identifier: Apache-2.0
// Each allocation of each kind of request fails once: the client gets a whole answer or a closed connection, the handler's sink
// and source end exactly once, and the server goes on.
#include "tests/support/cm.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/http/server.h"
#include "tests/support/http_kit.h"

static atomic_int open_things;

static int sink_write(void *arg, const void *data, size_t len, struct err *err) {
    (void)arg, (void)data, (void)len, (void)err;
    return 0;
}
static void sink_end(void *arg, struct http_request *request, int rc) {
    (void)arg;
    atomic_fetch_sub(&open_things, 1);
    if (rc < 0)
        http_reply_error(request, http_request_error(request));
    else
        http_reply(request, 200, "text/plain", "done", 4);
}
static const struct http_sink sink = {sink_write, sink_end};
static void upload(void *arg, struct http_request *request) {
    (void)arg;
    atomic_fetch_add(&open_things, 1);
    http_request_stream(request, "value", &sink, NULL);
}
static int64_t source_read(void *arg, void *buf, size_t len) {
    int *left = arg;
    size_t n = *left < (int)len ? (size_t)*left : len;
    memset(buf, 'x', n);
    *left -= (int)n;
    return (int64_t)n;
}
static void source_close(void *arg) {
    *(int *)arg = 20000;
    atomic_fetch_sub(&open_things, 1);
}
static const struct http_source source = {source_read, source_close};
static void download(void *arg, struct http_request *request) {
    static int left = 20000;
    (void)arg;
    atomic_fetch_add(&open_things, 1);
    http_reply_source(request, 200, NULL, &source, &left);
}
static void echo(void *arg, struct http_request *request) {
    (void)arg;
    size_t len;
    const void *body = http_request_body(request, &len);
    if (http_reply_header(request, "X-Key", http_request_query(request, "key", NULL)) < 0)
        http_reply_status(request, 500, "out_of_memory", "out of memory");
    else
        http_reply(request, 200, "text/plain", body, len);
}

static const struct http_route routes[] = {
    {.method = HTTP_POST, .pattern = "/upload", .body = HTTP_BODY_STREAM, .handle = upload, .name = "upload"},
    {.method = HTTP_GET, .pattern = "/download/{x}", .handle = download, .name = "download"},
    {.method = HTTP_POST,
     .pattern = "/echo/{x}",
     .body = HTTP_BODY_WHOLE,
     .body_max = 100000,
     .handle = echo,
     .name = "echo"},
};
static const char *const prefixes[] = {""};
static const struct http_table table = {prefixes, 1, routes, ARRAY_SIZE(routes), NULL};
static const char *const addresses[] = {"127.0.0.1:0"};
static const struct http_options options = {
    .addresses = addresses, .address_count = 1, .tables = &table, .table_count = 1, .threads = 1};

static const char *const requests[] = {
    "POST /echo/a?key=v HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
    "POST /echo/a?key=v HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: "
    "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "GET /download/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "POST /upload HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 62\r\nContent-Type: multipart/form-data; "
    "boundary=b\r\n\r\n--b\r\nContent-Disposition: form-data; name=value\r\n\r\nxy\r\n--b--\r\n",
    "GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /none HTTP/1.1\nHost: a\n\n",
};

static size_t talk(uint16_t port, const char *request, char *reply, size_t size) {
    int fd cleanup_close = http_kit_connect(port);
    (void)http_kit_try_send(fd, request, strlen(request));
    return http_kit_read_to_end(fd, reply, size);
}

static void survives(void **state) {
    (void)state;
    static char reply[40000], good[40000];
    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        bool fired = true;
        for (int n = 1; fired && n < 200; n++) {
            struct http_server *server cleanup(http_server_freep) = NULL; // a fresh one: nothing is warm
            assert_int_equal(http_server_start(&options, &server, NULL), 0);
            (void)mem_fail_nth(0);
            (void)mem_fail_nth(n);
            size_t len = talk(http_server_port(server), requests[i], reply, sizeof reply);
            fired = mem_fail_nth(0) >= n;
            if (len && strncmp(reply, "HTTP/1.1 ", 9) != 0)
                fail_msg("request %zu, allocation %d: %s", i, n, reply);
            size_t again = talk(http_server_port(server), requests[i], good, sizeof good);
            if (!again || strncmp(good, "HTTP/1.1 500", 12) == 0)
                fail_msg("request %zu after the failure of allocation %d: %s", i, n, good);
            if (!fired) // the unharmed answer is the one a warm server gives
                assert_int_equal(strncmp(reply, good, 12), 0);
            server = http_server_free(server);
            assert_int_equal(atomic_load(&open_things), 0);
        }
        assert_false(fired);
    }
}

static void starts_or_says_why(void **state) {
    (void)state;
    bool fired = true;
    for (int n = 1; fired && n < 200; n++) {
        struct http_server *server = NULL;
        struct err err = ERR_NONE;
        (void)mem_fail_nth(n);
        int r = http_server_start(&options, &server, &err);
        fired = mem_fail_nth(0) >= n;
        assert_true(fired ? r < 0 && err.msg[0] && !server : r == 0);
        server = http_server_free(server);
    }
    assert_false(fired);
}

int main(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {cmocka_unit_test(survives), cmocka_unit_test(starts_or_says_why)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
