// SPDX-License-Identifier: Apache-2.0
// Tells when a daemon ends, whether this process started it or a former one did.
//
// Threads: one of its own, started with the first daemon; `ended` runs on it and must not block.
// Owns:    the pidfds that it is given.
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/mount/process.h"

struct daemon_watch;

// `ended` is called with the volume's id and the process that is gone.
int daemon_watch_new(void (*ended)(const char *volume, const struct process_id *process, void *arg), void *arg,
                     struct daemon_watch **ret, struct err *err) must_check;
struct daemon_watch *daemon_watch_free(struct daemon_watch *watch); // afterwards `ended` is never called again
DEFINE_CLEANUP(daemon_watch)

// Takes over `pidfd`, also on failure.
int daemon_watch_add(struct daemon_watch *watch, const char *volume, const struct process_id *process, int pidfd,
                     struct err *err) must_check;
