// SPDX-License-Identifier: Apache-2.0
// TLS: answers, uploads and files over it, a renewed certificate without a restart, and refusal of what does not fit.
// Needs the `openssl` command to make certificates.
#include "tests/support/cm.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/base/mem.h"
#include "lib/http/server.h"
#include "lib/http/tls.h"
#include "tests/support/http_kit.h"

#define FILE_LEN 3000000

static int content = -1;
static void echo(void *arg, struct http_request *request) {
    (void)arg;
    size_t len;
    const void *body = http_request_body(request, &len);
    http_reply(request, 200, NULL, body, len);
}
static void file(void *arg, struct http_request *request) {
    (void)arg;
    http_reply_file(request, 200, NULL, dup(content), 0, FILE_LEN);
}
static const struct http_route routes[] = {
    {.method = HTTP_POST,
     .pattern = "/echo",
     .body = HTTP_BODY_WHOLE,
     .body_max = 4 << 20,
     .handle = echo,
     .name = "echo"},
    {.method = HTTP_GET, .pattern = "/file", .handle = file, .name = "file"},
};
static const char *const prefixes[] = {""};
static const struct http_table table = {prefixes, 1, routes, ARRAY_SIZE(routes), NULL};

static char dir[] = "/tmp/stowage-test-XXXXXX";
static char certificate[64], key[64];
static SSL_CTX *client;

static int make_certificate(const char *name) {
    char command[512];
    (void)snprintf(
        command, sizeof command,
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=%s -keyout %s.new "
        "-out %s.new >/dev/null 2>&1 && mv %s.new %s && mv %s.new %s",
        name, key, certificate, key, key, certificate, certificate);
    return system(command);
}

static int setup(void **state) {
    (void)state;
    if (system("openssl version >/dev/null 2>&1") != 0) {
        (void)fprintf(stderr, "skipped: no openssl command\n");
        exit(77);
    }
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(certificate, sizeof certificate, "%s/tls.crt", dir);
    (void)snprintf(key, sizeof key, "%s/tls.key", dir);
    content = memfd_create("content", MFD_CLOEXEC);
    char *bytes = mem_alloc(FILE_LEN);
    for (int i = 0; i < FILE_LEN; i++)
        bytes[i] = (char)(i * 7);
    ssize_t n = write(content, bytes, FILE_LEN);
    free(bytes);
    client = SSL_CTX_new(TLS_client_method());
    return n == FILE_LEN && client ? make_certificate("first") : -1;
}
static int teardown(void **state) {
    (void)state;
    SSL_CTX_free(client);
    (void)unlink(certificate);
    (void)unlink(key);
    return rmdir(dir);
}

struct server {
    struct http_tls *tls;
    struct http_server *http;
};
static int start(void **state) {
    static const char *const addresses[] = {"127.0.0.1:0"};
    static struct server s;
    if (http_tls_new(certificate, key, &s.tls, NULL) < 0)
        return -1;
    struct http_options options = {
        .addresses = addresses, .address_count = 1, .tables = &table, .table_count = 1, .tls = s.tls};
    *state = &s;
    return http_server_start(&options, &s.http, NULL);
}
static int stop(void **state) {
    struct server *s = *state;
    s->http = http_server_free(s->http);
    s->tls = http_tls_free(s->tls);
    return 0;
}

static SSL *secure(int fd) {
    SSL *session = SSL_new(client);
    assert_non_null(session);
    assert_int_equal(SSL_set_fd(session, fd), 1);
    assert_int_equal(SSL_connect(session), 1);
    return session;
}

// Sends a request and reads what comes until the server closes.
static size_t talk(SSL *session, const char *head, const char *body, size_t len, char *out, size_t size) {
    assert_int_equal(SSL_write(session, head, (int)strlen(head)), (int)strlen(head));
    if (len)
        assert_int_equal(SSL_write(session, body, (int)len), (int)len);
    size_t have = 0;
    for (int n; have + 1 < size && (n = SSL_read(session, out + have, (int)(size - 1 - have))) > 0;)
        have += (size_t)n;
    out[have] = '\0';
    return have;
}

static void serves(void **state) {
    static char body[2000000], out[FILE_LEN + 1000];
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (char)(i * 13);
    int fd cleanup_close = http_kit_connect(http_server_port(((struct server *)*state)->http));
    SSL *session = secure(fd);
    size_t len = talk(session, "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2000000\r\n\r\n",
                      body, sizeof body, out, sizeof out);
    char *at = strstr(out, "\r\n\r\n");
    assert_non_null(at);
    assert_int_equal(out + len - (at + 4), sizeof body);
    assert_memory_equal(at + 4, body, sizeof body);
    SSL_free(session);
    int other cleanup_close = http_kit_connect(http_server_port(((struct server *)*state)->http));
    session = secure(other);
    len = talk(session, "GET /file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", NULL, 0, out, sizeof out);
    at = strstr(out, "\r\n\r\n") + 4;
    assert_int_equal(out + len - at, FILE_LEN);
    for (int i = 0; i < FILE_LEN; i++)
        if (at[i] != (char)(i * 7))
            fail_msg("byte %d is wrong", i);
    SSL_free(session);
}

static void refuses_plain_text(void **state) {
    char out[1000];
    int fd cleanup_close = http_kit_connect(http_server_port(((struct server *)*state)->http));
    http_kit_send(fd, "GET /file HTTP/1.1\r\nHost: a\r\n\r\n");
    (void)http_kit_read_to_end(fd, out, sizeof out);
    assert_null(strstr(out, "HTTP/1.1 200"));
}

static void subject(uint16_t port, char *ret, int size) {
    int fd cleanup_close = http_kit_connect(port);
    SSL *session = secure(fd);
    X509 *peer = SSL_get1_peer_certificate(session);
    assert_non_null(peer);
    (void)X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, ret, size);
    X509_free(peer);
    SSL_free(session);
}

static void renews_the_certificate(void **state) {
    uint16_t port = http_server_port(((struct server *)*state)->http);
    char name[64] = "";
    subject(port, name, sizeof name);
    assert_string_equal(name, "first");
    assert_int_equal(make_certificate("second"), 0);
    for (int tries = 0; strcmp(name, "second") != 0 && tries < 500; tries++) {
        (void)usleep(10000);
        subject(port, name, sizeof name);
    }
    assert_string_equal(name, "second");
}

static void names_what_does_not_fit(void **state) {
    (void)state;
    struct http_tls *tls = NULL;
    struct err err = ERR_NONE;
    assert_int_equal(http_tls_new("/nonexistent/tls.crt", key, &tls, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "/nonexistent/tls.crt"));
    assert_int_equal(http_tls_new(certificate, certificate, &tls, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "key"));
    assert_int_equal(http_tls_new(key, key, &tls, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "certificate"));
}

int main(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(serves, start, stop),
        cmocka_unit_test_setup_teardown(refuses_plain_text, start, stop),
        cmocka_unit_test_setup_teardown(renews_the_certificate, start, stop),
        cmocka_unit_test(names_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
