// SPDX-License-Identifier: Apache-2.0
// Mapped files whose disk may fail: a page that cannot be read any more becomes zeros instead of the death of the process.
//
// Why:     the kernel reports an error of the disk below a mapping by SIGBUS. A cache whose disk is gone must only be of no use.
// Owns:    the process's handler of SIGBUS, from the first guard_add on; faults elsewhere go where they went before.
// Threads: any.
// Fails:   never: beyond GUARD_MOST mappings, the others have no guard.
//
// The whole mapping becomes private zeros at the first fault, so that what reads it sees one state: empty.
#pragma once

#include <stddef.h>

#define GUARD_MOST 8192u

void guard_add(void *at, size_t len);
void guard_remove(void *at); // before munmap
