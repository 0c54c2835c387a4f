// SPDX-License-Identifier: Apache-2.0
// Time and randomness behind a table, so that tests need not sleep and can repeat themselves.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct clock_ops {
    int64_t (*monotonic_ns)(void *ctx);                   // never goes back
    int64_t (*wall_ns)(void *ctx);                        // since 1970, UTC
    void (*random_bytes)(void *ctx, void *buf, size_t n); // cryptographic in production
};
struct clock {
    const struct clock_ops *ops;
    void *ctx;
};

extern const struct clock clock_system; // CLOCK_MONOTONIC, CLOCK_REALTIME, getrandom(2)

static inline int64_t clock_monotonic(const struct clock *c) {
    return c->ops->monotonic_ns(c->ctx);
}
static inline int64_t clock_wall(const struct clock *c) {
    return c->ops->wall_ns(c->ctx);
}
static inline void clock_random(const struct clock *c, void *buf, size_t n) {
    c->ops->random_bytes(c->ctx, buf, n);
}

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
#define DEADLINE_NONE INT64_MAX // as an absolute CLOCK_MONOTONIC time in ns
