// SPDX-License-Identifier: Apache-2.0
// Processes by pidfd: start one in a session of its own, find out whether one still lives, end one.
//
// Why:     a pid alone may be another process's by now; a pidfd never is, and pid + start time + domain name a process
//          also across our own restart. The domain is the boot and the PID namespace: in a container that was started
//          anew, the same pid is somebody else.
// Threads: any.
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

#define PROCESS_DOMAIN_LEN 63

struct process_id {
    pid_t pid;                           // 0: none
    uint64_t start;                      // clock ticks since boot (proc(5), stat field 22)
    char domain[PROCESS_DOMAIN_LEN + 1]; // /proc/sys/kernel/random/boot_id, '/', inode of the PID namespace
};

// Starts `program` with `args` (without argv[0]) in its own session, with default signals, standard input from
// /dev/null, and `pass_fd` (-1: none) as descriptor 3; every other descriptor above 2 is closed there.
int process_spawn(const char *program, const char *const *args, int pass_fd, pid_t *ret, struct err *err) must_check;

int process_identify(pid_t pid, struct process_id *ret) must_check; // -ESRCH when it is gone
// A pidfd of exactly this process; -ESRCH when it is gone, or is a zombie (reaped when it is our child), or the pid is
// another's, or of another domain.
int process_open(const struct process_id *id) must_check;
// Waits for the end of the process until the deadline. 0, or -ETIMEDOUT. Reaps it when it is our child.
int process_wait(int pidfd, int64_t deadline_ns) must_check;
int process_signal(int pidfd, int signal);
// Ends it (SIGKILL) without waiting for what the kernel may still do: a child that does not end at once is left to a
// thread that reaps it. Takes *pidfd.
void process_abandon(int *pidfd);
// The time left until the deadline for poll(2): milliseconds rounded up, at most an hour; 0 when it passed.
int process_poll_ms(int64_t deadline_ns);
