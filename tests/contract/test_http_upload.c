// SPDX-License-Identifier: Apache-2.0
// Bodies of requests: whole, piece by piece, forms, back-pressure, failures, and a server whose memory does not grow with them.
#include "tests/support/cm.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/http/server.h"
#include "tests/support/http_kit.h"

#define MIB (1024LL * 1024)
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 // its own memory would be measured
#else
#define SANITIZED 0
#endif

static unsigned char byte_at(int64_t i) {
    return (unsigned char)(i * 7 + (i >> 12));
}

// ---- uploads: the sum of the bytes tells whether all came, in order -----------------------------------------------------

static uint64_t mix(uint64_t sum, const unsigned char *data, size_t len) {
    for (size_t i = 0; i < len; i++)
        sum = (sum ^ data[i]) * 1099511628211U;
    return sum;
}
#define MIX_START 14695981039346656037U

struct upload {
    struct http_request *request;
    uint64_t sum;
    int64_t len;
    int pause; // every so many pieces the sink asks for a pause
    int pieces;
    int64_t fail_at;
};
static atomic_int ends, last_rc, open_uploads, starts;

static void *resume_later(void *arg) {
    struct upload *upload = arg;
    http_request_resume(upload->request);
    return NULL;
}

static int upload_write(void *arg, const void *data, size_t len, struct err *err) {
    struct upload *upload = arg;
    if (upload->pause && ++upload->pieces % upload->pause) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, resume_later, upload), 0);
        assert_int_equal(pthread_detach(thread), 0);
        return -EAGAIN;
    }
    if (upload->fail_at && upload->len + (int64_t)len > upload->fail_at)
        return err_set(err, -ENOSPC, "the disk is full");
    upload->sum = mix(upload->sum, data, len);
    upload->len += (int64_t)len;
    return 0;
}

static void upload_end(void *arg, struct http_request *request, int rc) {
    struct upload *upload = arg;
    atomic_store(&last_rc, rc);
    atomic_fetch_add(&ends, 1);
    char text[64];
    int n = snprintf(text, sizeof text, "%lld %llx", (long long)upload->len, (unsigned long long)upload->sum);
    free(upload);
    atomic_fetch_sub(&open_uploads, 1);
    if (rc < 0)
        http_reply_error(request, http_request_error(request));
    else
        http_reply(request, 200, "text/plain", text, (size_t)n);
}
static const struct http_sink upload_sink = {upload_write, upload_end};

static void *stream_later(void *arg) {
    struct upload *own = arg;
    http_request_stream(own->request, NULL, &upload_sink, own);
    return NULL;
}

static void upload(void *arg, struct http_request *request) {
    (void)arg;
    struct upload *own = mem_zalloc(sizeof *own);
    assert_non_null(own);
    own->request = request;
    own->sum = MIX_START;
    const char *pause = http_request_query(request, "pause", NULL);
    const char *fail = http_request_query(request, "fail_at", NULL);
    own->pause = pause ? atoi(pause) : 0;
    own->fail_at = fail ? atoll(fail) : 0;
    atomic_fetch_add(&open_uploads, 1);
    atomic_fetch_add(&starts, 1);
    pthread_t thread;
    if (http_request_query(request, "elsewhere", NULL)) {
        assert_int_equal(pthread_create(&thread, NULL, stream_later, own), 0);
        assert_int_equal(pthread_detach(thread), 0);
    } else {
        http_request_stream(request, http_request_query(request, "field", NULL), &upload_sink, own);
    }
}

static void refuse(void *arg, struct http_request *request) {
    (void)arg;
    assert_int_equal(http_reply_header(request, "Location", "http://elsewhere/"), 0);
    assert_int_equal(http_reply_header(request, "Bad", "a\r\nb"), -EINVAL);
    http_reply(request, 307, "application/json", "{}", 2);
}

static void form(void *arg, struct http_request *request) {
    (void)arg;
    const void *data;
    size_t len;
    struct err err = ERR_NONE;
    if (http_request_form_part(request, "value", &data, &len, &err) < 0)
        http_reply_error(request, &err);
    else
        http_reply(request, 200, NULL, data, len);
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

static void later(void *arg, struct http_request *request) {
    (void)arg;
    const char *text = http_request_arg(request, "text", NULL);
    http_reply(request, 200, NULL, text, strlen(text));
}

static const struct http_route routes[] = {
    {.method = HTTP_POST, .pattern = "/upload", .body = HTTP_BODY_STREAM, .handle = upload, .name = "upload"},
    {.method = HTTP_POST,
     .pattern = "/limited",
     .body = HTTP_BODY_STREAM,
     .body_max = 1000,
     .handle = upload,
     .name = "limited"},
    {.method = HTTP_PUT, .pattern = "/refuse", .body = HTTP_BODY_STREAM, .handle = refuse, .name = "refuse"},
    {.method = HTTP_POST,
     .pattern = "/form",
     .body = HTTP_BODY_WHOLE,
     .body_max = 4 * MIB,
     .handle = form,
     .name = "form"},
    {.method = HTTP_POST,
     .pattern = "/echo",
     .body = HTTP_BODY_WHOLE,
     .body_max = 4 * MIB,
     .handle = echo,
     .name = "echo"},
    {.method = HTTP_GET, .pattern = "/later/{text}", .handle = later, .name = "later"},
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

static long resident_kib(void) {
    long pages = 0, skip;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &skip, &pages), 2);
    (void)fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

// ---- tests ------------------------------------------------------------------------------------------------------------------

static void fill(unsigned char *data, size_t len) {
    for (size_t i = 0; i < len; i++)
        data[i] = byte_at((int64_t)i);
}

static void check_sum(const struct http_kit_reply *reply, const unsigned char *data, size_t len) {
    char wanted[64];
    (void)snprintf(wanted, sizeof wanted, "%zu %llx", len, (unsigned long long)mix(MIX_START, data, len));
    if (reply->status != 200 || strcmp(reply->body, wanted) != 0)
        fail_msg("wanted %s, got %s%s", wanted, reply->head, reply->body);
}

// Every size of read and chunk must give the same bytes; with pauses, too.
static void takes_streams(void **state) {
    static unsigned char data[300000];
    fill(data, sizeof data);
    static const size_t sizes[] = {0, 1, 4095, 4096, 70000, sizeof data};
    static const char *const targets[] = {"/upload", "/upload?pause=2", "/upload?pause=3", "/upload?elsewhere=1"};
    for (size_t t = 0; t < ARRAY_SIZE(targets); t++)
        for (size_t s = 0; s < ARRAY_SIZE(sizes); s++)
            for (size_t chunk = 0; chunk < 3; chunk++) { // 0: by Content-Length
                static const size_t steps[] = {100000, 977, 40000};
                int fd cleanup_close = http_kit_connect(http_server_port(*state));
                char head[200];
                (void)snprintf(head, sizeof head,
                               chunk ? "POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                                     : "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
                               targets[t], sizes[s]);
                http_kit_send(fd, head);
                for (size_t at = 0, n; at < sizes[s]; at += n) {
                    n = sizes[s] - at < steps[chunk] ? sizes[s] - at : steps[chunk];
                    (void)snprintf(head, sizeof head, "%zx\r\n", n);
                    if (chunk)
                        http_kit_send(fd, head);
                    http_kit_send_bytes(fd, data + at, n);
                    if (chunk)
                        http_kit_send(fd, "\r\n");
                }
                http_kit_send(fd, chunk ? "0\r\n\r\nGET /later/x HTTP/1.1\r\nHost: a\r\n\r\n"
                                        : "GET /later/x HTTP/1.1\r\nHost: a\r\n\r\n");
                struct http_kit_reply reply;
                http_kit_read(fd, false, &reply);
                check_sum(&reply, data, sizes[s]);
                http_kit_reply_done(&reply);
                http_kit_read(fd, false, &reply); // what followed was kept for the next request
                assert_string_equal(reply.body, "x");
                http_kit_reply_done(&reply);
            }
}

static void uses_bounded_memory(void **state) {
    static unsigned char piece[1 << 20];
    fill(piece, sizeof piece);
    struct http_kit_reply reply;
    http_kit_ask(http_server_port(*state), "GET /later/x HTTP/1.1\r\nHost: a\r\n\r\n", &reply);
    http_kit_reply_done(&reply);
    long before = resident_kib();
    int fd cleanup_close = http_kit_connect(http_server_port(*state));
    http_kit_send(fd, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 268435456\r\n\r\n");
    long most = 0;
    for (int i = 0; i < 256; i++) {
        http_kit_send_bytes(fd, piece, sizeof piece);
        most = resident_kib() > most ? resident_kib() : most;
    }
    http_kit_read(fd, false, &reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(strncmp(reply.body, "268435456 ", 10), 0);
    http_kit_reply_done(&reply);
    if (!SANITIZED && most - before > 16 * 1024)
        fail_msg("resident memory grew from %ld to %ld KiB", before, most);
}

static void reports_failures_of_streams(void **state) {
    static const struct {
        const char *request;
        int status, rc;
        const char *says;
    } cases[] = {
        {"POST /upload?fail_at=3 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd", 507, -ENOSPC, "disk is full"},
        {"POST /upload?fail_at=3 HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nabcd", 507, -ENOSPC,
         "disk is full"},
        {"POST /limited HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n44c\r\n", 413, -E2BIG, "1000 bytes"},
        {"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX", 400, -EBADMSG, "malformed"},
        {"POST /upload?field=f HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 400, -EBADMSG, "boundary"},
        {"POST /upload?field=f HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: "
         "3\r\n\r\n"
         "abc",
         400, -EBADMSG, "cut short"},
        {"POST /upload?field=f HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: "
         "57\r\n\r\n"
         "--b\r\nContent-Disposition: form-data; name=g\r\n\r\nx\r\n--b--\r\n",
         400, -EBADMSG, "no part named 'f'"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int fd cleanup_close = http_kit_connect(http_server_port(*state));
        char many[1100];
        memset(many, 'x', sizeof many);
        int before = atomic_load(&ends);
        http_kit_send(fd, cases[i].request);
        if (cases[i].rc == -E2BIG)
            http_kit_send_bytes(fd, many, sizeof many);
        struct http_kit_reply reply;
        http_kit_read(fd, false, &reply);
        if (reply.status != cases[i].status || !strstr(reply.body, cases[i].says) ||
            atomic_load(&last_rc) != cases[i].rc)
            fail_msg("%s: %s%s", cases[i].request, reply.head, reply.body);
        assert_int_equal(atomic_load(&ends) - before, 1);
        http_kit_reply_done(&reply);
    }
}

// The client leaves in the middle: the sink ends once, with -ECONNRESET.
static void ends_abandoned_streams(void **state) {
    static const char *const targets[] = {"/upload", "/upload?pause=2"};
    int before = atomic_load(&starts);
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
        char head[128];
        (void)snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc", targets[i]);
        int fd = http_kit_connect(http_server_port(*state));
        http_kit_send(fd, head);
        (void)close(fd);
    }
    int fd cleanup_close = http_kit_connect(http_server_port(*state));
    http_kit_send(fd, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc");
    for (int ms = 0; atomic_load(&starts) - before < 3 && ms < 10000; ms++)
        (void)usleep(1000);
    assert_int_equal(atomic_load(&starts) - before, 3);
    (void)http_server_free(*state); // and the server leaves, too
    *state = NULL;
    for (int ms = 0; atomic_load(&open_uploads) && ms < 10000; ms++) // one may still wait for its resume
        (void)usleep(1000);
    assert_int_equal(atomic_load(&open_uploads), 0);
    assert_int_equal(atomic_load(&last_rc), -ECONNRESET);
}

static void answers_before_the_body(void **state) {
    // 8 MiB are on the way; the redirect must reach the client, which reads it after sending all.
    static unsigned char data[8 << 20];
    int fd cleanup_close = http_kit_connect(http_server_port(*state));
    http_kit_send(fd, "PUT /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n");
    http_kit_send_bytes(fd, data, sizeof data);
    struct http_kit_reply reply;
    char location[64];
    http_kit_read(fd, false, &reply);
    assert_int_equal(reply.status, 307);
    assert_string_equal(http_kit_field(&reply, "Location", location, sizeof location), "http://elsewhere/");
    http_kit_reply_done(&reply);
    assert_true(http_kit_closed(fd));
}

static void says_continue(void **state) {
    static const char *const targets[] = {"/echo", "/upload"};
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
        char head[200];
        (void)snprintf(head, sizeof head,
                       "POST %s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n", targets[i]);
        int fd cleanup_close = http_kit_connect(http_server_port(*state));
        http_kit_send(fd, head);
        struct http_kit_reply reply;
        http_kit_read(fd, false, &reply);
        assert_int_equal(reply.status, 100);
        http_kit_reply_done(&reply);
        http_kit_send(fd, "abc");
        http_kit_read(fd, false, &reply);
        assert_int_equal(reply.status, 200);
        http_kit_reply_done(&reply);
    }
    // A refusal comes instead of 100.
    struct http_kit_reply reply;
    http_kit_ask(http_server_port(*state),
                 "PUT /refuse HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n", &reply);
    assert_int_equal(reply.status, 307);
    http_kit_reply_done(&reply);
}

// A form with a part before and one after, in which the delimiter nearly occurs.
static size_t build_form(char *out, size_t size, const char *value, size_t len) {
    int n = snprintf(out, size,
                     "preamble\r\n--b0und\r\nContent-Disposition: form-data; name=\"first\"\r\n\r\nvalue\r\n--b0un"
                     "\r\n--b0und\r\ncontent-disposition: form-data; filename=\"v\\\"al\"; name=\"value\"\r\n\r\n");
    memcpy(out + n, value, len);
    n += (int)len;
    n += snprintf(out + n, size - (size_t)n,
                  "\r\n--b0und\r\nContent-Disposition: form-data; name=\"value\"\r\n\r\nlate\r\n--b0und--\r\nend");
    return (size_t)n;
}

static void reads_forms(void **state) {
    static char value[200000], body[210000], head[300];
    struct {
        const char *text;
        size_t len;
    } values[] = {{"", 0},        {"v", 1},
                  {"\r\n", 2},    {"\r\n--b0un", 8},
                  {"--b0und", 7}, {"a\r\n--b0undX\r\nb", 15},
                  {"\0\r", 2},    {value, sizeof value}};
    fill((unsigned char *)value, sizeof value);
    for (size_t i = 0; i < ARRAY_SIZE(values); i++)
        for (int way = 0; way < 3; way++) { // whole; as a stream; as a stream, byte by byte
            if (way == 2 && values[i].len > 100)
                continue;
            size_t len = build_form(body, sizeof body, values[i].text, values[i].len);
            (void)snprintf(
                head, sizeof head,
                "POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: Multipart/Form-Data; charset=x; boundary=\"b0und\"\r\n"
                "Content-Length: %zu\r\n\r\n",
                way ? "/upload?field=value" : "/form", len);
            int fd cleanup_close = http_kit_connect(http_server_port(*state));
            http_kit_send(fd, head);
            size_t step = way == 2 ? 1 : len;
            for (size_t at = 0; at < len; at += step)
                http_kit_send_bytes(fd, body + at, step);
            struct http_kit_reply reply;
            http_kit_read(fd, false, &reply);
            assert_int_equal(reply.status, 200);
            if (way) {
                check_sum(&reply, (const unsigned char *)values[i].text, values[i].len);
            } else {
                assert_int_equal(reply.len, values[i].len);
                assert_memory_equal(reply.body, values[i].text, values[i].len);
            }
            http_kit_reply_done(&reply);
        }
}

int main(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(takes_streams, start, stop),
        cmocka_unit_test_setup_teardown(uses_bounded_memory, start, stop),
        cmocka_unit_test_setup_teardown(reports_failures_of_streams, start, stop),
        cmocka_unit_test_setup_teardown(ends_abandoned_streams, start, stop),
        cmocka_unit_test_setup_teardown(answers_before_the_body, start, stop),
        cmocka_unit_test_setup_teardown(says_continue, start, stop),
        cmocka_unit_test_setup_teardown(reads_forms, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
