// SPDX-License-Identifier: Apache-2.0
#include "node-plugin/cachefs/keeper_ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define LIMIT_NS (5 * NS_PER_S)
#define QUESTION "--state-version"

void keeper_report(int fd, int result, const struct err *err) {
    char line[320];
    int n = result < 0 ? snprintf(line, sizeof line, "error %d %s\n", -result, err_text(err))
                       : snprintf(line, sizeof line, "ready\n");
    if (fd && write(fd, line, (size_t)n) < 0)
        log_warning("nobody reads the ready descriptor", LOG_S("error", err_name(errno)));
    if (result < 0)
        log_error("cannot mount", LOG_S("error", err_text(err)));
}

static char **add_question(char *const *argv) {
    size_t count = 0;
    while (argv[count])
        count++;
    char **more = mem_array(count + 2, sizeof *more);
    if (!more)
        return NULL;
    memcpy(more, argv, count * sizeof *more);
    more[count] = (char *)(uintptr_t)QUESTION;
    return more;
}

static void become(const char *program, char *const *argv, int answer) {
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)dup2(answer, STDOUT_FILENO);
    (void)execv(program, argv);
    _exit(127);
}

// One line, until the deadline; false: none came.
static bool read_line(int fd, char line[static 64], int64_t deadline_ns) {
    size_t len = 0;
    while (len < 63 && !memchr(line, '\n', len)) {
        int64_t left_ms = (deadline_ns - clock_monotonic(&clock_system)) / NS_PER_MS;
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (left_ms <= 0 || poll(&poll_fd, 1, (int)left_ms) <= 0)
            break;
        ssize_t n = read(fd, line + len, 63 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    char *end = memchr(line, '\n', len);
    if (end)
        *end = '\0';
    return end != NULL;
}

int keeper_ask(const char *program, char *const *argv, char ret_version[static 64], struct err *err) {
    char **question cleanup_free = add_question(argv);
    int fds[2];
    if (!question || pipe2(fds, O_CLOEXEC) < 0)
        return err_set(err, -ENOMEM, "cannot ask it");
    int answer cleanup_close = fds[0];
    pid_t pid = fork();
    if (pid == 0)
        become(program, question, fds[1]);
    (void)close(fds[1]);
    if (pid < 0)
        return err_set(err, -errno, "cannot start it: %s", err_name(errno));
    bool answered = read_line(answer, ret_version, clock_monotonic(&clock_system) + LIMIT_NS);
    int status = 0;
    (void)kill(pid, SIGKILL); // it has nothing more to say
    (void)waitpid(pid, &status, 0);
    return answered ? 0 : err_set(err, -EPROTO, "it does not tell which layout of a mount's state it knows");
}
