// SPDX-License-Identifier: Apache-2.0
#include "lib/http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/mem.h"
#include "lib/base/metrics.h"

// Requests are short GETs from probes and scrapers; whoever sends more, or slowly, is cut off.
#define CONNECTIONS_MAX 32
#define CONNECTION_MEMORY (16 * 1024)
#define TIMEOUT_S 10

struct http_server {
    struct MHD_Daemon *daemon;
    const struct http_route *routes;
    size_t count;
    uint16_t port;
};

int http_metrics(void *arg, struct str *body, const char **ret_type) {
    (void)arg;
    *ret_type = "text/plain; version=0.0.4; charset=utf-8";
    return metrics_render(body) < 0 ? MHD_HTTP_INTERNAL_SERVER_ERROR : MHD_HTTP_OK;
}

static const struct http_route *route_find(const struct http_server *server, const char *path) {
    for (size_t i = 0; i < server->count; i++)
        if (str_eq(server->routes[i].path, path))
            return &server->routes[i];
    return NULL;
}

// Which status and body answer this request?
static unsigned answer(const struct http_server *server, const char *path, const char *method, struct str *body,
                       const char **type) {
    bool readable = str_eq(method, "GET") || str_eq(method, "HEAD");
    const struct http_route *route = route_find(server, path);
    if (!route) {
        (void)str_append(body, "no such path; there are:\n");
        for (size_t i = 0; i < server->count; i++)
            (void)str_printf(body, "%s\n", server->routes[i].path);
        return MHD_HTTP_NOT_FOUND;
    }
    if (!readable) {
        (void)str_append(body, "only GET and HEAD are served\n");
        return MHD_HTTP_METHOD_NOT_ALLOWED;
    }
    return (unsigned)route->handle(route->arg, body, type);
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **state) {
    (void)version;
    (void)upload;
    static int seen;
    if (!*state) { // headers only: the answer is given at the second call
        *state = &seen;
        return MHD_YES;
    }
    if (*upload_size) { // a body is read and dropped
        *upload_size = 0;
        return MHD_YES;
    }
    struct str body cleanup_str = {0};
    const char *type = "text/plain; charset=utf-8";
    unsigned status = answer(arg, path, method, &body, &type);
    size_t len = body.len;
    char *text = str_take(&body);
    if (!text)
        return MHD_NO;
    struct MHD_Response *response = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(text);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    enum MHD_Result queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

// "HOST:PORT", "[IPv6]:PORT" or ":PORT" → a bound, listening socket.
static int listen_on(const char *address, uint16_t *ret_port, struct err *err) {
    const char *colon = strrchr(address, ':');
    uint64_t port;
    if (!colon || str_to_u64(colon + 1, 0, 65535, &port) < 0)
        return err_set(err, -EINVAL, "'%s' is no HTTP address; give HOST:PORT, such as 127.0.0.1:9810", address);
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
    int on = 1;
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, CONNECTIONS_MAX) == 0;
    int error = errno;
    freeaddrinfo(found);
    if (!ok)
        return err_set(err, -error, "cannot listen on HTTP address '%s': %s", address, err_name(error));
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &size) < 0)
        return err_set(err, -errno, "cannot read the port of '%s'", address);
    *ret_port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                  : ((struct sockaddr_in *)&bound)->sin_port);
    return take_fd(&fd);
}

int http_server_start(const char *address, const struct http_route *routes, size_t count, struct http_server **ret,
                      struct err *err) {
    struct http_server *server cleanup(http_server_freep) = mem_zalloc(sizeof *server);
    if (!server)
        return err_set(err, -ENOMEM, "out of memory");
    server->routes = routes;
    server->count = count;
    int fd cleanup_close = listen_on(address, &server->port, err);
    if (fd < 0)
        return fd;
    server->daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ITC, 0, NULL, NULL, on_request,
                         server, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT,
                         (unsigned)TIMEOUT_S, MHD_OPTION_END);
    if (!server->daemon)
        return err_set(err, -EIO, "cannot start the HTTP server on '%s'", address);
    (void)take_fd(&fd); // the daemon closes it
    *ret = take_ptr(server);
    return 0;
}

uint16_t http_server_port(const struct http_server *server) {
    return server->port;
}

struct http_server *http_server_free(struct http_server *server) {
    if (server && server->daemon)
        MHD_stop_daemon(server->daemon);
    free(server);
    return NULL;
}
