// SPDX-License-Identifier: Apache-2.0
// Leftovers of controllers that died: temporary files in `.stowage/tmp`.
#pragma once

#include "controller/share.h"

#define SWEEP_AGE_S 3600 // a temporary file lives for milliseconds

// Removes what is older than SWEEP_AGE_S by the server's clock.
int sweep_tmp(struct share *share, int64_t deadline_ns, struct err *err) must_check;
