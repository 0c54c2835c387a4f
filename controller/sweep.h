// SPDX-License-Identifier: Apache-2.0
// Leftovers of controllers that died: temporary files in `.stowage/tmp`, and locks of objects that nobody asked for
// again.
#pragma once

#include "controller/share.h"

#define SWEEP_AGE_S 3600 // a temporary file lives for milliseconds, a lock is renewed within its lease

// Removes what is older than SWEEP_AGE_S by the server's clock.
int sweep_tmp(struct share *share, int64_t deadline_ns, struct err *err) must_check;
int sweep_locks(struct share *share, int64_t deadline_ns, struct err *err) must_check;
