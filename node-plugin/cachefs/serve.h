// SPDX-License-Identifier: Apache-2.0
// The other face of stowage-cachefs: the mount service, which starts one daemon per mount when stowage-node asks.
//
// Why:   in a container of its own it keeps mounts alive while stowage-node is upgraded (lib/mount/launcher.h).
#pragma once

#include "lib/base/err.h"

struct serve_options {
    const char *socket;
    const char *http; // address of /healthz and /metrics; NULL or "": none
    unsigned grace_s;
    int signals; // signalfd
};
// Until a signal and the end of the last daemon. 0, or why it cannot serve.
int serve_mounts(const struct serve_options *options, struct err *err) __attribute__((warn_unused_result));
