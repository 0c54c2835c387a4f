// SPDX-License-Identifier: Apache-2.0
// A transport to no API server: requests are answered one after the other as a test wrote it down, in parts if it wants.
//
// Threads: one.
#pragma once

#include "lib/base/clock.h"
#include "lib/kube/kube.h"

struct fake_answer {
    const char *expects;       // "GET /api/v1/nodes?limit": how method and path begin; NULL: anything
    const char *body_has;      // a part of the request's body; NULL: anything
    int result;                // of the whole; parts before it are delivered all the same
    const char *message;       // with a result
    const char *const *chunks; // a stream's parts, NULL-terminated; an answer that is collected: put together
    void (*during)(void);      // called before it is answered
};

struct fake_kube;
// The answers must outlive it. What is asked after the last fails the test.
struct kube *fake_kube_new(const struct fake_answer *answers, size_t count, struct fake_kube **ret);
size_t fake_kube_asked(const struct fake_kube *fake);
const char *fake_kube_last(const struct fake_kube *fake); // "PATCH /path body"

// A clock that stands still until it is told to go on; its randomness is all ones.
extern const struct clock fake_kube_clock;
void fake_kube_clock_set(int64_t ns);
void fake_kube_clock_add(int64_t ns);
