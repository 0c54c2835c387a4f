// SPDX-License-Identifier: Apache-2.0
// Listening sockets and the connections that come.
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/http/loop.h"

#define BACKLOG 1024
#define ACCEPTS 64 // in one turn

void http_listener_done(struct http_listener *listener) {
    if (listener->fd >= 0)
        (void)close(listener->fd);
    if (listener->path)
        (void)unlink(listener->path);
    free(listener->path);
    *listener = (struct http_listener){.fd = -1};
}

static int bind_to(int fd, const struct sockaddr *address, socklen_t size) {
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 || bind(fd, address, size) < 0)
        return -errno;
    return 0;
}

static int start_to_listen(int fd) {
    return listen(fd, BACKLOG) < 0 ? -errno : 0;
}

// ---- unix:PATH --------------------------------------------------------------------------------------------------------

// A socket that nobody listens on is left from a process that died; a living one, or anything else, is not ours.
static int remove_stale(const struct sockaddr_un *address, struct err *err) {
    struct stat st;
    if (lstat(address->sun_path, &st) < 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, -EADDRINUSE, "'%s' exists and is no socket; remove it or listen elsewhere",
                       address->sun_path);
    int fd cleanup_close = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, -errno, "cannot make a socket: %s", err_name(errno));
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN)
        return err_set(err, -EADDRINUSE, "another process listens on '%s'", address->sun_path);
    (void)unlink(address->sun_path);
    return 0;
}

static int listen_unix(const char *path, struct http_listener *ret, struct err *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!*path || strlen(path) >= sizeof address.sun_path)
        return err_set(err, -EINVAL, "'unix:%s': the path must have 1 to %zu bytes", path, sizeof address.sun_path - 1);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int r = remove_stale(&address, err);
    if (r < 0)
        return r;
    int fd cleanup_close = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    r = fd < 0 ? -errno : bind_to(fd, (struct sockaddr *)&address, sizeof address);
    if (r == 0 && chmod(path, 0660) < 0) // before anybody can connect, whatever the umask
        r = -errno;
    if (r == 0)
        r = start_to_listen(fd);
    if (r < 0)
        return err_set(err, r, "cannot listen on 'unix:%s': %s", path, err_name(r));
    ret->path = mem_strdup(path);
    if (!ret->path)
        return err_set(err, -ENOMEM, "out of memory");
    ret->fd = take_fd(&fd);
    return 0;
}

bool http_address_is_local(const char *address) {
    return str_starts(address, "unix:") || str_starts(address, "127.") || str_starts(address, "localhost:") ||
           str_starts(address, "[::1]:");
}

// ---- HOST:PORT --------------------------------------------------------------------------------------------------------

static int listen_tcp(const char *address, struct http_listener *ret, uint16_t *ret_port, struct err *err) {
    const char *colon = strrchr(address, ':');
    uint64_t port;
    if (!colon || str_to_u64(colon + 1, 0, 65535, &port) < 0)
        return err_set(err, -EINVAL, "'%s' is no HTTP address; give HOST:PORT, such as 127.0.0.1:9810, or unix:PATH",
                       address);
    bool brackets = address[0] == '[' && colon > address + 1 && colon[-1] == ']';
    char *host cleanup_free = mem_strndup(address + brackets, (size_t)(colon - address) - (brackets ? 2U : 0U));
    if (!host)
        return err_set(err, -ENOMEM, "out of memory");
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int r = getaddrinfo(*host ? host : NULL, colon + 1, &hints, &found);
    if (r != 0)
        return err_set(err, -EINVAL, "HTTP address '%s': %s", address, gai_strerror(r));
    int fd cleanup_close = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    r = fd < 0 ? -errno : bind_to(fd, found->ai_addr, found->ai_addrlen);
    if (r == 0)
        r = start_to_listen(fd);
    freeaddrinfo(found);
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    if (r == 0 && getsockname(fd, (struct sockaddr *)&bound, &size) < 0)
        r = -errno;
    if (r < 0)
        return err_set(err, r, "cannot listen on HTTP address '%s': %s", address, err_name(r));
    *ret_port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                  : ((struct sockaddr_in *)&bound)->sin_port);
    ret->tcp = true;
    ret->fd = take_fd(&fd);
    return 0;
}

int http_listen(struct http_server *server, const char *address, struct http_listener *ret, struct err *err) {
    *ret = (struct http_listener){.fd = -1};
    if (str_starts(address, "unix:"))
        return listen_unix(address + 5, ret, err);
    uint16_t port = 0;
    int r = listen_tcp(address, ret, &port, err);
    if (r == 0 && !server->port)
        server->port = port;
    return r;
}

// ---- accepting ------------------------------------------------------------------------------------------------------------

static void refuse(int fd) {
    static const char text[] =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 67\r\n"
        "Retry-After: 1\r\nConnection: close\r\n\r\n"
        "{\"code\":\"unavailable\",\"message\":\"the limit of connections is met\"}\n";
    (void)send(fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)close(fd);
}

static void welcome(struct http_server *server, const struct http_listener *listener, int fd) {
    int on = 1;
    if (listener->tcp)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    void *tls = NULL;
    if (listener->tcp && server->options.tls && !(tls = server->options.tls->open(server->options.tls, fd))) {
        (void)close(fd);
        return;
    }
    if (atomic_fetch_add(&server->connections, 1) >= server->options.connections_max) {
        atomic_fetch_sub(&server->connections, 1);
        if (tls)
            server->options.tls->close(tls);
        refuse(fd);
        return;
    }
    struct http_worker *w = &server->workers[atomic_fetch_add(&server->turn, 1) % server->worker_count];
    struct http_connection *c = http_connection_new(w, fd, listener->tcp, tls);
    if (c) {
        http_worker_adopt(w, c);
        return;
    }
    atomic_fetch_sub(&server->connections, 1);
    if (tls)
        server->options.tls->close(tls);
    (void)close(fd);
}

bool http_accept(struct http_worker *worker, const struct http_listener *listener) {
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            welcome(worker->server, listener, fd);
        else if (errno != ECONNABORTED && errno != EINTR)
            return errno == EAGAIN;
    }
    return true;
}
