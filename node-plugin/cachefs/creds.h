// SPDX-License-Identifier: Apache-2.0
// Who asks: user, group and supplementary groups of a process, as AUTH_SYS sends them.
//
// Why:     the server decides about permissions and owners, so it must see the caller's ids, not the daemon's.
// Limits:  16 supplementary groups (RFC 5531 appendix A), the first that the process has. A process of another pid
//          namespace has no number here (pid 0): only its user and group are sent.
// Threads: any. An answer is at most CREDS_TTL_NS old.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/nfs/nfs.h"

#define CREDS_TTL_NS (2 * NS_PER_S)
#define CREDS_SLOTS 256

struct creds_slot {
    pid_t pid;
    int64_t read_at;
    struct nfs_cred cred;
};
struct creds {
    pthread_mutex_t lock;
    const struct clock *clock;
    const char *proc; // "/proc"
    struct creds_slot slots[CREDS_SLOTS];
};
#define CREDS_INIT(clock_)                                                                                             \
    { .lock = PTHREAD_MUTEX_INITIALIZER, .clock = (clock_), .proc = "/proc" }

void creds_get(struct creds *creds, pid_t pid, uid_t uid, gid_t gid, struct nfs_cred *ret);

// Was the thread told to end: a kill or another deadly signal that it neither catches nor blocks is pending.
// A thread that cannot be read any more counts as dying.
bool creds_is_dying(const struct creds *creds, pid_t pid);
