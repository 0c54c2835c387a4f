// SPDX-License-Identifier: Apache-2.0
// Events: what happened to an object, for `kubectl describe`. The same again counts up instead of being told twice.
//
// Owns:    a table of the last events it made, by what they said; the oldest give way. A thread that writes them, so that nobody
//          waits for news; what is told while 256 wait to be written is dropped.
// Threads: any.
// Fails:   never: an event that cannot be written is dropped and logged at debug.
#pragma once

#include "lib/base/clock.h"
#include "lib/kube/kube.h"

struct kube_events;

struct kube_events_options {
    const struct kube *kube;
    const char *component;     // "stowage-operator"
    const char *instance;      // which of its processes
    const struct clock *clock; // NULL: clock_system
};
int kube_events_new(const struct kube_events_options *options, struct kube_events **ret, struct err *err) must_check;
struct kube_events *kube_events_free(struct kube_events *events);
DEFINE_CLEANUP(kube_events)

struct kube_subject { // what it is about
    const char *api_version, *kind;
    const struct json *object; // with metadata.name, uid, resourceVersion, and namespace if it is in one
};
// `reason` in CamelCase; the message is cut at 1,024 bytes, as the API demands. The same within 10 s is not counted again.
void kube_event(struct kube_events *events, const struct kube_subject *subject, bool warning, const char *reason,
                const char *message);
// Waits until all that was told has been written or dropped.
void kube_events_flush(struct kube_events *events);
