// SPDX-License-Identifier: Apache-2.0
// How full is a share? For who only has its location as text.
#pragma once

#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

// `shares` is the registry (share.h), `location` as in --share. The share becomes known, as by the first volume on it.
int ask_location(void *shares, const char *location, int64_t deadline_ns, int64_t *ret_total, int64_t *ret_available,
                 struct err *err) must_check;
