// SPDX-License-Identifier: Apache-2.0
// Collects children that were given up, whenever the kernel lets go of them. Private to lib/mount.
#pragma once

#include <stdbool.h>

#include "lib/base/cleanup.h"

// Takes over `pidfd` (also on failure). -ENOMEM or -EAGAIN: it will be a zombie until this process ends.
int reaper_take(int pidfd, const char *key);
bool reaper_holds(const char *key); // is a child with this key still there?
unsigned reaper_count(void);
