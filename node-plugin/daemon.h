// SPDX-License-Identifier: Apache-2.0
// One stowage-cachefs process: started, waited for until its mount answers, and stopped.
//
// Why:   it must outlive the node process: a launcher (lib/mount/launcher.h) starts it and finds it again.
#pragma once

#include "node-plugin/mounter.h"

int daemon_start(const struct mounter_options *options, const struct mount_request *request, int64_t deadline_ns,
                 struct process_id *ret, struct err *err) must_check;
int daemon_stop(const struct launcher *launcher, const struct process_id *daemon, int64_t deadline_ns,
                struct err *err) must_check;
