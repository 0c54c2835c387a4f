// SPDX-License-Identifier: Apache-2.0
#include "lib/base/clock.h"

#include <stdlib.h>
#include <sys/random.h>
#include <sys/types.h>
#include <time.h>

static int64_t read_clock(clockid_t id) {
    struct timespec now;
    (void)clock_gettime(id, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static int64_t system_monotonic(void *ctx) {
    (void)ctx;
    return read_clock(CLOCK_MONOTONIC);
}

static int64_t system_wall(void *ctx) {
    (void)ctx;
    return read_clock(CLOCK_REALTIME);
}

static void system_random(void *ctx, void *buf, size_t n) {
    (void)ctx;
    char *p = buf;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0)
            continue; // EINTR: the only failure once the pool is ready
        p += got;
        n -= (size_t)got;
    }
}

static const struct clock_ops system_ops = {system_monotonic, system_wall, system_random};
const struct clock clock_system = {&system_ops, NULL};
