// SPDX-License-Identifier: Apache-2.0
// Daemons started by a service: one connection a request.
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/str.h"
#include "lib/mount/launcher.h"
#include "lib/mount/launcher_wire.h"
#include "lib/mount/process_json.h"

static int connect_to(const char *socket_path, int *ret, struct err *err) {
    struct sockaddr_un address;
    int r = wire_address(socket_path, &address, err);
    if (r < 0)
        return r;
    int fd cleanup_close = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, -errno, "socket: %s", err_name(errno));
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        if (errno == EAGAIN) // its queue is full
            return err_set(err, -ETIMEDOUT, "it does not answer");
        return err_set(err, -errno, "%s; does 'stowage-cachefs --serve' run there?", err_name(errno));
    }
    *ret = take_fd(&fd);
    return 0;
}

// Sends `request` (taken; NULL: out of memory) and reads the reply, whose descriptor is *ret_fd when that is not NULL.
static int exchange(const char *socket_path, struct json *request, int fd, struct json **ret, int *ret_fd,
                    struct err *err) {
    struct json *message cleanup(json_freep) = request;
    struct json *reply cleanup(json_freep) = NULL;
    int connection cleanup_close = -1;
    int received cleanup_close = -1;
    if (!message)
        return err_set(err, -ENOMEM, "out of memory");
    int r = connect_to(socket_path, &connection, err);
    if (r == 0)
        r = wire_send(connection, message, fd, err);
    if (r == 0)
        r = wire_receive(connection, clock_monotonic(&clock_system) + LAUNCHER_LIMIT_NS, &reply, &received, err);
    if (r < 0)
        return err_wrap(err, r, "mount service %s", socket_path);
    int64_t code = json_get_int(reply, "code", -EPROTO);
    const char *text = json_get_text(reply, "message");
    if (code != 0)
        return err_set(err, code < 0 && code > -4096 ? (int)code : -EPROTO, "%s", text ? text : "malformed reply");
    if (ret_fd && received < 0)
        return err_set(err, -EPROTO, "mount service %s: a reply lacks its descriptor", socket_path);
    if (ret_fd)
        *ret_fd = take_fd(&received);
    if (ret)
        *ret = take_ptr(reply);
    return 0;
}

static struct json *request_about(const char *op, const struct process_id *id) {
    struct json *request cleanup(json_freep) = json_object_new();
    int r = request ? json_set_text(request, "op", op) : -ENOMEM;
    if (r == 0 && id)
        r = json_set(request, "daemon", process_id_encode(id));
    return r < 0 ? NULL : take_ptr(request);
}

static int probe(void *self, struct err *err) {
    return exchange(self, request_about("probe", NULL), -1, NULL, NULL, err);
}

static int spawn(void *self, const char *const *args, int ready_fd, struct process_id *ret, int *ret_pidfd,
                 struct err *err) {
    struct json *request = request_about("spawn", NULL), *list = json_array_new();
    int r = request && list ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && args[i]; i++)
        r = json_append_text(list, args[i]);
    if (request)
        r = r < 0 ? r : json_set(request, "args", json_ref(list));
    (void)json_free(list);
    if (r < 0) {
        (void)json_free(request);
        return err_set(err, r, r == -ENOMEM ? "out of memory" : "a path or name of the mount is no UTF-8");
    }
    struct json *reply cleanup(json_freep) = NULL;
    int pidfd cleanup_close = -1;
    r = exchange(self, request, ready_fd, &reply, &pidfd, err);
    if (r == 0 && process_id_decode(json_get(reply, "daemon"), ret) < 0)
        r = err_set(err, -EPROTO, "mount service %s: a reply lacks the daemon", (const char *)self);
    if (r == 0)
        *ret_pidfd = take_fd(&pidfd);
    return r;
}

// A daemon that this program started itself, before there was a service, is found here as well.
static int open_daemon(void *self, const struct process_id *id, int *ret_pidfd, struct err *err) {
    int r = exchange(self, request_about("open", id), -1, NULL, ret_pidfd, err);
    int own = r == -ESRCH ? process_open(id) : -1;
    if (own < 0)
        return r;
    *ret_pidfd = own;
    return 0;
}

static int signal_daemon(void *self, const struct process_id *id, int signal, struct err *err) {
    struct json *request = request_about("signal", id);
    if (request && json_set_int(request, "signal", signal) < 0)
        request = json_free(request);
    int r = exchange(self, request, -1, NULL, NULL, err);
    int own cleanup_close = r == -ESRCH ? process_open(id) : -1;
    return own < 0 ? r : process_signal(own, signal);
}

struct launcher launcher_service(const char *socket) {
    static const struct launcher_ops ops = {probe, spawn, open_daemon, signal_daemon};
    return (struct launcher){&ops, (void *)(uintptr_t)socket};
}
