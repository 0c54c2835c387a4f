// SPDX-License-Identifier: Apache-2.0
// The service behind launcher_service(): starts daemons for a process in another container, and outlives that process.
//
// Why:     it does nothing but start, name, signal and reap daemons, so it hardly ever has to be replaced.
// Owns:    its socket, which only root may use, and the daemons: it ends after the last of them.
// Threads: one; no request makes it wait longer than a second (for a client that connects and says nothing).
// Order:   at the first signal nothing more is started; daemons whose mount nobody uses are ended at once, the others
//          when their mount is no longer in use. What is left after the grace period, or at a second signal, is ended
//          all the same: SIGTERM, so that its data reaches the server, and SIGKILL after LAUNCHER_DRAIN_NS.
#pragma once

#include <stdbool.h>

#include "lib/base/clock.h"
#include "lib/base/err.h"

#define LAUNCHER_DRAIN_NS (13 * NS_PER_S) // a daemon gives itself 12 s at SIGTERM: 2 to detach, 10 to write

struct launcher_server_options {
    const char *socket;
    const char *program;                     // what it starts, whatever a client says
    int signals;                             // readable when the process shall stop (signalfd(2))
    unsigned grace_s;                        // seconds
    bool (*in_use)(const char *mount_point); // is it mounted anywhere besides this path?
    int (*probe)(struct err *err);           // can daemons do their work here?
};

// stowage_mount_daemons and stowage_mount_daemons_ended_total, before it runs.
void launcher_server_register_metrics(void);
// Until it was stopped and the last daemon ended.
int launcher_server_run(const struct launcher_server_options *options, struct err *err)
    __attribute__((warn_unused_result));
