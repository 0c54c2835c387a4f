// SPDX-License-Identifier: Apache-2.0
// Tells a program of the pod that files have changed, by POST.
//
// Why:     for those that do not watch `..data` themselves, and are reloaded by a request.
// Owns:    a thread, so that a program that is slow delays no file; what is not told yet, one notice a namespace: the newest state counts.
// Threads: any.
// Fails:   a notice is tried several times (NOTIFY_TRIES), waiting longer each time, then given up and logged; the next one says then that
//          anything may have changed.
#pragma once

#include "lib/base/json.h"
#include "sidecar/remote/spec.h"

#define NOTIFY_TRIES 8

struct notifier;
int notifier_start(const char *url, struct notifier **ret, struct err *err) must_check;
struct notifier *notifier_stop(struct notifier *notifier); // what is not told yet stays untold
// {"namespace":NS,"version":V,"changed":[names of files]}. `changed`: an object whose members are the names, is taken; NULL: anything ("changed":null).
void notifier_tell(struct notifier *notifier, const char *ns, int64_t version, struct json *changed);
