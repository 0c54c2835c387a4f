// SPDX-License-Identifier: Apache-2.0
// Daemons as children of this process, each in a session of its own.
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/mount/launcher.h"

static int probe(void *self, struct err *err) {
    if (access("/dev/fuse", R_OK | W_OK) < 0)
        return err_set(err, -ENODEV, "/dev/fuse is missing");
    if (access(self, X_OK) < 0)
        return err_set(err, -ENOENT, "the stowage-cachefs program is missing");
    return 0;
}

static int spawn(void *self, const char *const *args, int ready_fd, struct process_id *ret, int *ret_pidfd,
                 struct err *err) {
    pid_t pid = 0;
    int r = process_spawn(self, args, ready_fd, &pid, err);
    if (r < 0)
        return r;
    // Our own child: its pid is its own until we wait for it.
    int pidfd cleanup_close = (int)syscall(SYS_pidfd_open, pid, 0);
    r = pidfd < 0 ? -errno : process_identify(pid, ret);
    if (r < 0) {
        process_abandon(&pidfd);
        return err_set(err, r, "%s was started but cannot be watched: %s", (const char *)self, err_name(r));
    }
    *ret_pidfd = take_fd(&pidfd);
    return 0;
}

static int open_daemon(void *self, const struct process_id *id, int *ret_pidfd, struct err *err) {
    (void)self;
    int pidfd = process_open(id);
    if (pidfd < 0)
        return err_set(err, pidfd, "process %ld: %s", (long)id->pid, err_name(pidfd));
    *ret_pidfd = pidfd;
    return 0;
}

static int signal_daemon(void *self, const struct process_id *id, int signal, struct err *err) {
    int pidfd cleanup_close = -1;
    int r = open_daemon(self, id, &pidfd, err);
    if (r == 0)
        r = process_signal(pidfd, signal);
    return r == 0 ? 0 : err_set(err, r, "process %ld cannot be signalled: %s", (long)id->pid, err_name(r));
}

struct launcher launcher_local(const char *program) {
    static const struct launcher_ops ops = {probe, spawn, open_daemon, signal_daemon};
    return (struct launcher){&ops, (void *)(uintptr_t)program};
}
