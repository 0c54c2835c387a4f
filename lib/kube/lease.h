// SPDX-License-Identifier: Apache-2.0
// Leader election by a Lease, as client-go does it: of several processes, one leads.
//
// Why:     two operators would fight over every object; one has to wait until the other is gone.
// Owns:    its view of the Lease; the object itself is shared, and may have been made by somebody else (the chart).
// Threads: kube_lease_step from one thread; kube_lease_is_held from any.
// Fails:   -EAGAIN somebody else leads; other: the Lease could not be read or written, which counts as not renewed.
//
// Clocks of machines may differ: a Lease is over when it has not changed for its duration by this process's own clock. A holder counts
// itself out earlier (two thirds of that) than others may count it out.
#pragma once

#include <stdbool.h>

#include "lib/base/clock.h"
#include "lib/kube/kube.h"

struct kube_lease;

struct kube_lease_options {
    const struct kube *kube;
    const char *ns, *name;
    const char *identity;      // of this process, different from all others'
    uint32_t duration_s;       // 0: 15
    const struct clock *clock; // NULL: clock_system
};
int kube_lease_new(const struct kube_lease_options *options, struct kube_lease **ret, struct err *err) must_check;
struct kube_lease *kube_lease_free(struct kube_lease *lease);
DEFINE_CLEANUP(kube_lease)

// Takes or renews it. To be called every kube_lease_period_ms, by the holder as by those who wait.
int kube_lease_step(struct kube_lease *lease, struct err *err) must_check;
uint32_t kube_lease_period_ms(const struct kube_lease *lease);
bool kube_lease_is_held(const struct kube_lease *lease);
// Gives it up, so that the next need not wait until it is over.
void kube_lease_release(struct kube_lease *lease);
