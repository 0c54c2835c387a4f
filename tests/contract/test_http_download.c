// SPDX-License-Identifier: Apache-2.0
// Bodies of answers: bytes, files, sources, from other threads, in order, by TCP and by a unix socket.
#include "tests/support/cm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "lib/base/mem.h"
#include "lib/http/server.h"
#include "tests/support/http_kit.h"

#define MIB (1024LL * 1024)

static unsigned char byte_at(int64_t i) {
    return (unsigned char)(i * 7 + (i >> 12));
}

static void file(void *arg, struct http_request *request) {
    int64_t offset = atoll(http_request_arg(request, "offset", NULL));
    int64_t len = atoll(http_request_arg(request, "len", NULL));
    http_reply_file(request, 206, "application/octet-stream", dup(*(int *)arg), offset, len);
}

struct source {
    struct http_request *request;
    int64_t at, len;
    bool paused, pauses, breaks;
};
static atomic_int closes;

static void *resume_source(void *arg) {
    http_request_resume(((struct source *)arg)->request);
    return NULL;
}
static int64_t source_read(void *arg, void *buf, size_t len) {
    struct source *source = arg;
    if (source->breaks && source->at > 1000)
        return -EIO;
    if (source->pauses && !source->paused) {
        pthread_t thread;
        source->paused = true;
        assert_int_equal(pthread_create(&thread, NULL, resume_source, source), 0);
        assert_int_equal(pthread_detach(thread), 0);
        return -EAGAIN;
    }
    source->paused = false;
    int64_t n = source->len - source->at < (int64_t)len ? source->len - source->at : (int64_t)len;
    n = source->pauses && n > 1000 ? 1000 : n;
    for (int64_t i = 0; i < n; i++)
        ((unsigned char *)buf)[i] = byte_at(source->at + i);
    source->at += n;
    return n;
}
static void source_close(void *arg) {
    free(arg);
    atomic_fetch_add(&closes, 1);
}
static void source(void *arg, struct http_request *request) {
    (void)arg;
    struct source *own = mem_zalloc(sizeof *own);
    assert_non_null(own);
    *own = (struct source){.request = request,
                           .len = atoll(http_request_arg(request, "len", NULL)),
                           .pauses = http_request_query(request, "pauses", NULL),
                           .breaks = http_request_query(request, "breaks", NULL)};
    static const struct http_source ops = {source_read, source_close};
    http_reply_source(request, 200, "text/plain", &ops, own);
}

static void *answer_later(void *arg) {
    struct http_request *request = arg;
    http_reply(request, 200, NULL, http_request_arg(request, "text", NULL),
               strlen(http_request_arg(request, "text", NULL)));
    return NULL;
}
static void later(void *arg, struct http_request *request) {
    (void)arg;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer_later, request), 0);
    assert_int_equal(pthread_detach(thread), 0);
}

static void take(void *arg, struct http_request *request) {
    (void)arg;
    size_t len = (size_t)atoll(http_request_arg(request, "len", NULL));
    char *data = mem_alloc(len);
    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)byte_at((int64_t)i);
    http_reply_take(request, 200, NULL, data, len);
}

static void echo(void *arg, struct http_request *request) {
    (void)arg;
    size_t len;
    const void *body = http_request_body(request, &len);
    char length[24];
    (void)snprintf(length, sizeof length, "%lld", (long long)http_request_content_length(request));
    assert_int_equal(http_reply_header(request, "X-Length", length), 0);
    http_reply(request, 200, NULL, body, len);
}

static int content = -1; // a file of 8 MiB
static const struct http_route routes[] = {
    {.method = HTTP_POST,
     .pattern = "/echo",
     .body = HTTP_BODY_WHOLE,
     .body_max = 4 * MIB,
     .handle = echo,
     .name = "echo"},
    {.method = HTTP_GET, .pattern = "/file/{offset}/{len}", .handle = file, .name = "file"},
    {.method = HTTP_GET, .pattern = "/source/{len}", .handle = source, .name = "source"},
    {.method = HTTP_GET, .pattern = "/take/{len}", .handle = take, .name = "take"},
    {.method = HTTP_GET, .pattern = "/later/{text}", .handle = later, .name = "later"},
};
static const char *const prefixes[] = {""};
static const struct http_table table = {prefixes, 1, routes, ARRAY_SIZE(routes), &content};
static char unix_address[] = "unix:/tmp/stowage-test-XXXXXX";

static int start(void **state) {
    const char *addresses[] = {"127.0.0.1:0", unix_address};
    struct http_options options = {.addresses = addresses, .address_count = 2, .tables = &table, .table_count = 1};
    struct http_server *server = NULL;
    struct err err = ERR_NONE;
    int r = http_server_start(&options, &server, &err);
    *state = server;
    return r;
}
static int stop(void **state) {
    (void)http_server_free(*state);
    return 0;
}

static int make_content(void **state) {
    (void)state;
    content = memfd_create("content", MFD_CLOEXEC);
    unsigned char *piece = mem_alloc((size_t)MIB);
    for (int64_t at = 0; at < 8 * MIB; at += MIB) {
        for (int64_t i = 0; i < MIB; i++)
            piece[i] = byte_at(at + i);
        if (write(content, piece, (size_t)MIB) != MIB)
            return -1;
    }
    free(piece);
    int fd = mkstemp(unix_address + 5); // a name of our own
    (void)close(fd);
    return unlink(unix_address + 5);
}

static void sends_files(void **state) {
    static const struct {
        int64_t offset, len;
    } pieces[] = {
        {0, 0}, {0, 1}, {5, 4096}, {100, 64 * 1024}, {3, 64 * 1024 + 1}, {0, 8 * MIB}, {12345, 8 * MIB - 12345}};
    int fd cleanup_close = http_kit_connect(http_server_port(*state)); // all on one connection
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++)
        for (int head = 0; head < 2; head++) {
            char request[128];
            (void)snprintf(request, sizeof request, "%s /file/%lld/%lld HTTP/1.1\r\nHost: a\r\n\r\n",
                           head ? "HEAD" : "GET", (long long)pieces[i].offset, (long long)pieces[i].len);
            http_kit_send(fd, request);
            struct http_kit_reply reply;
            char length[32];
            http_kit_read(fd, head, &reply);
            assert_int_equal(reply.status, 206);
            assert_int_equal(atoll(http_kit_field(&reply, "Content-Length", length, sizeof length)), pieces[i].len);
            assert_int_equal(reply.len, head ? 0 : pieces[i].len);
            for (size_t at = 0; at < reply.len; at++)
                if ((unsigned char)reply.body[at] != byte_at(pieces[i].offset + (int64_t)at))
                    fail_msg("byte %zu is wrong", at);
            http_kit_reply_done(&reply);
        }
    struct http_kit_reply reply; // a file that is shorter than it was: never a full answer
    http_kit_ask(http_server_port(*state), "GET /file/8388600/100 HTTP/1.1\r\nHost: a\r\n\r\n", &reply);
    assert_int_equal(reply.status, 500);
    http_kit_reply_done(&reply);
    http_kit_ask(http_server_port(*state), "GET /file/8388000/100000 HTTP/1.1\r\nHost: a\r\n\r\n", &reply);
    assert_false(reply.complete);
    http_kit_reply_done(&reply);
}

static void sends_sources(void **state) {
    static const char *const targets[] = {"/source/0", "/source/1", "/source/100000", "/source/5000000",
                                          "/source/20000?pauses"};
    int before = atomic_load(&closes);
    int fd = http_kit_connect(http_server_port(*state));
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
        char request[128];
        (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", targets[i]);
        http_kit_send(fd, request);
        struct http_kit_reply reply;
        http_kit_read(fd, false, &reply);
        assert_true(reply.complete);
        assert_int_equal(reply.len, atoll(targets[i] + 8));
        for (size_t at = 0; at < reply.len; at++)
            if ((unsigned char)reply.body[at] != byte_at((int64_t)at))
                fail_msg("byte %zu is wrong", at);
        http_kit_reply_done(&reply);
    }
    struct http_kit_reply reply;
    http_kit_ask(http_server_port(*state), "GET /source/100000?breaks HTTP/1.1\r\nHost: a\r\n\r\n", &reply);
    assert_false(reply.complete);
    http_kit_reply_done(&reply);
    http_kit_ask(http_server_port(*state), "HEAD /source/100000 HTTP/1.1\r\nHost: a\r\n\r\n", &reply);
    http_kit_reply_done(&reply);
    char old[40000]; // HTTP/1.0 has no chunks: the end is the end of the connection
    int other cleanup_close = http_kit_connect(http_server_port(*state));
    http_kit_send(other, "GET /source/20000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    size_t len = http_kit_read_to_end(other, old, sizeof old);
    assert_null(strcasestr(old, "chunked"));
    assert_int_equal(len - (size_t)(strstr(old, "\r\n\r\n") + 4 - old), 20000);
    // A client that leaves a source without an end.
    http_kit_send(fd, "GET /source/5000000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    char some[1000];
    assert_true(recv(fd, some, sizeof some, MSG_WAITALL) == sizeof some);
    (void)close(fd);
    (void)http_server_free(*state);
    *state = NULL;
    assert_int_equal(atomic_load(&closes) - before, (int)ARRAY_SIZE(targets) + 4);
}

static void answers_in_order(void **state) {
    int fd cleanup_close = http_kit_connect(http_server_port(*state));
    struct str all cleanup_str = {0};
    for (int i = 0; i < 500; i++)
        (void)str_printf(&all, "GET /later/%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
    http_kit_send(fd, all.data);
    for (int i = 0; i < 500; i++) {
        struct http_kit_reply reply;
        http_kit_read(fd, false, &reply);
        assert_int_equal(atoi(reply.body), i);
        http_kit_reply_done(&reply);
    }
}

static void echoes(void **state) {
    (void)state;
    struct http_kit_reply reply;
    char length[24];
    int fd cleanup_close = http_kit_connect_unix(unix_address + 5); // and by the unix socket
    http_kit_send(
        fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcPOST /echo HTTP/1.1\r\nHost: a\r\n"
            "Transfer-Encoding: chunked\r\n\r\n3\r\ndef\r\n0\r\n\r\nGET /take/3000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    http_kit_read(fd, false, &reply);
    assert_string_equal(reply.body, "abc");
    assert_string_equal(http_kit_field(&reply, "X-Length", length, sizeof length), "3");
    http_kit_reply_done(&reply);
    http_kit_read(fd, false, &reply);
    assert_string_equal(reply.body, "def");
    assert_string_equal(http_kit_field(&reply, "X-Length", length, sizeof length), "-1");
    http_kit_reply_done(&reply);
    http_kit_read(fd, false, &reply);
    assert_int_equal(reply.len, 3000000);
    for (size_t at = 0; at < reply.len; at++)
        if ((unsigned char)reply.body[at] != byte_at((int64_t)at))
            fail_msg("byte %zu is wrong", at);
    http_kit_reply_done(&reply);
}

int main(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sends_files, start, stop),
        cmocka_unit_test_setup_teardown(sends_sources, start, stop),
        cmocka_unit_test_setup_teardown(answers_in_order, start, stop),
        cmocka_unit_test_setup_teardown(echoes, start, stop),
    };
    return cmocka_run_group_tests(tests, make_content, NULL);
}
