// SPDX-License-Identifier: Apache-2.0
#include "lib/rpc/address.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define TURN_WAIT_NS (5 * NS_PER_S)
#define TURN_PAUSE_NS (5 * NS_PER_MS)

int address_path(const char *socket, const char **ret, struct err *err) {
    const char *path = socket ? socket : "";
    if (str_starts(path, "unix://"))
        path += strlen("unix://");
    else if (str_starts(path, "unix:"))
        path += strlen("unix:");
    if (*path == '\0')
        return err_set(err, -EINVAL, "the socket path is empty; give one such as unix:///run/csi/csi.sock");
    size_t max = sizeof((struct sockaddr_un){0}).sun_path - 1;
    if (strlen(path) > max)
        return err_set(err, -ENAMETOOLONG, "the socket path '%s' is longer than %zu bytes; use a shorter directory",
                       path, max);
    *ret = path;
    return 0;
}

static int open_connected(const char *path, int *ret) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)memcpy(address.sun_path, path, strnlen(path, sizeof address.sun_path - 1));
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return -errno;
    *ret = take_fd(&fd);
    return 0;
}

int address_connect(const char *path, int *ret, struct err *err) {
    int r = open_connected(path, ret);
    switch (r) {
    case 0:
        return 0;
    case -ENOENT:
        return err_set(err, r, "no socket '%s'; is the server running, and is this its --socket?", path);
    case -ECONNREFUSED:
        return err_set(err, r, "nobody listens on '%s'; its server has ended: start it again", path);
    case -EACCES:
        return err_set(err, r, "no permission to use '%s'; run as root or as its group", path);
    case -EAGAIN:
        return err_set(err, r, "the server on '%s' is too busy to take a connection; try again", path);
    default:
        return err_set(err, r, "cannot connect to '%s': %s", path, err_name(r));
    }
}

static int wait_for_turn(int dir) {
    const struct timespec pause = {.tv_nsec = TURN_PAUSE_NS};
    int64_t end = clock_monotonic(&clock_system) + TURN_WAIT_NS;
    while (flock(dir, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return -errno;
        if (clock_monotonic(&clock_system) >= end)
            return -EADDRINUSE;
        (void)nanosleep(&pause, NULL);
    }
    return 0;
}

int address_take_turn(const char *path, int *ret, struct err *err) {
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;
    cleanup_free char *dir = len > 0 ? mem_strndup(path, len) : mem_strdup(slash ? "/" : ".");
    if (!dir)
        return err_set(err, -ENOMEM, "no memory for a server");
    cleanup_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, -errno, "cannot open '%s', the directory of the socket: %s", dir, err_name(errno));
    int r = wait_for_turn(fd);
    if (r == -EADDRINUSE)
        return err_set(err, r, "another server is being started on '%s', or a process holds a lock on '%s'", path, dir);
    if (r < 0)
        return err_set(err, r, "cannot lock '%s', the directory of the socket: %s", dir, err_name(r));
    *ret = take_fd(&fd);
    return 0;
}

int address_prepare(const char *path, struct err *err) {
    struct stat st;
    if (lstat(path, &st) < 0) {
        if (errno == ENOENT)
            return 0;
        return err_set(err, -errno, "cannot look at the socket '%s': %s", path, err_name(errno));
    }
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, -ENOTSOCK, "'%s' exists and is no socket; remove it or choose another path", path);
    cleanup_close int fd = -1;
    int r = open_connected(path, &fd);
    if (r == 0 || r == -EAGAIN)
        return err_set(err, -EADDRINUSE, "another server runs on '%s'; stop it or choose another path", path);
    if (r != -ECONNREFUSED)
        return err_set(err, r, "cannot tell whether a server runs on '%s': %s", path, err_name(r));
    if (unlink(path) < 0 && errno != ENOENT)
        return err_set(err, -errno, "cannot remove the dead socket '%s': %s", path, err_name(errno));
    return 0;
}

char *address_uri(const char *path) {
    struct str uri = {0};
    (void)str_append(&uri, "unix:");
    for (const unsigned char *c = (const unsigned char *)path; *c; c++) {
        if (isalnum(*c) || strchr("/._-~", *c))
            (void)str_append_bytes(&uri, c, 1);
        else
            (void)str_printf(&uri, "%%%02X", *c);
    }
    return str_take(&uri);
}
