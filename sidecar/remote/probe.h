// SPDX-License-Identifier: Apache-2.0
// Asks a sidecar whether it reaches its store: what a startup probe runs in the container, for kubelet cannot reach its
// localhost.
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

// 0: GET /readyz at `address` (as of --listen) answered 200; else -errno and why.
int probe_ready(const char *address, struct err *err) must_check;
