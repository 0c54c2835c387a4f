// SPDX-License-Identifier: Apache-2.0
// The system's own programs (mkfs, fsck, cp): found in its folders, ended at a deadline.
//
// Threads: any.
// Fails:   -ENOEXEC: it is missing; -ETIMEDOUT at the deadline (absolute CLOCK_MONOTONIC); -ECANCELED; -EIO: it ended with
//          another exit code than 0, which is told. Its messages go to this process's standard error.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

#define TOOL_PATH_SIZE 64

struct tool {
    const char *name;        // "mkfs.xfs"
    const char *package;     // for the remedy: what brings it
    const char *const *args; // NULL-terminated, without the name
    const char *subject;     // what it works on, for messages: a device, a path
    int64_t deadline_ns;
    const atomic_bool *cancel; // may be NULL
};

int tool_run(const struct tool *tool, int *ret_exit, struct err *err) must_check; // ret_exit may be NULL
