// SPDX-License-Identifier: Apache-2.0
#include "sidecar/remote/probe.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

#define WAIT_S 10

static int connect_unix(const char *path, int *ret) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd cleanup_close = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return -errno;
    *ret = take_fd(&fd);
    return 0;
}

// "HOST:PORT" or "[IPv6]:PORT"
static int connect_tcp(const char *text, int *ret) {
    const char *colon = strrchr(text, ':');
    bool v6 = text[0] == '[';
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    if (!colon || colon - text < (v6 ? 2 : 0))
        return -EINVAL;
    char *host cleanup_free = mem_strndup(text + v6, (size_t)(colon - text) - (v6 ? 2U : 0U));
    if (!host || getaddrinfo(*host ? host : "127.0.0.1", colon + 1, &hints, &list) != 0)
        return -EINVAL;
    int fd cleanup_close = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = fd >= 0 && connect(fd, list->ai_addr, list->ai_addrlen) == 0 ? 0 : -errno;
    freeaddrinfo(list);
    if (r == 0)
        *ret = take_fd(&fd);
    return r;
}

int probe_ready(const char *address, struct err *err) {
    static const char request[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    const struct timeval wait = {.tv_sec = WAIT_S};
    char answer[2048];
    size_t len = 0;
    int fd cleanup_close = -1;
    int r = str_starts(address, "unix:") ? connect_unix(address + 5, &fd) : connect_tcp(address, &fd);
    if (r < 0)
        return err_set(err, r, "no sidecar listens on %.100s: %s", address, err_name(r));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
        return err_set(err, -errno, "%.100s: %s", address, err_name(errno));
    for (ssize_t n = 1; n > 0 && len<sizeof answer - 1; len += n> 0 ? (size_t)n : 0)
        n = recv(fd, answer + len, sizeof answer - 1 - len, 0);
    answer[len] = '\0';
    if (str_starts(answer, "HTTP/1.1 200 "))
        return 0;
    const char *body = strstr(answer, "\r\n\r\n");
    return err_set(err, -EAGAIN, "not ready: %.200s", body ? body + 4 : "no answer");
}
