// SPDX-License-Identifier: Apache-2.0
// Tells when a daemon ends, whether this process started it or a former one did.
//
// Threads: one of its own, started with the first daemon; `ended` runs on it and must not block.
// Owns:    the pidfds that it is given.
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/err.h"
#include "lib/mount/process.h"

struct watch;

// `ended` is called with the volume's id and the process that is gone.
int watch_new(void (*ended)(const char *volume, const struct process_id *process, void *arg), void *arg,
              struct watch **ret, struct err *err) must_check;
struct watch *watch_free(struct watch *watch); // afterwards `ended` is never called again
DEFINE_CLEANUP(watch)

// Takes over `pidfd`, also on failure.
int watch_add(struct watch *watch, const char *volume, const struct process_id *process, int pidfd,
              struct err *err) must_check;
