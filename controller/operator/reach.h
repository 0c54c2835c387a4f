// SPDX-License-Identifier: Apache-2.0
// Do the file systems answer, and how full are they? Asked in the background, once for all objects on one share.
//
// Why:     a server that does not answer takes seconds to be known as such; no reconcile waits for that.
// Owns:    what it knows of each share, until nobody has asked for ten minutes.
// Threads: any; asking happens on threads of its own.
// Fails:   a question that fails is an answer.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"

struct reach;

struct reach_answer {
    bool known; // false: nothing is known yet, ask again in a moment
    int result; // 0: it answers
    char message[256];
    int64_t total_bytes, available_bytes;
};

struct reach_options {
    // Asks the share of that location (as in --share), within `deadline_ns`.
    int (*ask)(void *arg, const char *location, int64_t deadline_ns, int64_t *ret_total, int64_t *ret_available,
               struct err *err);
    void *arg;
    const struct clock *clock; // NULL: clock_system
};
int reach_new(const struct reach_options *options, struct reach **ret, struct err *err) must_check;
struct reach *reach_free(struct reach *reach); // waits for what is being asked
DEFINE_CLEANUP(reach)

// What was answered last, at once. Asks (again) in the background when that is older than 30 s.
int reach_get(struct reach *reach, const char *location, struct reach_answer *ret, struct err *err) must_check;
