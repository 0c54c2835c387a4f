// SPDX-License-Identifier: Apache-2.0
#include "lib/mount/launcher_wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/mount/process.h"

union control {
    struct cmsghdr header; // for its alignment
    char bytes[CMSG_SPACE(sizeof(int))];
};

int wire_address(const char *path, struct sockaddr_un *ret, struct err *err) {
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof ret->sun_path)
        return err_set(err, -ENAMETOOLONG, "the socket path %s is longer than %zu bytes; use a shorter one", path,
                       sizeof ret->sun_path - 1);
    (void)strcpy(ret->sun_path, path);
    return 0;
}

int wire_send(int socket, const struct json *message, int fd, struct err *err) {
    char *text cleanup_free = json_dump(message, false);
    if (!text)
        return err_set(err, -ENOMEM, "out of memory");
    size_t len = strlen(text);
    if (len > WIRE_MAX)
        return err_set(err, -EMSGSIZE, "a message of %zu bytes is longer than %d", len, WIRE_MAX);
    struct iovec piece = {text, len};
    union control control = {0};
    struct msghdr header = {.msg_iov = &piece, .msg_iovlen = 1};
    if (fd >= 0) {
        header.msg_control = control.bytes;
        header.msg_controllen = sizeof control.bytes;
        struct cmsghdr *item = CMSG_FIRSTHDR(&header);
        item->cmsg_level = SOL_SOCKET;
        item->cmsg_type = SCM_RIGHTS;
        item->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(item), &fd, sizeof fd);
    }
    ssize_t n = sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    return n < 0 ? err_set(err, -errno, "cannot send: %s", err_name(errno)) : 0;
}

static int take_descriptor(struct msghdr *header) {
    struct cmsghdr *item = CMSG_FIRSTHDR(header);
    int fd = -1;
    if (item && item->cmsg_level == SOL_SOCKET && item->cmsg_type == SCM_RIGHTS &&
        item->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(item), sizeof fd);
    return fd;
}

static int wait_readable(int socket, int64_t deadline_ns, struct err *err) {
    for (;;) {
        struct pollfd fd = {.fd = socket, .events = POLLIN};
        int n = poll(&fd, 1, process_poll_ms(deadline_ns));
        if (n > 0)
            return 0;
        if (n == 0 && clock_monotonic(&clock_system) >= deadline_ns)
            return err_set(err, -ETIMEDOUT, "no answer in time");
    }
}

int wire_receive(int socket, int64_t deadline_ns, struct json **ret, int *ret_fd, struct err *err) {
    char *text cleanup_free = mem_alloc(WIRE_MAX);
    if (!text)
        return err_set(err, -ENOMEM, "out of memory");
    int r = wait_readable(socket, deadline_ns, err);
    if (r < 0)
        return r;
    struct iovec piece = {text, WIRE_MAX};
    union control control = {0};
    struct msghdr header = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0)
        return err_set(err, -errno, "cannot receive: %s", err_name(errno));
    int fd cleanup_close = take_descriptor(&header);
    if (n == 0)
        return err_set(err, -ECONNRESET, "the other side hung up");
    if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
        return err_set(err, -EMSGSIZE, "a message is too long");
    r = json_parse(text, (size_t)n, WIRE_MAX, ret, err);
    if (r == 0)
        *ret_fd = take_fd(&fd);
    return r;
}
