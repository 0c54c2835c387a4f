// SPDX-License-Identifier: Apache-2.0
#include "lib/mount/launcher_server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/metrics.h"
#include "lib/base/str.h"
#include "lib/mount/launcher.h"
#include "lib/mount/launcher_wire.h"
#include "lib/mount/process_json.h"

#define ARGS_MAX 64
#define BACKLOG 64
#define CLIENT_NS (1 * NS_PER_S)
#define LOOK_MS 500 // between looks at what is still in use, while it stops

struct child {
    struct process_id id;
    int pidfd;
    char *mount_point;
    bool asked, killed; // to end
};

struct server {
    const struct launcher_server_options *options;
    struct launcher local;
    int listener;
    struct child *children;
    size_t count;
    unsigned signals; // how many came
    int64_t limit_ns; // of the present stage, once it stops
    bool told;        // what is waited for
};

static struct metric running = {
    .type = METRIC_GAUGE, .name = "stowage_mount_daemons", .help = "FUSE daemons that run, one per mounted volume"};
static struct metric ended = {.type = METRIC_COUNTER,
                              .name = "stowage_mount_daemons_ended_total",
                              .help = "FUSE daemons that ended: as asked or by themselves (fine), or died",
                              .labels = {"how"}};

void launcher_server_register_metrics(void) {
    metric_register(&running);
    metric_register(&ended);
    metric_set(&running, NULL, NULL, 0);
    metric_add(&ended, "fine", NULL, 0);
    metric_add(&ended, "died", NULL, 0);
}

static int listen_at(const char *path, int *ret, struct err *err) {
    struct sockaddr_un address;
    int r = wire_address(path, &address, err);
    if (r < 0)
        return r;
    int fd cleanup_close = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int other cleanup_close = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || other < 0)
        return err_set(err, -errno, "socket: %s", err_name(errno));
    struct stat st;
    if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return err_set(err, -ENOTSOCK, "%s exists and is no socket; remove it or choose another path", path);
    if (connect(other, (const struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN)
        return err_set(err, -EADDRINUSE, "another mount service runs on %s; stop it first", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return err_set(err, -errno, "cannot remove the dead socket %s: %s", path, err_name(errno));
    mode_t before = umask(0177);
    r = bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
    (void)umask(before);
    if (r == 0 && listen(fd, BACKLOG) < 0)
        r = -errno;
    if (r < 0)
        return err_set(err, r, "cannot serve on %s: %s; does its directory exist?", path, err_name(r));
    *ret = take_fd(&fd);
    return 0;
}

static const char *mount_point_of(const char *const *args) {
    for (size_t i = 0; args[i]; i++)
        if (str_eq(args[i], "--mount-point") && args[i + 1])
            return args[i + 1];
    return "";
}

static int remember(struct server *s, const struct process_id *id, int pidfd, const char *mount_point) {
    struct child *grown = mem_realloc(s->children, s->count + 1, sizeof *grown);
    if (grown)
        s->children = grown;
    int own = fcntl(pidfd, F_DUPFD_CLOEXEC, 0);
    char *copy = mem_strdup(mount_point);
    if (!grown || own < 0 || !copy) {
        if (own >= 0)
            (void)close(own);
        free(copy);
        return -ENOMEM;
    }
    grown[s->count++] = (struct child){.id = *id, .pidfd = own, .mount_point = copy};
    metric_set(&running, NULL, NULL, (double)s->count);
    return 0;
}

static int read_args(const struct json *list, const char *args[ARGS_MAX + 1], struct err *err) {
    size_t count = list ? json_length(list) : 0;
    if (count == 0 || count > ARGS_MAX)
        return err_set(err, -EINVAL, "a daemon has 1 to %d arguments", ARGS_MAX);
    for (size_t i = 0; i < count; i++) {
        args[i] = json_text(json_at(list, i));
        if (!args[i] || str_eq(args[i], "--serve") || str_starts(args[i], "--serve="))
            return err_set(err, -EINVAL, "an argument of the daemon is none");
    }
    args[count] = NULL;
    return 0;
}

static int do_spawn(struct server *s, const struct json *request, int fd, struct json *reply, int *ret_fd,
                    struct err *err) {
    const char *args[ARGS_MAX + 1];
    if (s->signals)
        return err_set(err, -ESHUTDOWN, "the mount service is stopping; try again when its successor runs");
    int r = read_args(json_get(request, "args"), args, err);
    if (r == 0 && fd < 0)
        r = err_set(err, -EINVAL, "the descriptor for the daemon's answer is missing");
    struct process_id id;
    int pidfd cleanup_close = -1;
    if (r == 0)
        r = launcher_spawn(&s->local, args, fd, &id, &pidfd, err);
    if (r < 0)
        return r;
    const char *mount_point = mount_point_of(args);
    if (remember(s, &id, pidfd, mount_point) < 0 || json_set(reply, "daemon", process_id_encode(&id)) < 0) {
        process_abandon(&pidfd);
        return err_set(err, -ENOMEM, "out of memory");
    }
    log_info("daemon started", LOG_I("daemon", id.pid), LOG_S("mount_point", mount_point));
    *ret_fd = take_fd(&pidfd);
    return 0;
}

static int do_open(struct server *s, const struct json *request, int fd, struct json *reply, int *ret_fd,
                   struct err *err) {
    (void)fd, (void)reply;
    struct process_id id;
    if (process_id_decode(json_get(request, "daemon"), &id) < 0)
        return err_set(err, -EINVAL, "no daemon is named");
    return launcher_open(&s->local, &id, ret_fd, err);
}

static int do_signal(struct server *s, const struct json *request, int fd, struct json *reply, int *ret_fd,
                     struct err *err) {
    (void)fd, (void)reply, (void)ret_fd;
    struct process_id id;
    int64_t number = json_get_int(request, "signal", 0);
    if (process_id_decode(json_get(request, "daemon"), &id) < 0 || (number != SIGTERM && number != SIGKILL))
        return err_set(err, -EINVAL, "no daemon or no signal is named");
    for (size_t i = 0; i < s->count; i++)
        if (s->children[i].id.pid == id.pid && s->children[i].id.start == id.start)
            s->children[i].asked = true;
    return launcher_signal(&s->local, &id, (int)number, err);
}

static int do_probe(struct server *s, const struct json *request, int fd, struct json *reply, int *ret_fd,
                    struct err *err) {
    (void)request, (void)fd, (void)reply, (void)ret_fd;
    return s->options->probe ? s->options->probe(err) : 0;
}

static const struct {
    const char *name;
    int (*run)(struct server *s, const struct json *request, int fd, struct json *reply, int *ret_fd, struct err *err);
} ops[] = {{"spawn", do_spawn}, {"open", do_open}, {"signal", do_signal}, {"probe", do_probe}};

static int answer(struct server *s, int client, struct err *err) {
    struct json *request cleanup(json_freep) = NULL;
    struct json *reply cleanup(json_freep) = json_object_new();
    int fd cleanup_close = -1;
    int out cleanup_close = -1;
    if (!reply)
        return err_set(err, -ENOMEM, "out of memory");
    int r = wire_receive(client, clock_monotonic(&clock_system) + CLIENT_NS, &request, &fd, err);
    if (r < 0)
        return r;
    size_t known = s->count;
    const char *op = json_get_text(request, "op");
    struct err why = ERR_NONE;
    r = err_set(&why, -EOPNOTSUPP, "the mount service does not know '%.40s'; upgrade it", op ? op : "");
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
        if (str_eq(ops[i].name, op))
            r = ops[i].run(s, request, fd, reply, &out, &why);
    if (json_set_int(reply, "code", r) < 0 || (r < 0 && json_set_text(reply, "message", err_text(&why)) < 0))
        r = err_set(err, -ENOMEM, "out of memory");
    else
        r = wire_send(client, reply, out, err);
    if (r < 0 && s->count > known) // nobody will ever know of it; it takes its mount down itself
        (void)process_signal(s->children[known].pidfd, SIGTERM);
    return r;
}

static void take_client(struct server *s) {
    int client cleanup_close = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t len = sizeof peer;
    if (client < 0)
        return;
    struct err err = ERR_NONE;
    if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != geteuid()) {
        log_warning("request refused", LOG_I("uid", peer.uid));
        return;
    }
    if (answer(s, client, &err) < 0)
        log_warning("request failed", LOG_S("reason", err_text(&err)));
}

static void collect(struct server *s, size_t at) {
    struct child child = s->children[at];
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)child.pidfd, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0)
        return;
    bool fine = (info.si_code == CLD_EXITED && info.si_status == 0) || child.asked;
    log_write(fine ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "daemon ended",
              (const struct log_field[]){LOG_I("daemon", child.id.pid), LOG_S("mount_point", child.mount_point),
                                         LOG_S("by", info.si_code == CLD_EXITED ? "exit" : "signal"),
                                         LOG_I("status", info.si_status)},
              4);
    (void)close(child.pidfd);
    free(child.mount_point);
    s->children[at] = s->children[--s->count];
    metric_set(&running, NULL, NULL, (double)s->count);
    metric_add(&ended, fine ? "fine" : "died", NULL, 1);
}

static bool is_child(const struct server *s, pid_t pid) {
    for (size_t i = 0; i < s->count; i++)
        if (s->children[i].id.pid == pid)
            return true;
    return false;
}

// As process 1 of a container it inherits what a killed process leaves behind: the daemon of a keeper that was killed.
static void reap_orphans(const struct server *s) {
    siginfo_t info = {0};
    while (getpid() == 1 && waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid &&
           !is_child(s, info.si_pid)) {
        (void)waitpid(info.si_pid, NULL, WNOHANG);
        info.si_pid = 0;
    }
}

static void end_child(struct child *child, bool kill, const char *why) {
    if (kill ? child->killed : child->asked)
        return;
    log_write(kill ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, why,
              (const struct log_field[]){LOG_I("daemon", child->id.pid), LOG_S("mount_point", child->mount_point)}, 2);
    (void)process_signal(child->pidfd, kill ? SIGKILL : SIGTERM);
    child->asked = true;
    child->killed = kill;
}

static void take_signal(struct server *s) {
    struct signalfd_siginfo info;
    if (read(s->options->signals, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    int64_t grace = s->signals++ == 0 ? (int64_t)s->options->grace_s * NS_PER_S : 0;
    s->limit_ns = clock_monotonic(&clock_system) + grace;
    log_info("stopping; nothing more is mounted", LOG_I("signal", info.ssi_signo), LOG_I("daemons", s->count),
             LOG_I("grace_s", grace / NS_PER_S));
}

// What stopping means for each daemon just now.
static void look(struct server *s) {
    int64_t now = clock_monotonic(&clock_system);
    bool over = now >= s->limit_ns, late = now >= s->limit_ns + LAUNCHER_DRAIN_NS;
    for (size_t i = 0; i < s->count; i++) {
        struct child *child = &s->children[i];
        if (late)
            end_child(child, true, "daemon does not end and is killed; what it had not yet written is lost");
        else if (over)
            end_child(child, false, "mount is ended although it is in use: pods that use it get errors");
        else if (!s->options->in_use || !s->options->in_use(child->mount_point))
            end_child(child, false, "mount that nobody uses is ended");
        else if (!s->told)
            log_info("mount is in use; it is kept until it is not, or the grace period ends",
                     LOG_S("mount_point", child->mount_point), LOG_I("daemon", child->id.pid));
    }
    s->told = true;
}

// One round. False: it is done.
static bool turn(struct server *s) {
    size_t count = s->count;
    struct pollfd *fds cleanup_free = mem_array(count + 2, sizeof *fds);
    if (!fds) { // later, perhaps; what knocks waits
        (void)poll(NULL, 0, LOOK_MS);
        return true;
    }
    fds[0] = (struct pollfd){.fd = s->options->signals, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = s->listener, .events = POLLIN};
    for (size_t i = 0; i < count; i++)
        fds[i + 2] = (struct pollfd){.fd = s->children[i].pidfd, .events = POLLIN};
    (void)poll(fds, (nfds_t)count + 2, s->signals ? LOOK_MS : -1);
    for (size_t i = count; i-- > 0;) // from the end: collect() moves the last one into the gap
        if (fds[i + 2].revents)
            collect(s, i);
    reap_orphans(s);
    if (fds[0].revents)
        take_signal(s);
    if (fds[1].revents)
        take_client(s);
    if (s->signals)
        look(s);
    return !s->signals || s->count > 0;
}

int launcher_server_run(const struct launcher_server_options *options, struct err *err) {
    struct server s = {.options = options, .local = launcher_local(options->program), .listener = -1};
    int r = listen_at(options->socket, &s.listener, err);
    if (r < 0)
        return r;
    log_info("serving mounts", LOG_S("socket", options->socket));
    while (turn(&s))
        continue;
    (void)unlink(options->socket);
    (void)close(s.listener);
    free(s.children);
    log_info("stopped; no daemon is left");
    return 0;
}
