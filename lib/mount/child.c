// SPDX-License-Identifier: Apache-2.0
#include "lib/mount/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/metrics.h"
#include "lib/mount/process.h"
#include "lib/mount/reaper.h"

#define KILL_GRACE_NS (100 * NS_PER_MS)  // from SIGKILL to giving up
#define CANCEL_LOOK_NS (100 * NS_PER_MS) // between two looks at whether a program was cancelled

static double abandoned_now(void *arg) {
    (void)arg;
    return (double)reaper_count();
}
static struct metric metric_abandoned = {
    .type = METRIC_GAUGE,
    .name = "stowage_children_abandoned",
    .help = "Child processes that a blocked mount, umount or statfs holds and that were given up",
    .read = abandoned_now,
};
static struct metric metric_abandoned_total = {
    .type = METRIC_COUNTER,
    .name = "stowage_children_abandoned_total",
    .help = "Child processes that were given up since the start",
};

void child_register_metrics(void) {
    metric_register(&metric_abandoned);
    metric_register(&metric_abandoned_total);
}

unsigned child_abandoned(void) {
    return reaper_count();
}

static void give_up(int *pidfd, pid_t pid, const char *key) {
    (void)kill(
        -pid,
        SIGKILL); // it leads a group of its own, with helpers that it started; not reaped yet, so the number is its
    (void)process_signal(*pidfd, SIGKILL);
    if (process_wait(*pidfd, clock_monotonic(&clock_system) + KILL_GRACE_NS) == 0)
        return;
    metric_add(&metric_abandoned_total, NULL, NULL, 1);
    (void)reaper_take(take_fd(pidfd), key);
}

// Until the reply or the end of the pipe: 0, -EIO (ended without one), -ETIMEDOUT.
static int read_reply(int fd, int64_t deadline_ns, struct child_reply *ret) {
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        int n = poll(&poll_fd, 1, process_poll_ms(deadline_ns));
        if (n > 0) { // written at once, below PIPE_BUF
            ret->msg[sizeof ret->msg - 1] = '\0';
            return read(fd, ret, sizeof *ret) == (ssize_t)sizeof *ret ? 0 : -EIO;
        }
        if (n == 0 && clock_monotonic(&clock_system) >= deadline_ns)
            return -ETIMEDOUT;
    }
}

static int64_t sooner(int64_t a, int64_t b) {
    return a < b ? a : b;
}

// 0 or -EIO by the exit status, which is told as the reply's first number; -ETIMEDOUT or -ECANCELED while it runs.
static int wait_status(int pidfd, const struct child_request *request, struct child_reply *ret) {
    struct pollfd fd = {.fd = pidfd, .events = POLLIN};
    for (;;) {
        int64_t now = clock_monotonic(&clock_system);
        int64_t until = request->cancel ? sooner(now + CANCEL_LOOK_NS, request->deadline_ns) : request->deadline_ns;
        int n = poll(&fd, 1, process_poll_ms(until));
        if (n > 0) {
            siginfo_t info = {0};
            if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0)
                return -errno;
            ret->numbers[0] = info.si_code == CLD_EXITED ? info.si_status : CHILD_SIGNALLED;
            return ret->numbers[0] == 0 ? 0 : -EIO;
        }
        if (n == 0 && request->cancel && atomic_load(request->cancel))
            return -ECANCELED;
        if (n == 0 && clock_monotonic(&clock_system) >= request->deadline_ns)
            return -ETIMEDOUT;
    }
}

static int start(const struct child_request *request, int reply_fd, pid_t *ret, struct err *err) {
    if (request->program)
        return process_spawn(request->program, request->args, -1, ret, err);
    size_t count = 0;
    while (request->args[count])
        count++;
    const char **args cleanup_free = mem_array(count + 2, sizeof *args);
    if (!args)
        return err_set(err, -ENOMEM, "out of memory");
    args[0] = "--child";
    memcpy(&args[1], request->args, count * sizeof *args);
    return process_spawn("/proc/self/exe", args, reply_fd, ret, err);
}

// The child runs; its end of the pipe is closed here already.
static int finish(const struct child_request *request, pid_t pid, int reply_fd, struct child_reply *reply,
                  struct err *err) {
    int pidfd cleanup_close = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0)
        return err_set(err, -errno, "%s: pidfd_open: %s", request->what, err_name(errno));
    int r = reply_fd >= 0 ? read_reply(reply_fd, request->deadline_ns, reply) : wait_status(pidfd, request, reply);
    if (r == -ECANCELED) {
        give_up(&pidfd, pid, request->key);
        return err_set(err, r, "%s was cancelled", request->what);
    }
    if (r == -ETIMEDOUT) {
        give_up(&pidfd, pid, request->key);
        return err_set(err, r, "%s did not end in time; does the server answer?", request->what);
    }
    if (reply_fd >= 0)
        (void)!process_wait(pidfd, DEADLINE_NONE); // it has written its answer: the end is near
    if (r < 0)
        return err_set(err, r, "%s failed: its process ended without an answer", request->what);
    if (reply->code < 0)
        return err_set(err, reply->code, "%s", reply->msg);
    return 0;
}

int child_run(const struct child_request *request, struct child_reply *ret, struct err *err) {
    struct child_reply unused;
    struct child_reply *reply = ret ? ret : &unused;
    *reply = (struct child_reply){0};
    if (request->key && reaper_holds(request->key))
        return err_set(err, -ETIMEDOUT, "%s: an earlier try still waits in the kernel; does the server answer?",
                       request->what);
    int fds[2] = {-1, -1};
    if (!request->program && pipe2(fds, O_CLOEXEC) < 0)
        return err_set(err, -errno, "%s: pipe: %s", request->what, err_name(errno));
    int read_end cleanup_close = fds[0];
    int write_end cleanup_close = fds[1];
    pid_t pid = 0;
    int r = start(request, write_end, &pid, err);
    if (r < 0)
        return r;
    if (write_end >= 0)
        (void)close(take_fd(&write_end));
    return finish(request, pid, read_end, reply, err);
}
