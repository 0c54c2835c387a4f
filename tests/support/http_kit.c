// SPDX-License-Identifier: Apache-2.0
#include "tests/support/http_kit.h"

#include "tests/support/cm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "lib/base/cleanup.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

static int connect_to(int family, const struct sockaddr *address, socklen_t size) {
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct timeval limit = {.tv_sec = 10};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), 0);
    if (connect(fd, address, size) < 0)
        fail_msg("cannot connect: errno %d", errno);
    return fd;
}

int http_kit_connect(uint16_t port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect_to(AF_INET, (struct sockaddr *)&to, sizeof to);
}

int http_kit_connect_unix(const char *path) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    (void)snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    return connect_to(AF_UNIX, (struct sockaddr *)&to, sizeof to);
}

bool http_kit_try_send(int fd, const void *data, size_t len) {
    for (size_t done = 0; done < len;) {
        ssize_t n = send(fd, (const char *)data + done, len - done, MSG_NOSIGNAL);
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
            return false;
        assert_true(n > 0);
        done += (size_t)n;
    }
    return true;
}
void http_kit_send_bytes(int fd, const void *data, size_t len) {
    assert_true(http_kit_try_send(fd, data, len));
}
void http_kit_send(int fd, const char *text) {
    http_kit_send_bytes(fd, text, strlen(text));
}

// One read; 0 at the end, also after a reset.
static size_t take(int fd, char *buf, size_t size) {
    ssize_t n = recv(fd, buf, size, 0);
    if (n < 0 && errno != ECONNRESET)
        fail_msg("no answer within ten seconds (errno %d)", errno);
    return n < 0 ? 0 : (size_t)n;
}

size_t http_kit_read_to_end(int fd, char *buf, size_t size) {
    size_t have = 0;
    for (size_t n; have + 1 < size && (n = take(fd, buf + have, size - 1 - have)) > 0;)
        have += n;
    buf[have] = '\0';
    return have;
}

bool http_kit_closed(int fd) {
    char byte;
    return take(fd, &byte, 1) == 0;
}

static bool read_line(int fd, struct str *line) {
    char byte;
    size_t from = line->len;
    while (line->len < from + 2 || line->data[line->len - 2] != '\r' || line->data[line->len - 1] != '\n') {
        if (take(fd, &byte, 1) == 0)
            return false;
        assert_int_equal(str_append_bytes(line, &byte, 1), 0);
    }
    return true;
}

static bool read_exactly(int fd, struct str *body, size_t len) {
    char buf[65536];
    for (size_t n; len; len -= n) {
        n = take(fd, buf, len < sizeof buf ? len : sizeof buf);
        if (!n)
            return false;
        assert_int_equal(str_append_bytes(body, buf, n), 0);
    }
    return true;
}

static bool read_chunks(int fd, struct str *body) {
    while (true) {
        struct str line cleanup_str = {0};
        if (!read_line(fd, &line))
            return false;
        size_t len = strtoul(line.data, NULL, 16);
        struct str end cleanup_str = {0};
        if (!read_exactly(fd, body, len) || !read_line(fd, &end))
            return false;
        assert_int_equal(end.len, 2);
        if (!len)
            return true;
    }
}

const char *http_kit_field(const struct http_kit_reply *reply, const char *name, char *buf, size_t size) {
    char wanted[128];
    (void)snprintf(wanted, sizeof wanted, "\r\n%s: ", name);
    const char *at = strcasestr(reply->head, wanted);
    if (!at)
        return NULL;
    at += strlen(wanted);
    (void)snprintf(buf, size, "%.*s", (int)strcspn(at, "\r"), at);
    return buf;
}

void http_kit_read(int fd, bool head_only, struct http_kit_reply *ret) {
    *ret = (struct http_kit_reply){0};
    struct str head cleanup_str = {0};
    struct str body cleanup_str = {0};
    while (head.len < 4 || memcmp(head.data + head.len - 4, "\r\n\r\n", 4) != 0)
        if (!read_line(fd, &head))
            fail_msg("the server closed before the end of its head: %s", str_text(&head));
    assert_true(str_starts(head.data, "HTTP/1.1 "));
    ret->status = atoi(head.data + 9);
    ret->head = str_take(&head);
    char field[64];
    bool none = head_only || ret->status == 204 || ret->status == 304 || ret->status < 200;
    if (none)
        ret->complete = true;
    else if (http_kit_field(ret, "Content-Length", field, sizeof field))
        ret->complete = read_exactly(fd, &body, strtoul(field, NULL, 10));
    else if (http_kit_field(ret, "Transfer-Encoding", field, sizeof field))
        ret->complete = read_chunks(fd, &body);
    else
        fail_msg("the length of the answer is not told: %s", ret->head);
    ret->len = body.len;
    assert_int_equal(str_append(&body, ""), 0);
    ret->body = body.data ? str_take(&body) : mem_strdup("");
}

void http_kit_reply_done(struct http_kit_reply *reply) {
    free(reply->head);
    free(reply->body);
    *reply = (struct http_kit_reply){0};
}

void http_kit_ask(uint16_t port, const char *request, struct http_kit_reply *ret) {
    int fd cleanup_close = http_kit_connect(port);
    http_kit_send(fd, request);
    http_kit_read(fd, str_starts(request, "HEAD "), ret);
}
