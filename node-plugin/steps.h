// SPDX-License-Identifier: Apache-2.0
// A change in steps: what was done is undone in reverse order when a later step fails.
#pragma once

#include <stddef.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

struct step {
    const char *name; // for the log
    int (*act)(void *work, struct err *err);
    void (*undo)(void *work); // NULL: leaves nothing behind. Also called for the step that failed: it may be half done.
};

// 0, or the result of the step that failed.
int steps_run(const struct step *steps, size_t count, void *work, struct err *err) must_check;
