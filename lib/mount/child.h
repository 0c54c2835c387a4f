// SPDX-License-Identifier: Apache-2.0
// Runs what the kernel may block in a process of its own that can be given up.
//
// Why:     mount(2), umount2(2) and statfs(2) wait inside the kernel for a server; a thread that calls them cannot be
//          ended. A child is killed at the deadline, and when the kernel does not let go of it, it is left to the
//          reaper, which collects it once the kernel does.
// Owns:    children that were given up are listed process-wide until they are gone; one thread collects them and ends
//          when none is left.
// Threads: any.
// Fails:   -ETIMEDOUT when the deadline passed, also at once while an earlier child with the same key is still stuck:
//          so a frozen server never collects more than one child a key.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

#define CHILD_NUMBERS 6

struct child_reply {
    int code; // 0 or -errno
    char msg[256];
    int64_t numbers[CHILD_NUMBERS];
};

struct child_request {
    const char *program;       // NULL: this program again, as `--child` with `args`: see child_is_wanted
    const char *const *args;   // NULL-terminated, without argv[0]
    const char *key;           // what it works on: "statfs /path"; NULL: children of this kind may pile up
    const char *what;          // for messages: "statfs of /path"
    int64_t deadline_ns;       // absolute CLOCK_MONOTONIC
    const atomic_bool *cancel; // of a program: ends it with -ECANCELED when it becomes true; may be NULL
};

#define CHILD_SIGNALLED 255 // instead of the exit code of a program that a signal ended
// Runs to the end. With `program` NULL the child's reply is returned, otherwise only its exit status counts: -EIO when it
// is not 0, and then it is the reply's first number. `ret` may be NULL.
int child_run(const struct child_request *request, struct child_reply *ret, struct err *err) must_check;

// In main(), before anything else: is this process such a child? Then `return child_main(argc, argv);`.
bool child_is_wanted(int argc, char **argv);
int child_main(int argc, char **argv);

unsigned child_abandoned(void); // children that were given up and are still there
void child_register_metrics(void);
