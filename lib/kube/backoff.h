// SPDX-License-Identifier: Apache-2.0
// How long to wait before the next try: twice as long each time up to a limit, and never the same for two who failed together.
#pragma once

#include <stdint.h>

#include "lib/base/clock.h"

struct backoff {
    uint32_t first_ms, most_ms;
    unsigned failures; // since the last success
};

// The pause after one failure more: half of the doubled time for certain, the other half by chance.
static inline uint32_t backoff_next(struct backoff *backoff, const struct clock *clock) {
    unsigned shift = backoff->failures < 20 ? backoff->failures : 20;
    uint64_t full = (uint64_t)backoff->first_ms << shift;
    uint32_t random;
    full = full < backoff->most_ms ? full : backoff->most_ms;
    clock_random(clock, &random, sizeof random);
    backoff->failures++;
    return (uint32_t)(full / 2 + random % (full - full / 2 + 1));
}

static inline void backoff_reset(struct backoff *backoff) {
    backoff->failures = 0;
}
