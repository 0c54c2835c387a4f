// SPDX-License-Identifier: Apache-2.0
#include "lib/mount/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/mount/reaper.h"

#define KILL_GRACE_NS (100 * NS_PER_MS) // from SIGKILL to leaving it to the reaper

extern char **environ;

static int set_attributes(posix_spawnattr_t *attr) {
    sigset_t none, all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    int r = posix_spawnattr_setsigmask(attr, &none);
    if (r == 0)
        r = posix_spawnattr_setsigdefault(attr, &all);
    if (r == 0)
        r = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    return r;
}

static int set_actions(posix_spawn_file_actions_t *actions, int pass_fd) {
    int r = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (r == 0 && pass_fd >= 0)
        r = posix_spawn_file_actions_adddup2(actions, pass_fd, 3); // of equal numbers: clears close-on-exec
    if (r == 0)
        r = posix_spawn_file_actions_addclosefrom_np(actions, pass_fd >= 0 ? 4 : 3);
    return r;
}

static int spawn(const char *program, char *const *argv, int pass_fd, pid_t *ret) {
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t actions;
    int r = posix_spawnattr_init(&attr);
    if (r != 0)
        return -r;
    r = posix_spawn_file_actions_init(&actions);
    if (r == 0) {
        r = set_attributes(&attr);
        if (r == 0)
            r = set_actions(&actions, pass_fd);
        if (r == 0)
            r = posix_spawn(ret, program, &actions, &attr, argv, environ);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    (void)posix_spawnattr_destroy(&attr);
    return -r;
}

int process_spawn(const char *program, const char *const *args, int pass_fd, pid_t *ret, struct err *err) {
    size_t count = 0;
    while (args[count])
        count++;
    const char **argv cleanup_free = mem_array(count + 2, sizeof *argv);
    if (!argv)
        return err_set(err, -ENOMEM, "out of memory");
    argv[0] = program;
    memcpy(&argv[1], args, count * sizeof *args);
    int r = spawn(program, (char *const *)argv, pass_fd, ret);
    return r < 0 ? err_set(err, r, "cannot start %s: %s", program, err_name(r)) : 0;
}

static int read_file(const char *path, char *buf, size_t size) {
    int fd cleanup_close = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, buf, size - 1);
    if (n < 0)
        return -errno;
    buf[n] = '\0';
    return 0;
}

// proc(5): "pid (comm) state ppid …", where comm may hold anything, so fields are counted from its last ')'.
static int read_stat(pid_t pid, char *ret_state, uint64_t *ret_start) {
    char path[64], text[1024];
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    if (read_file(path, text, sizeof text) < 0)
        return -ESRCH;
    const char *at = strrchr(text, ')');
    if (!at || sscanf(at, ") %c", ret_state) != 1)
        return -ESRCH;
    at++;
    for (int field = 3; field < 22; field++) { // `at` is before the state, field 3
        at = strchr(at + 1, ' ');
        if (!at)
            return -ESRCH;
    }
    unsigned long long start = 0;
    if (sscanf(at, " %llu", &start) != 1)
        return -ESRCH;
    *ret_start = start;
    return 0;
}

static int read_domain(char ret[PROCESS_DOMAIN_LEN + 1]) {
    char text[64];
    struct stat st;
    int r = read_file("/proc/sys/kernel/random/boot_id", text, sizeof text);
    if (r == 0 && stat("/proc/self/ns/pid", &st) < 0)
        r = -errno;
    if (r == 0)
        (void)snprintf(ret, PROCESS_DOMAIN_LEN + 1, "%.*s/%ju", (int)strcspn(text, "\n"), text, (uintmax_t)st.st_ino);
    return r;
}

int process_identify(pid_t pid, struct process_id *ret) {
    char state = 0;
    *ret = (struct process_id){.pid = pid};
    int r = read_stat(pid, &state, &ret->start);
    return r < 0 ? r : read_domain(ret->domain);
}

int process_open(const struct process_id *id) {
    if (id->pid <= 0)
        return -ESRCH;
    int fd cleanup_close = (int)syscall(SYS_pidfd_open, id->pid, 0);
    if (fd < 0)
        return -errno;
    // Compared after the descriptor was taken: what it names cannot change any more.
    struct process_id now;
    char state = 0;
    uint64_t start = 0;
    if (process_identify(id->pid, &now) < 0 || read_stat(id->pid, &state, &start) < 0)
        return -ESRCH;
    if (now.start != id->start || !str_eq(now.domain, id->domain))
        return -ESRCH;
    if (state == 'Z' || state == 'X') {
        siginfo_t info;
        (void)waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG); // nobody else may ever wait for it
        return -ESRCH;
    }
    return take_fd(&fd);
}

int process_poll_ms(int64_t deadline_ns) {
    int64_t left = deadline_ns - clock_monotonic(&clock_system);
    if (left <= 0)
        return 0;
    int64_t ms = left / NS_PER_MS + 1;
    return ms > 3600000 ? 3600000 : (int)ms;
}

int process_wait(int pidfd, int64_t deadline_ns) {
    for (;;) {
        struct pollfd fd = {.fd = pidfd, .events = POLLIN};
        int n = poll(&fd, 1, process_poll_ms(deadline_ns));
        if (n > 0) {
            siginfo_t info;
            (void)waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG); // of another's child: ECHILD
            return 0;
        }
        if (n == 0 && clock_monotonic(&clock_system) >= deadline_ns)
            return -ETIMEDOUT;
    }
}

int process_signal(int pidfd, int signal) {
    return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

void process_abandon(int *pidfd) {
    if (*pidfd < 0)
        return;
    (void)process_signal(*pidfd, SIGKILL);
    if (process_wait(*pidfd, clock_monotonic(&clock_system) + KILL_GRACE_NS) == 0)
        (void)close(take_fd(pidfd));
    else
        (void)reaper_take(take_fd(pidfd), NULL);
}
