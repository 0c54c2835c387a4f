// SPDX-License-Identifier: Apache-2.0
#include "sidecar/remote/local_http.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

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

static int send_all(int fd, const char *data, size_t len) {
    while (len) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return -errno;
        data += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

int local_http_ask(const struct local_request *request, char *answer, size_t size, struct err *err) {
    const struct timeval wait = {.tv_sec = request->wait_s};
    const char *address = request->address;
    size_t len = 0;
    int fd cleanup_close = -1;
    int r = str_starts(address, "unix:") ? connect_unix(address + 5, &fd) : connect_tcp(address, &fd);
    if (r < 0)
        return err_set(err, r, "nobody listens on %.100s: %s", address, err_name(r));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    r = send_all(fd, request->data, request->len);
    if (r < 0)
        return err_set(err, r, "%.100s: %s", address, err_name(r));
    for (ssize_t n = 1; n > 0 && len<size - 1; len += n> 0 ? (size_t)n : 0)
        n = recv(fd, answer + len, size - 1 - len, 0);
    answer[len] = '\0';
    return 0;
}
