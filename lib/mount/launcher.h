// SPDX-License-Identifier: Apache-2.0
// Who starts daemons that must outlive the process that asks for them, behind a table: this process itself
// (launcher_local.c) or a service beside it (launcher_service.c), which launcher_server.h runs.
//
// Why:     a container takes every process of its PID namespace with it when it stops. Daemons that a service in another
//          container started stay when the asking container is upgraded; identity and signals go through that service,
//          for pids mean nothing across namespaces. A pidfd does: it is passed along, and tells the end to whoever has it.
// Threads: any.
// Fails:   -ESRCH means that the daemon is gone, and nothing else means that: a service that cannot be reached is
//          -ENOENT or -ECONNREFUSED (nobody serves there), or -ETIMEDOUT (it does not answer within LAUNCHER_LIMIT_NS).
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"
#include "lib/mount/process.h"

#define LAUNCHER_LIMIT_NS (2 * NS_PER_S) // of one request to a service

struct launcher_ops {
    int (*probe)(void *self, struct err *err); // 0: FUSE daemons can be started
    // Starts the daemon with `args` (without argv[0], NULL-terminated); `ready_fd` is its descriptor 3.
    int (*spawn)(void *self, const char *const *args, int ready_fd, struct process_id *ret, int *ret_pidfd,
                 struct err *err);
    int (*open)(void *self, const struct process_id *id, int *ret_pidfd, struct err *err);
    int (*signal)(void *self, const struct process_id *id, int signal, struct err *err); // SIGTERM or SIGKILL
};
struct launcher {
    const struct launcher_ops *ops;
    void *self;
};

// Borrows the path of the program that it starts.
struct launcher launcher_local(const char *program);
// Borrows the path of the service's socket. The service decides which program it starts.
struct launcher launcher_service(const char *socket);

static inline int launcher_probe(const struct launcher *l, struct err *err) {
    return l->ops->probe(l->self, err);
}
static inline int launcher_spawn(const struct launcher *l, const char *const *args, int ready_fd,
                                 struct process_id *ret, int *ret_pidfd, struct err *err) {
    return l->ops->spawn(l->self, args, ready_fd, ret, ret_pidfd, err);
}
static inline int launcher_open(const struct launcher *l, const struct process_id *id, int *ret_pidfd,
                                struct err *err) {
    return l->ops->open(l->self, id, ret_pidfd, err);
}
static inline int launcher_signal(const struct launcher *l, const struct process_id *id, int signal, struct err *err) {
    return l->ops->signal(l->self, id, signal, err);
}
